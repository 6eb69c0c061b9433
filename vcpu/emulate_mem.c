/* SPDX-License-Identifier: Apache-2.0 */
/* Memory operands of emulated instructions, the slow half: segmentation, paging, page crossing. */
#include "emulate_mem.h"

int emulate_raise(struct emulate_ctx *c, unsigned vector)
{
	c->fault = (struct emulate_fault){.vector = (u8)vector, .has_error = true};
	return -1;
}

static int translate(struct emulate_ctx *c, u64 linear, unsigned access, struct emulate_page *known,
		     bool learn, gpa_t *gpa)
{
	u64 in_page = linear ^ known->linear;

	if (in_page < PAGE_SIZE && access <= known->access) {
		*gpa = known->gpa + in_page;
		return 0;
	}
	if (c->ops->translate(c, linear, access, gpa))
		return -1;
	if (learn) {
		known->linear = ALIGN_DOWN(linear, PAGE_SIZE);
		known->gpa = ALIGN_DOWN(*gpa, PAGE_SIZE);
		known->access = access;
	}
	return 0;
}

int emulate_resolve_slow(struct emulate_ctx *c, bool flat, enum insn_seg seg, u64 offset, unsigned size,
			 unsigned access, struct emulate_page *learn, struct emulate_operand *op)
{
	u64 linear = offset;

	if (!flat) {
		if (c->ops->linear(c, seg, offset, size, access, &linear))
			return -1;
	} else if (!is_canonical(linear) || !is_canonical(linear + size - 1)) {
		return emulate_raise(c, seg == INSN_SS ? VEC_SS : VEC_GP);
	}
	op->size = size;
	op->first = (unsigned)MIN((u64)size, PAGE_SIZE - linear % PAGE_SIZE);
	if (translate(c, linear, access, learn ? learn : &c->page, learn, &op->gpa))
		return -1;
	if (op->first == size)
		return 0;
	linear += op->first;
	if (c->mode_bits != 64)
		linear = (u32)linear; /* wraps at 4 GiB: SDM volume 3, 3.3.5 */
	return translate(c, linear, access, &c->page, false, &op->gpa2);
}

u64 emulate_read_split(struct emulate_ctx *c, const struct emulate_operand *op)
{
	u64 value = 0;

	for (unsigned i = 0; i < op->size; i++) {
		gpa_t gpa = i < op->first ? op->gpa + i : op->gpa2 + i - op->first;
		value |= (c->ops->read(c, gpa, 1) & 0xff) << (8 * i);
	}
	return value;
}

void emulate_write_split(struct emulate_ctx *c, const struct emulate_operand *op, u64 value)
{
	for (unsigned i = 0; i < op->size; i++) {
		gpa_t gpa = i < op->first ? op->gpa + i : op->gpa2 + i - op->first;
		c->ops->write(c, gpa, 1, value >> (8 * i) & 0xff);
	}
}
