/* SPDX-License-Identifier: Apache-2.0 */
/* Segment descriptors as a task switch loads them: SDM volume 3, 3.4.5, 5.2 to 5.6 and table 8-1. */
#include "task_segment.h"

#define TYPE_ACCESSED 1u
#define TYPE_WRITABLE 2u   /* of data; readable, of code */
#define TYPE_CONFORMING 4u /* of code */
#define TYPE_CODE 8u

int task_fault(const struct task_switch *t, unsigned vector, u16 selector)
{
	vcpu_raise_code(t->v, vector, (selector & ~SEG_SEL_RPL) | t->ext);
	return ERR_FAULT;
}

int descriptor_find(const struct task_switch *t, u16 selector, u32 access, unsigned vector,
		    struct descriptor *d)
{
	u32 at = selector & ~7u, limit;
	u64 base;
	if (selector & SEG_SEL_TI) {
		struct segment ldt = vcpu_segment(SEG_LDTR);
		if (ldt.rights & SEG_UNUSABLE)
			return task_fault(t, vector, selector);
		base = ldt.base;
		limit = ldt.limit;
	} else {
		base = vmread(GUEST_GDTR_BASE);
		limit = vmread(GUEST_GDTR_LIMIT);
	}
	if (at + 7 > limit)
		return task_fault(t, vector, selector);
	int rc = linear_find(t->v, &t->paging, (u32)base + at, 8, GWALK_IMPLICIT | access, &d->span);
	if (!rc)
		linear_read(t->v, &d->span, &d->raw);
	return rc;
}

void descriptor_set_type(const struct task_switch *t, struct descriptor *d, unsigned type)
{
	/* The byte alone: what another vCPU writes beside it stays. */
	const unsigned at = 5;
	bool second = at >= d->span.n[0];
	const struct linear_span byte = {
	    .gpa = {second ? d->span.gpa[1] + at - d->span.n[0] : d->span.gpa[0] + at}, .n = {1, 0}};
	d->raw = (d->raw & ~((u64)0xf << 40)) | (u64)type << 40;
	u8 value = (u8)(d->raw >> 40);
	linear_write(t->v, &byte, &value);
}

struct segment descriptor_segment(const struct descriptor *d, u16 selector)
{
	u64 raw = d->raw;
	u32 limit = (u32)((raw & 0xffff) | (raw >> 32 & 0xf0000));
	return (struct segment){
	    .selector = selector,
	    .base = (raw >> 16 & 0xffffff) | raw >> 56 << 24,
	    .limit = raw & BIT(55) ? limit << 12 | 0xfff : limit,
	    .rights = (u32)(raw >> 40) & 0xf0ff,
	};
}

static bool is_null(u16 selector)
{
	return !(selector & ~SEG_SEL_RPL);
}

static int load_ldt(const struct task_switch *t, u16 selector)
{
	struct descriptor d;
	struct segment s = {.selector = selector, .rights = SEG_UNUSABLE};
	vcpu_set_segment(SEG_LDTR, &s);
	if (is_null(selector))
		return 0;
	if (selector & SEG_SEL_TI)
		return task_fault(t, VEC_TS, selector);
	int rc = descriptor_find(t, selector, 0, VEC_TS, &d);
	if (rc)
		return rc;
	if ((d.raw & DESC_S) || DESC_TYPE(d.raw) != SEG_TYPE_LDT || !(d.raw & DESC_P))
		return task_fault(t, VEC_TS, selector);
	s = descriptor_segment(&d, selector);
	vcpu_set_segment(SEG_LDTR, &s);
	return 0;
}

/* Virtual-8086 mode: as SDM volume 3, 27.3.1.2 wants it. */
static void load_vm86(const u32 *selectors)
{
	for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
		u16 selector = (u16)selectors[i];
		const struct segment s = {selector, (u64)selector << 4, 0xffff, 0xf3};
		vcpu_set_segment(i, &s);
	}
}

/* An SS that is unusable faults when it is used; VM entry does not take a CS of that kind. */
static void load_selectors(const u32 *selectors)
{
	u32 cpl = selectors[SEG_CS] & SEG_SEL_RPL;
	for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
		const struct segment s = {(u16)selectors[i], 0, 0, (u32)SEG_UNUSABLE | cpl << 5};
		vcpu_set_segment(i, &s);
	}
	const struct segment code = {(u16)selectors[SEG_CS], 0, 0, 0x409bu | cpl << 5};
	vcpu_set_segment(SEG_CS, &code);
}

void task_set_selectors(const u32 *selectors, bool vm86)
{
	if (vm86)
		load_vm86(selectors);
	else
		load_selectors(selectors);
}

static bool code_allowed(u64 raw, unsigned rpl)
{
	unsigned type = DESC_TYPE(raw), dpl = DESC_DPL(raw);
	if (!(raw & DESC_S) || !(type & TYPE_CODE))
		return false;
	return type & TYPE_CONFORMING ? dpl <= rpl : dpl == rpl;
}

static bool stack_allowed(u64 raw, unsigned rpl, unsigned cpl)
{
	unsigned type = DESC_TYPE(raw);
	return (raw & DESC_S) && !(type & TYPE_CODE) && (type & TYPE_WRITABLE) && rpl == cpl &&
	       DESC_DPL(raw) == cpl;
}

static bool data_allowed(u64 raw, unsigned rpl, unsigned cpl)
{
	unsigned type = DESC_TYPE(raw);
	if (!(raw & DESC_S) || ((type & TYPE_CODE) && !(type & TYPE_WRITABLE)))
		return false;
	if ((type & TYPE_CODE) && (type & TYPE_CONFORMING))
		return true;
	return DESC_DPL(raw) >= MAX(rpl, cpl);
}

static int load_segment(const struct task_switch *t, unsigned seg, u16 selector, unsigned cpl)
{
	unsigned rpl = selector & SEG_SEL_RPL;
	struct descriptor d;
	if (is_null(selector))
		return seg == SEG_CS || seg == SEG_SS ? task_fault(t, VEC_TS, selector) : 0;
	int rc = descriptor_find(t, selector, 0, VEC_TS, &d);
	if (rc)
		return rc;
	bool ok = seg == SEG_CS   ? code_allowed(d.raw, rpl)
		  : seg == SEG_SS ? stack_allowed(d.raw, rpl, cpl)
				  : data_allowed(d.raw, rpl, cpl);
	if (!ok)
		return task_fault(t, VEC_TS, selector);
	if (!(d.raw & DESC_P))
		return task_fault(t, seg == SEG_SS ? VEC_SS : VEC_NP, selector);
	if (!(DESC_TYPE(d.raw) & TYPE_ACCESSED)) {
		rc = descriptor_find(t, selector, GWALK_WRITE, VEC_TS, &d);
		if (rc)
			return rc;
		descriptor_set_type(t, &d, DESC_TYPE(d.raw) | TYPE_ACCESSED);
	}
	struct segment s = descriptor_segment(&d, selector);
	vcpu_set_segment(seg, &s);
	return 0;
}

int task_load_segments(const struct task_switch *t, const u32 *selectors, u16 ldt, bool vm86)
{
	static const u8 order[] = {SEG_CS, SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS};
	int rc = load_ldt(t, ldt);
	for (unsigned i = 0; !rc && !vm86 && i < ARRAY_SIZE(order); i++)
		rc = load_segment(t, order[i], (u16)selectors[order[i]], selectors[SEG_CS] & SEG_SEL_RPL);
	return rc;
}
