/* SPDX-License-Identifier: Apache-2.0 */
/* From an exit to the instruction emulator and back: gives it the vCPU's registers, segments and paging,
 * and turns its result into state, a fault, or a line in the log. */
#include "emulation.h"

#include "emulator.h"
#include "exit.h"
#include "host.h"
#include "io.h"
#include "linear.h"
#include "log.h"

/* "Fault" of an access that another vCPU kept changing: enter the guest and try again. */
#define VECTOR_RETRY 0xff
/* Decoder's segment order to the VMCS's: the same. */
_Static_assert((int)INSN_ES == (int)SEG_ES && (int)INSN_GS == (int)SEG_GS, "segment numbers");

int emulation_create(struct vcpu *v)
{
	v->emulator = heap_alloc(sizeof(*v->emulator));
	if (!v->emulator)
		return ERR_NOMEM;
	gwalk_cache_init(&v->emulator->walks, &v->guest->mem, &v->tlb);
	return 0;
}

void emulation_destroy(struct vcpu *v)
{
	heap_free(v->emulator);
}

static int fault(struct emulate_ctx *c, u8 vector, bool has_error, u32 error, u64 cr2)
{
	c->fault = (struct emulate_fault){vector, has_error, error, cr2};
	return -1;
}

/* ---- segmentation: SDM volume 3, 5.3 and 5.5 ---- */
#define RIGHTS_TYPE(r) ((r)&0xf)
#define TYPE_CODE 8u
#define TYPE_EXPAND_DOWN 4u /* of data */
#define TYPE_WRITABLE 2u    /* of data; readable, of code */

static bool type_allows(u32 rights, unsigned access)
{
	u32 type = RIGHTS_TYPE(rights);
	if (access & EMULATE_EXEC)
		return type & TYPE_CODE;
	if (access & EMULATE_WRITE)
		return !(type & TYPE_CODE) && (type & TYPE_WRITABLE);
	return !(type & TYPE_CODE) || (type & TYPE_WRITABLE);
}

static bool limit_allows(const struct segment *s, u64 offset, unsigned size)
{
	u64 last = offset + size - 1;
	u32 type = RIGHTS_TYPE(s->rights);
	if (!(type & TYPE_CODE) && (type & TYPE_EXPAND_DOWN))
		return offset > s->limit && last <= (s->rights & BIT(14) ? 0xffffffffu : 0xffffu);
	return last <= s->limit;
}

static int op_linear(struct emulate_ctx *c, enum insn_seg seg, u64 offset, unsigned size, unsigned access,
		     u64 *linear)
{
	struct segment s = vcpu_segment(seg);
	u8 vector = seg == INSN_SS ? VEC_SS : VEC_GP;
	if (c->mode_bits == 64) {
		*linear = offset + (seg == INSN_FS || seg == INSN_GS ? s.base : 0);
		return is_canonical(*linear) && is_canonical(*linear + size - 1)
			   ? 0
			   : fault(c, vector, true, 0, 0);
	}
	*linear = (u32)(s.base + offset);
	if ((s.rights & SEG_UNUSABLE) || !limit_allows(&s, offset, size))
		return fault(c, vector, true, 0, 0);
	/* In real and virtual-8086 mode only the limit counts. */
	bool protected = (vmread(GUEST_CR0) & CR0_PE) && !(vmread(GUEST_RFLAGS) & RFLAGS_VM);
	if (protected && !type_allows(s.rights, access))
		return fault(c, VEC_GP, true, 0, 0);
	return 0;
}

/* ---- paging ---- */
static int op_translate(struct emulate_ctx *c, u64 linear, unsigned access, gpa_t *gpa)
{
	struct vcpu *v = c->opaque;
	struct emulator *e = v->emulator;
	struct gwalk_out out;
	u32 how = (access & EMULATE_WRITE ? GWALK_WRITE : 0) | (access & EMULATE_EXEC ? GWALK_FETCH : 0);
	if (!e->paging_valid) {
		paging_read(v, c->rflags, &e->paging);
		e->paging_valid = true;
	}
	int rc = gwalk_cached(&e->walks, &e->paging, linear, how, &out);
	if (unlikely(rc))
		return rc == ERR_AGAIN ? fault(c, VECTOR_RETRY, false, 0, 0)
				       : fault(c, VEC_PF, true, out.error_code, linear);
	*gpa = out.gpa;
	return 0;
}

