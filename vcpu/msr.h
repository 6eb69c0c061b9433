/* SPDX-License-Identifier: Apache-2.0 */
/* MSR policy (private to vcpu/): one table from which reads, writes and the MSR bitmap follow. */
#pragma once

#include "vcpu.h"

/* 0, or negative: #GP. */
typedef int (*msr_read_fn)(struct vcpu *v, u32 msr, u64 *value);
typedef int (*msr_write_fn)(struct vcpu *v, u32 msr, u64 value);

#define MSR_PASS_READ 1u /* the bitmap lets the guest read the real one */
#define MSR_PASS_WRITE 2u
#define MSR_PASS (MSR_PASS_READ | MSR_PASS_WRITE)

struct msr_row {
	u32 first, last;
	u32 pass;
	msr_read_fn read;   /* NULL: #GP, unless passed */
	msr_write_fn write; /* NULL: #GP, unless passed */
	const char *name;
};
extern const struct msr_row msr_rows[];
extern const unsigned msr_nr_rows;

void msr_init(void); /* builds the index, once */
/* Fills a 4 KiB MSR bitmap (SDM volume 3, 25.6.9): 1 = exit. */
void msr_fill_bitmap(u8 *bitmap);
void msr_bitmap_pass(u8 *bitmap, u32 msr, u32 pass);
