/* SPDX-License-Identifier: Apache-2.0 */
/* Memory types: a guest's MTRRs (memory type range registers), SDM volume 3, 12.11. */
#include "memtype.h"

#include "lib.h"

#define MSR_MTRRCAP 0xfeu
#define MSR_VARIABLE 0x200u /* base, mask, base, mask, ... */
#define MSR_DEF_TYPE 0x2ffu

#define CAP_FIXED BIT(8)
#define CAP_WC BIT(10)
#define DEF_FIXED_ENABLE BIT(10)
#define DEF_ENABLE BIT(11)
#define DEF_RESERVED (~(u64)0xcff)
#define BASE_RESERVED ((u64)0xf00)
#define MASK_VALID BIT(11)
#define MASK_RESERVED ((u64)0x7ff)

/* Places in mtrr_state.reg[]. */
#define REG_FIXED (2 * MTRR_VARIABLE)
#define REG_DEF_TYPE (REG_FIXED + MTRR_FIXED)

/* SDM volume 3, table 12-9: each register has 8 ranges of one size. */
static const struct {
	u32 msr, base, size;
} fixed_ranges[MTRR_FIXED] = {
    {0x250, 0x00000, 0x10000}, {0x258, 0x80000, 0x4000}, {0x259, 0xa0000, 0x4000}, {0x268, 0xc0000, 0x1000},
    {0x269, 0xc8000, 0x1000},  {0x26a, 0xd0000, 0x1000}, {0x26b, 0xd8000, 0x1000}, {0x26c, 0xe0000, 0x1000},
    {0x26d, 0xe8000, 0x1000},  {0x26e, 0xf0000, 0x1000}, {0x26f, 0xf8000, 0x1000},
};

static bool type_valid(u64 type)
{
	return type <= EPT_WB && type != 2 && type != 3;
}

/* The place in reg[] of an MSR number, or -1. */
static int register_of(u32 msr)
{
	if (msr == MSR_DEF_TYPE)
		return REG_DEF_TYPE;
	if (msr - MSR_VARIABLE < REG_FIXED)
		return (int)(msr - MSR_VARIABLE);
	for (int i = 0; i < MTRR_FIXED; i++) {
		if (fixed_ranges[i].msr == msr)
			return REG_FIXED + i;
	}
	return -1;
}

int mtrr_read(const struct mtrr_state *s, u32 msr, u64 *value)
{
	int reg = register_of(msr);

	if (msr == MSR_MTRRCAP)
		*value = MTRR_VARIABLE | CAP_FIXED | CAP_WC;
	else if (reg >= 0)
		*value = s->reg[reg];
	else
		return ERR_NOENT;
	return 0;
}

static bool value_valid(const struct mtrr_state *s, int reg, u64 value)
{
	if (reg == REG_DEF_TYPE)
		return !(value & DEF_RESERVED) && type_valid(value & 0xff);
	if (reg < REG_FIXED) {
		if (reg % 2)
			return !(value & (MASK_RESERVED | s->reserved));
		return !(value & (BASE_RESERVED | s->reserved)) && type_valid(value & 0xff);
	}
	for (unsigned i = 0; i < 8; i++) {
		if (!type_valid(value >> 8 * i & 0xff))
			return false;
	}
	return true;
}

int mtrr_write(struct mtrr_state *s, u32 msr, u64 value)
{
	int reg = register_of(msr);

	if (msr == MSR_MTRRCAP)
		return ERR_INVAL;
	if (reg < 0)
		return ERR_NOENT;
	if (!value_valid(s, reg, value))
		return ERR_INVAL;
	s->reg[reg] = value;
	return 0;
}

static enum ept_memtype fixed_type(const struct mtrr_state *s, gpa_t gpa)
{
	unsigned i = MTRR_FIXED - 1;

	while (fixed_ranges[i].base > gpa)
		i--;
	return (enum ept_memtype)(
	    s->reg[REG_FIXED + i] >> 8 * ((gpa - fixed_ranges[i].base) / fixed_ranges[i].size) & 0xff);
}

/* Two variable ranges that hold the same address. */
static enum ept_memtype overlap(enum ept_memtype a, enum ept_memtype b)
{
	if (a == b)
		return a;
	if ((a == EPT_WT && b == EPT_WB) || (a == EPT_WB && b == EPT_WT))
		return EPT_WT;
	return EPT_UC;
}

enum ept_memtype mtrr_type(const struct mtrr_state *s, gpa_t gpa)
{
	enum ept_memtype type = (enum ept_memtype)(s->reg[REG_DEF_TYPE] & 0xff);
	bool found = false;

	if (!(s->reg[REG_DEF_TYPE] & DEF_ENABLE))
		return EPT_UC;
	if (gpa < 0x100000 && s->reg[REG_DEF_TYPE] & DEF_FIXED_ENABLE)
		return fixed_type(s, gpa);
	for (unsigned i = 0; i < MTRR_VARIABLE; i++) {
		u64 base = s->reg[2 * i], mask = s->reg[2 * i + 1];
		enum ept_memtype here = (enum ept_memtype)(base & 0xff);

		if (!(mask & MASK_VALID) || ((gpa ^ base) & mask & ~(PAGE_SIZE - 1)))
			continue;
		type = found ? overlap(type, here) : here;
		found = true;
	}
	return type;
}

void mtrr_reset(struct mtrr_state *s, unsigned phys_bits)
{
	*s = (struct mtrr_state){.reserved = ~(BIT(phys_bits) - 1)};
}

void mtrr_setup_pc(struct mtrr_state *s, u64 hole)
{
	const u64 wb = 0x0606060606060606;
	unsigned n = 0;

	for (unsigned i = 0; i < MTRR_FIXED; i++)
		s->reg[REG_FIXED + i] = fixed_ranges[i].base == 0xa0000 ? 0 : wb;
	/* The hole as powers of two, each aligned to its size, from the smallest up. */
	while (hole < BIT(32) && n < MTRR_VARIABLE) {
		u64 size = BIT(bit_first(hole));

		s->reg[2 * n] = hole | EPT_UC;
		s->reg[2 * n + 1] = (~(size - 1) & ~s->reserved) | MASK_VALID;
		hole += size;
		n++;
	}
	s->reg[REG_DEF_TYPE] = DEF_ENABLE | DEF_FIXED_ENABLE | EPT_WB;
}
