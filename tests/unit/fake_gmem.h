/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory for tests: one flat buffer behind the slots of a struct gmem. Included by exactly one
 * file of a test program, whose definitions then replace ept/gmem*.c. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "gmem.h"

#define FAKE_RAM ((u64)64 << 20)
static u8 *fake_ram;               /* FAKE_RAM bytes, guest-physical 0 first */
static long fake_writes_left = -1; /* >= 0: writes fail with ERR_NOMEM after that many */

static inline void fake_add_slot(struct gmem *m, gpa_t base, u64 length)
{
	m->slots[m->nr_slots++] = (struct gmem_slot){base, length, 0};
}

/* RAM as vm/ lays it out for a guest of `top` bytes (at most FAKE_RAM are backed). */
static inline void fake_gmem_init(struct gmem *m, u64 top)
{
	memset(m, 0, sizeof(*m));
	free(fake_ram);
	fake_ram = malloc(FAKE_RAM);
	memset(fake_ram, 0xee, FAKE_RAM); /* what a loader forgets to clear is seen */
	fake_writes_left = -1;
	fake_add_slot(m, 0, 0xa0000);
	if (top > 0xc0000)
		fake_add_slot(m, 0xc0000, top - 0xc0000);
}

static inline int fake_range(const struct gmem *m, gpa_t gpa, size_t n)
{
	if (fake_writes_left == 0)
		return ERR_NOMEM;
	if (fake_writes_left > 0)
		fake_writes_left--;
	for (unsigned i = 0; i < m->nr_slots; i++) {
		const struct gmem_slot *s = &m->slots[i];
		if (gpa >= s->base && gpa < s->base + s->length && n <= s->base + s->length - gpa)
			return gpa + n <= FAKE_RAM ? 0 : ERR_NOMEM;
	}
	return ERR_FAULT;
}

void *gmem_tlb_fill(struct gmem *m, struct gmem_tlb *t, gpa_t gpa, size_t n)
{
	(void)m, (void)t, (void)gpa, (void)n;
	abort(); /* loaders have none */
}

int gmem_write(struct gmem *m, gpa_t gpa, const void *src, size_t n)
{
	int err = fake_range(m, gpa, n);
	if (!err)
		memcpy(fake_ram + gpa, src, n);
	return err;
}

int gmem_set(struct gmem *m, gpa_t gpa, u8 byte, size_t n)
{
	int err = fake_range(m, gpa, n);
	if (!err)
		memset(fake_ram + gpa, byte, n);
	return err;
}
