/* SPDX-License-Identifier: Apache-2.0 */
/* What the loaders of guests share. */
#pragma once

#include "boot_load.h"

struct boot_job {
	struct gmem *mem;
	const struct boot_image *image;
	struct boot_state *state;
	char *why;
	size_t why_size;
};

/* The key that the next boot_fail() is about, where that is not the kernel. */
void boot_blame(const struct boot_job *job, const char *key, const char *value);
/* Writes the reason and returns err. */
int boot_fail(const struct boot_job *job, int err, const char *fmt, ...) PRINTF(3, 4);
/* gmem_write() and gmem_set() with an error text that names what was written. What is large is read when the
 * VM runs, from a file that is there as long as the VM. */
int boot_write(const struct boot_job *job, gpa_t gpa, const void *src, u64 n, const char *what);
int boot_zero(const struct boot_job *job, gpa_t gpa, u64 n, const char *what);
/* Flat code and data segments, busy TSS, the given selectors, no flags but the fixed one. */
void boot_flat_segments(struct boot_state *s, u16 code, u16 data);

bool linux_probe(const struct boot_image *image);
int linux_load(const struct boot_job *job);
bool multiboot_probe(const struct boot_image *image);
int multiboot_load(const struct boot_job *job);

/* Unaligned little-endian fields of a file; the caller has checked the offset. */
static inline u16 load_u16(const u8 *p)
{
	return (u16)(p[0] | p[1] << 8);
}
static inline u32 load_u32(const u8 *p)
{
	return (u32)load_u16(p) | (u32)load_u16(p + 2) << 16;
}
static inline u64 load_u64(const u8 *p)
{
	return load_u32(p) | (u64)load_u32(p + 4) << 32;
}
static inline void store_u16(u8 *p, u16 v)
{
	p[0] = (u8)v;
	p[1] = (u8)(v >> 8);
}
static inline void store_u32(u8 *p, u32 v)
{
	store_u16(p, (u16)v);
	store_u16(p + 2, (u16)(v >> 16));
}
static inline void store_u64(u8 *p, u64 v)
{
	store_u32(p, (u32)v);
	store_u32(p + 4, (u32)(v >> 32));
}