/* ---- memory and ports ---- */
static u64 op_read(struct emulate_ctx *c, gpa_t gpa, unsigned size)
{
	struct vcpu *v = c->opaque;
	u64 value = 0;
	if (gmem_slot_of(&v->guest->mem, gpa) && gmem_read(&v->guest->mem, gpa, &value, size) == 0)
		return value;
	if (gpa - v->lapic.mmio < PAGE_SIZE)
		return lapic_mmio_read(&v->lapic, (u32)(gpa - v->lapic.mmio), size);
	return io_read(v->guest, false, gpa, size);
}

static void op_write(struct emulate_ctx *c, gpa_t gpa, unsigned size, u64 value)
{
	struct vcpu *v = c->opaque;
	if (gmem_slot_of(&v->guest->mem, gpa)) {
		gmem_dma_write(&v->guest->mem, gpa, &value, size);
		return;
	}
	if (gpa - v->lapic.mmio < PAGE_SIZE)
		lapic_mmio_write(&v->lapic, (u32)(gpa - v->lapic.mmio), size, value);
	else
		io_write(v->guest, false, gpa, size, value);
}

static u32 op_port_in(struct emulate_ctx *c, u16 port, unsigned size)
{
	struct vcpu *v = c->opaque;
	return (u32)io_read(v->guest, true, port, size);
}

static void op_port_out(struct emulate_ctx *c, u16 port, unsigned size, u32 value)
{
	struct vcpu *v = c->opaque;
	io_write(v->guest, true, port, size, value);
}

static u32 op_port_string(struct emulate_ctx *c, u16 port, unsigned size, bool in, gpa_t gpa, u32 count)
{
	struct vcpu *v = c->opaque;
	const struct gmem_slot *slot = gmem_slot_of(&v->guest->mem, gpa);
	if (!slot || (in && slot->flags & GMEM_READONLY))
		return 0;
	u8 *p = gmem_tlb_ptr(&v->guest->mem, &v->tlb, gpa, (size_t)count * size);
	return p ? io_string(v->guest, port, size, in, p, count) : 0;
}

static const struct emulate_ops ops = {
    .linear = op_linear,
    .translate = op_translate,
    .read = op_read,
    .write = op_write,
    .port_in = op_port_in,
    .port_out = op_port_out,
    .port_string = op_port_string,
};

/* ---- the instruction's bytes ---- */
static int fetch_piece(struct emulate_ctx *c, u64 linear, u8 *to, size_t n)
{
	struct vcpu *v = c->opaque;
	gpa_t gpa;
	int rc = op_translate(c, linear, EMULATE_EXEC, &gpa);
	if (rc)
		return rc;
	const u8 *p = gmem_tlb_ptr(&v->guest->mem, &v->tlb, gpa, n);
	if (unlikely(!p))
		return fault(c, VEC_UD, false, 0, 0); /* the bus reads all-ones there: FF FF */
	if (likely(n == FETCH_BYTES))
		__builtin_memcpy(to, p, FETCH_BYTES); /* two loads; they fetch each byte once */
	else
		memcpy(to, p, n);
	return 0;
}

static u64 code_address(const struct emulate_ctx *c)
{
	return c->mode_bits == 64 ? c->rip : (u32)(vmread(GUEST_CS_BASE) + c->rip);
}

static int fetch_decode(struct emulator *e, const struct insn **in)
{
	struct emulate_ctx *c = &e->ctx;
	u8 bytes[FETCH_BYTES];
	u64 linear = code_address(c);
	size_t n = MIN((size_t)FETCH_BYTES, (size_t)(PAGE_SIZE - (linear & (PAGE_SIZE - 1))));
	if (fetch_piece(c, linear, bytes, n))
		return EMULATE_FAULT;
	int rc = insn_cache_decode(&e->cache, bytes, n, c->mode_bits, in);
	if (rc == ERR_AGAIN && n < FETCH_BYTES) {
		if (fetch_piece(c, linear + n, bytes + n, FETCH_BYTES - n))
			return EMULATE_FAULT;
		rc = insn_cache_decode(&e->cache, bytes, FETCH_BYTES, c->mode_bits, in);
	}
	if (rc == ERR_TOOLONG) {
		fault(c, VEC_GP, true, 0, 0);
		return EMULATE_FAULT;
	}
	return rc ? EMULATE_UNSUPPORTED : EMULATE_DONE;
}

