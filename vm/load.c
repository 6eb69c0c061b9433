/* SPDX-License-Identifier: Apache-2.0 */
/* Picks the loader for a kernel file, and what all loaders share. */
#include "load.h"

#include "bios.h"
#include "pc.h"
#include "x86.h"

#define LATER_MIN 0x10000 /* bytes: some ten thousand instructions at most are spent at once */

void boot_blame(const struct boot_job *job, const char *key, const char *value)
{
	job->state->fault_key = key;
	job->state->fault_path = value;
}

int boot_fail(const struct boot_job *job, int err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(job->why, job->why_size, fmt, ap);
	va_end(ap);
	return err;
}

static int explain(const struct boot_job *job, int err, gpa_t gpa, u64 n, const char *what)
{
	if (err == ERR_NOMEM)
		return boot_fail(job, err, "out of memory while loading %s", what);
	if (err)
		return boot_fail(job, err, "%s does not fit: no guest memory at 0x%llx, size 0x%llx", what,
				 (unsigned long long)gpa, (unsigned long long)n);
	return 0;
}

/* Large enough to be copied when the VM runs, and surely in RAM. */
static bool put_off(const struct boot_job *job, gpa_t gpa, const u8 *src, u64 n)
{
	struct boot_later *later = job->image->later;
	const struct gmem *m = job->mem;
	if (!later || later->count == BOOT_LATER_MAX || n < LATER_MIN)
		return false;
	for (unsigned i = 0; i < m->nr_slots; i++) {
		u64 offset = gpa - m->slots[i].base; /* huge where gpa lies below */
		if (offset < m->slots[i].length && n <= m->slots[i].length - offset) {
			later->part[later->count].gpa = gpa;
			later->part[later->count].data = src;
			later->part[later->count++].size = n;
			return true;
		}
	}
	return false;
}

int boot_write(const struct boot_job *job, gpa_t gpa, const void *src, u64 n, const char *what)
{
	if (!n || put_off(job, gpa, src, n))
		return 0;
	return explain(job, gmem_write(job->mem, gpa, src, n), gpa, n, what);
}

int boot_zero(const struct boot_job *job, gpa_t gpa, u64 n, const char *what)
{
	return n ? explain(job, gmem_set(job->mem, gpa, 0, n), gpa, n, what) : 0;
}

/* Access rights as the VMCS holds them (SDM volume 3, table 25-2). */
#define RIGHTS_DATA 0xc093   /* present, writable, accessed, 32 bit, 4 KiB granularity */
#define RIGHTS_CODE32 0xc09b /* present, readable, accessed, 32 bit, 4 KiB granularity */
#define RIGHTS_CODE64 0xa09b /* the same with L instead of D */
#define RIGHTS_TSS_BUSY 0x8b

void boot_flat_segments(struct boot_state *s, u16 code, u16 data)
{
	u32 code_rights = s->mode == BOOT_LONG64 ? RIGHTS_CODE64 : RIGHTS_CODE32;
	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		s->segments[i] = (struct segment){data, 0, UINT32_MAX, RIGHTS_DATA};
	s->segments[SEG_CS] = (struct segment){code, 0, UINT32_MAX, code_rights};
	s->segments[SEG_LDTR] = (struct segment){0, 0, 0, SEG_UNUSABLE};
	/* VM entry wants a busy TSS whether the guest uses it or not (SDM volume 3, 27.3.1.2). */
	s->segments[SEG_TR] = (struct segment){0, 0, 0xffff, RIGHTS_TSS_BUSY};
	s->rflags = RFLAGS_FIXED1;
}

int boot_add_ram(struct gmem *mem, u64 memory, u64 *low, u64 *high)
{
	*low = MIN(memory, PC_LOW_MAX);
	*high = memory - *low;
	int err = gmem_add_slot(mem, 0, PC_HOLE_BASE, 0);
	if (!err)
		err = gmem_add_slot(mem, PC_HOLE_END, *low - PC_HOLE_END, 0);
	if (!err && *high)
		err = gmem_add_slot(mem, PC_HIGH_BASE, *high, 0);
	return err;
}

int boot_load(struct gmem *mem, const struct boot_image *image, struct boot_state *state, char *why,
	      size_t why_size)
{
	struct boot_job job = {mem, image, state, why, why_size};
	memset(state, 0, sizeof(*state));
	boot_blame(&job, "kernel", image->path);
	if (bios_write_memory(mem))
		return boot_fail(&job, ERR_NOMEM, "no guest memory below 1 MiB");
	if (linux_probe(image))
		return linux_load(&job);
	if (multiboot_probe(image))
		return multiboot_load(&job);
	return boot_fail(&job, ERR_INVAL, "%s is no kernel: neither a Linux bzImage nor a Multiboot 1 image",
			 image->path);
}
