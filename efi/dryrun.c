/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory that keeps nothing: vm/'s loaders run on it before there is any, and say what would fail. */
#include "gmem.h"

int gmem_add_slot(struct gmem *m, gpa_t base, u64 length, u32 flags)
{
	if (m->nr_slots == GMEM_MAX_SLOTS)
		return ERR_NOMEM;
	m->slots[m->nr_slots++] = (struct gmem_slot){base, length, flags};
	return 0;
}

static int in_ram(const struct gmem *m, gpa_t gpa, size_t n)
{
	for (unsigned i = 0; i < m->nr_slots; i++) {
		u64 offset = gpa - m->slots[i].base; /* huge where gpa lies below */
		if (offset < m->slots[i].length && n <= m->slots[i].length - offset)
			return 0;
	}
	return ERR_FAULT;
}

int gmem_write(struct gmem *m, gpa_t gpa, const void *src, size_t n)
{
	(void)src;
	return in_ram(m, gpa, n);
}

int gmem_set(struct gmem *m, gpa_t gpa, u8 byte, size_t n)
{
	(void)byte;
	return in_ram(m, gpa, n);
}