/* ---- results ---- */
static void log_unsupported(struct vcpu *v)
{
	u8 bytes[8] = {0};
	gpa_t gpa;
	struct emulate_ctx *c = &v->emulator->ctx;
	if (!guest_log_unknown(v->guest))
		return;
	if (op_translate(c, code_address(c), EMULATE_EXEC, &gpa) == 0)
		gmem_read(&v->guest->mem, gpa, bytes,
			  MIN(sizeof(bytes), PAGE_SIZE - (gpa & (PAGE_SIZE - 1))));
	log_warn("%s: device memory touched by an instruction that is not emulated: RIP 0x%lx, bytes "
		 "%02x %02x %02x %02x %02x %02x %02x %02x: #UD",
		 v->guest->name, c->rip, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6],
		 bytes[7]);
}

static void raise_fault(struct vcpu *v, const struct emulate_fault *f)
{
	if (f->vector == VECTOR_RETRY)
		return;
	if (f->vector == VEC_PF)
		vcpu_raise_page_fault(v, f->cr2, f->error);
	else if (f->has_error)
		vcpu_raise_code(v, f->vector, f->error);
	else
		vcpu_raise(v, f->vector);
}

static void finish(struct vcpu *v, struct emulate_ctx *c, enum emulate_result result, u64 rflags_before)
{
	if (unlikely(result == EMULATE_UNSUPPORTED)) {
		log_unsupported(v);
		vcpu_raise(v, VEC_UD);
		return;
	}
	vmwrite(GUEST_RIP, c->rip);
	if (c->rflags != rflags_before)
		vmwrite(GUEST_RFLAGS, c->rflags);
	if (unlikely(result == EMULATE_FAULT)) {
		raise_fault(v, &c->fault);
		return;
	}
	u32 blocked = vmread(GUEST_INTERRUPTIBILITY);
	if (unlikely(blocked & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)))
		vmwrite(GUEST_INTERRUPTIBILITY, blocked & ~(u32)(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
	if (unlikely(rflags_before & RFLAGS_TF))
		vcpu_single_step();
}

static void execute(struct vcpu *v, const struct insn *in)
{
	struct emulate_ctx *c = &v->emulator->ctx;
	u64 before = c->rflags;
	if (in->flags & INSN_F_RSP)
		c->regs[REG_RSP] = vmread(GUEST_RSP);
	if (in->flags & INSN_F_STACK)
		c->stack_size = c->mode_bits == 64 ? 8 : vmread(GUEST_SS_ACCESS_RIGHTS) & BIT(14) ? 4 : 2;
	enum emulate_result result = emulate_insn(c, in);
	if (in->flags & INSN_F_RSP)
		vmwrite(GUEST_RSP, c->regs[REG_RSP]);
	finish(v, c, result, before);
}

static void prepare(struct vcpu *v, struct emulator *e)
{
	struct emulate_ctx *c = &e->ctx;
	c->regs = v->regs;
	c->rip = vmread(GUEST_RIP);
	c->rflags = vmread(GUEST_RFLAGS);
	c->ops = &ops;
	c->opaque = v;
	c->interrupted = &v->attention;
	c->page.access = 0;
	c->mode_bits = (u8)vcpu_mode_bits();
	e->paging_valid = false;
}

void emulation_run(struct vcpu *v, gpa_t gpa, bool linear_valid)
{
	struct emulator *e = v->emulator;
	const struct insn *in;
	prepare(v, e);
	int rc = fetch_decode(e, &in);
	if (unlikely(rc != EMULATE_DONE)) {
		finish(v, &e->ctx, (enum emulate_result)rc, e->ctx.rflags);
		return;
	}
	if (likely(linear_valid)) {
		e->ctx.page.linear = vmread(GUEST_LINEAR_ADDRESS) & ~(PAGE_SIZE - 1);
		e->ctx.page.gpa = gpa & ~(PAGE_SIZE - 1);
		e->ctx.page.access = vmread(EXIT_QUALIFICATION) & BIT(1) ? EMULATE_WRITE : EMULATE_READ;
	}
	execute(v, in);
}

/* VM-exit instruction information for INS and OUTS, SDM volume 3, table 28-8. */
void emulation_string_io(struct vcpu *v, u64 q)
{
	struct emulator *e = v->emulator;
	struct insn in;
	u32 info = vmread(EXIT_INSTRUCTION_INFO);
	unsigned addr_size = 2u << ((info >> 7) & 3), seg = (info >> 15) & 7;
	bool ins = q & BIT(3), rep = q & BIT(5);
	prepare(v, e);
	insn_make_string_io(&in, ins ? INSN_INS : INSN_OUTS, (unsigned)(q & 7) + 1, addr_size,
			    ins ? INSN_ES : (enum insn_seg)MIN(seg, (unsigned)INSN_GS), rep,
			    vmread(EXIT_INSTRUCTION_LENGTH), e->ctx.mode_bits);
	execute(v, &in);
}
