/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's MTRRs, memory type range registers (owner: ept/), SDM volume 3, 12.11. Virtual registers
 * that read back what was written and refuse what hardware refuses.
 *
 * Guest RAM is always mapped write-back with the guest's PAT in force ("ignore PAT" off): without
 * a device that bypasses the caches, no guest can tell what its MTRRs would have made of RAM. So
 * they decide nothing but the type of memory that belongs to a passed-through device. */
#pragma once

#include "ept.h"

#define MTRR_VARIABLE 8 /* pairs of base and mask */
#define MTRR_FIXED 11   /* registers of 8 ranges each */
#define MTRR_REGS (2 * MTRR_VARIABLE + MTRR_FIXED + 1)

struct mtrr_state {
	u64 reg[MTRR_REGS]; /* variable (base, mask, base, ...), fixed, default type */
	u64 reserved;       /* address bits that the guest's CPU does not have */
};

/* Power-on state: MTRRs disabled. phys_bits is the guest's MAXPHYADDR. */
void mtrr_reset(struct mtrr_state *s, unsigned phys_bits);
/* As PC firmware leaves them: on, write-back by default, uncached in 0xa0000-0xbffff and in
 * [hole, 4 GiB). hole: a multiple of 64 MiB between 2 GiB and 4 GiB. */
void mtrr_setup_pc(struct mtrr_state *s, u64 hole);
/* 0; ERR_NOENT: not an MTRR (IA32_MTRRCAP is one). */
int mtrr_read(const struct mtrr_state *s, u32 msr, u64 *value);
/* 0; ERR_NOENT: not an MTRR; ERR_INVAL: #GP (reserved bits, undefined type, read-only). */
int mtrr_write(struct mtrr_state *s, u32 msr, u64 value);
/* The type at gpa by 12.11.4.1: the rules for overlaps included; what they leave undefined is UC. */
enum ept_memtype mtrr_type(const struct mtrr_state *s, gpa_t gpa);
