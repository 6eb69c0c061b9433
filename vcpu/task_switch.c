/* SPDX-License-Identifier: Apache-2.0 */
/* Hardware task switches, which VMX leaves to the hypervisor: SDM volume 3, chapter 8, in the order of
 * section 8.3; the exit: 26.4.2 and table 28-4. The processor has made the checks of privilege. */
#include "task_segment.h"
#include "x86_ops.h"

/* Who asked, bits 31:30 of the exit qualification. */
enum { FROM_CALL, FROM_IRET, FROM_JMP, FROM_IDT };

/* A TSS (task-state segment) from its EIP on: EIP, EFLAGS, eight registers, six selectors. */
#define IMAGE_EFLAGS 1
#define IMAGE_REGS 2
#define IMAGE_SELECTORS 10
#define IMAGE_WORDS 16
#define IMAGE_WORDS_16 14 /* no FS, no GS */

struct task_image {
	u32 word[IMAGE_WORDS];
	u32 cr3;
	u16 ldt;
	bool trap;
};

/* The two formats, SDM volume 3, figures 8-2 and 8-10. */
#define TSS32_IMAGE 0x20u
#define TSS32_SIZE 0x68u
#define TSS16_IMAGE 0x0eu
#define TSS16_SIZE 0x2cu
#define TSS_TYPE_32 8u
#define TSS_TYPE_BUSY 2u
#define SEG_TYPE_TSS16_AVAIL 1u

#define EFLAGS_LOADED ((u32)0x3f7fd5)
#define DR7_LOCAL ((u64)0x155) /* L0 to L3 and LE: end with the task */

/* All that is read or written, found before the first write. */
struct task_places {
	struct descriptor old_desc, new_desc;
	struct segment old_tr, new_tr;
	struct linear_span old_image, new_tss, link;
};

static bool is_nested(const struct task_switch *t)
{
	return t->source == FROM_CALL || t->source == FROM_IDT;
}

static bool tss_is_32(const struct segment *tr)
{
	return tr->rights & TSS_TYPE_32;
}

/* Steps 3 and 4. */
static int find_new(const struct task_switch *t, struct task_places *p)
{
	bool iret = t->source == FROM_IRET;
	unsigned vector = iret ? VEC_TS : VEC_GP;
	if ((t->selector & SEG_SEL_TI) || !(t->selector & ~SEG_SEL_RPL))
		return task_fault(t, vector, t->selector);
	int rc = descriptor_find(t, t->selector, iret ? 0 : GWALK_WRITE, vector, &p->new_desc);
	if (rc)
		return rc;
	unsigned type = DESC_TYPE(p->new_desc.raw) & ~TSS_TYPE_32;
	if ((p->new_desc.raw & DESC_S) ||
	    type != (iret ? SEG_TYPE_TSS16_AVAIL | TSS_TYPE_BUSY : SEG_TYPE_TSS16_AVAIL))
		return task_fault(t, vector, t->selector);
	if (!(p->new_desc.raw & DESC_P))
		return task_fault(t, VEC_NP, t->selector);
	p->new_tr = descriptor_segment(&p->new_desc, t->selector);
	if (p->new_tr.limit < (tss_is_32(&p->new_tr) ? TSS32_SIZE : TSS16_SIZE) - 1)
		return task_fault(t, VEC_TS, t->selector);
	return 0;
}

/* Step 5: whatever can fault does so while the old task is whole. */
static int find_memory(const struct task_switch *t, struct task_places *p)
{
	u32 size = tss_is_32(&p->new_tr) ? TSS32_SIZE : TSS16_SIZE, access = GWALK_IMPLICIT;
	p->old_tr = vcpu_segment(SEG_TR);
	bool wide = tss_is_32(&p->old_tr);
	u32 offset = wide ? TSS32_IMAGE : TSS16_IMAGE;
	u32 length = wide ? IMAGE_WORDS * 4u : IMAGE_WORDS_16 * 2u;
	if (offset + length - 1 > p->old_tr.limit)
		return task_fault(t, VEC_TS, t->selector);
	int rc = linear_find(t->v, &t->paging, (u32)p->old_tr.base + offset, length, access | GWALK_WRITE,
			     &p->old_image);
	rc = rc ? rc : linear_find(t->v, &t->paging, (u32)p->new_tr.base, size, access, &p->new_tss);
	if (!rc && is_nested(t))
		rc = linear_find(t->v, &t->paging, (u32)p->new_tr.base, 2, access | GWALK_WRITE, &p->link);
	if (!rc && !is_nested(t))
		rc = descriptor_find(t, p->old_tr.selector, GWALK_WRITE, VEC_TS, &p->old_desc);
	return rc;
}

/* Software interrupts and instructions resume behind themselves. */
static u32 resume_eip(const struct task_switch *t)
{
	const struct vmx_events *e = &t->v->events;
	u32 eip = (u32)vmread(GUEST_RIP);
	if (t->source != FROM_IDT)
		return eip + vmread(EXIT_INSTRUCTION_LENGTH);
	return EVENT_TYPE(e->vectoring_info) >= EVENT_SW_INTERRUPT ? eip + e->vectoring_length : eip;
}

/* Steps 6 to 8. */
static void save_old(const struct task_switch *t, struct task_places *p)
{
	struct task_image image = {.word = {resume_eip(t), (u32)vmread(GUEST_RFLAGS)}};
	u16 narrow[IMAGE_WORDS_16];
	if (t->source == FROM_IRET)
		image.word[IMAGE_EFLAGS] &= ~(u32)RFLAGS_NT;
	for (unsigned i = 0; i < 8; i++)
		image.word[IMAGE_REGS + i] = (u32)vcpu_reg(t->v, i);
	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		image.word[IMAGE_SELECTORS + i] = vcpu_segment(i).selector;
	for (unsigned i = 0; i < IMAGE_WORDS_16; i++)
		narrow[i] = (u16)image.word[i];
	if (!is_nested(t))
		descriptor_set_type(t, &p->old_desc, DESC_TYPE(p->old_desc.raw) & ~TSS_TYPE_BUSY);
	if (tss_is_32(&p->old_tr))
		linear_write(t->v, &p->old_image, image.word);
	else
		linear_write(t->v, &p->old_image, narrow);
}

static void read_new(const struct task_switch *t, const struct task_places *p, struct task_image *image)
{
	u32 wide[TSS32_SIZE / 4];
	u16 narrow[TSS16_SIZE / 2];
	memset(image, 0, sizeof(*image));
	if (tss_is_32(&p->new_tr)) {
		linear_read(t->v, &p->new_tss, wide);
		memcpy(image->word, &wide[TSS32_IMAGE / 4], sizeof(image->word));
		image->cr3 = wide[7];
		image->ldt = (u16)wide[24];
		image->trap = wide[25] & 1;
		return;
	}
	linear_read(t->v, &p->new_tss, narrow);
	for (unsigned i = 0; i < IMAGE_WORDS_16; i++)
		image->word[i] = narrow[TSS16_IMAGE / 2 + i];
	image->word[IMAGE_EFLAGS] &= 0xffff;
	image->ldt = narrow[21];
}

/* No shadow of STI or MOV SS outlives the old task. A delivery of an NMI has blocked further ones, also
 * when it fails from here on; IRET ends that, whatever becomes of it. */
static void update_blocking(const struct task_switch *t)
{
	u32 event = t->v->events.vectoring_info;
	u32 blocked = vmread(GUEST_INTERRUPTIBILITY) & ~(u32)(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);
	if (t->source == FROM_IRET)
		blocked &= ~(u32)BLOCKED_BY_NMI;
	if (event && EVENT_TYPE(event) == EVENT_NMI)
		blocked |= (u32)BLOCKED_BY_NMI;
	vmwrite(GUEST_INTERRUPTIBILITY, blocked);
}

/* Steps 9 to 11. */
static void enter_new(const struct task_switch *t, struct task_places *p, struct task_image *image)
{
	if (is_nested(t)) {
		linear_write(t->v, &p->link, &p->old_tr.selector);
		image->word[IMAGE_EFLAGS] |= (u32)RFLAGS_NT;
	}
	if (t->source != FROM_IRET)
		descriptor_set_type(t, &p->new_desc, DESC_TYPE(p->new_desc.raw) | TSS_TYPE_BUSY);
	p->new_tr.rights |= TSS_TYPE_BUSY;
	vcpu_set_segment(SEG_TR, &p->new_tr);
	vmwrite(GUEST_CR0, vmread(GUEST_CR0) | CR0_TS);
	vmwrite(GUEST_DR7, vmread(GUEST_DR7) & ~DR7_LOCAL);
	update_blocking(t);
}

static int load_cr3(const struct task_switch *t, u32 cr3)
{
	u64 cr0 = vmread(GUEST_CR0);
	if (!(cr0 & CR0_PG))
		return 0;
	if (!vcpu_load_pdptes(t->v, cr0, cr3, vmread(GUEST_CR4)))
		return task_fault(t, VEC_GP, 0);
	vmwrite(GUEST_CR3, cr3);
	if (t->v->vpid)
		vmx_invvpid_single(t->v->vpid);
	return 0;
}

/* Steps 12 and 13: faults belong to the new task. */
static int load_new(struct task_switch *t, const struct task_places *p, const struct task_image *image)
{
	u64 eflags = (image->word[IMAGE_EFLAGS] & EFLAGS_LOADED) | RFLAGS_FIXED1;
	vmwrite(GUEST_RIP, image->word[0]);
	vmwrite(GUEST_RFLAGS, eflags);
	task_set_selectors(&image->word[IMAGE_SELECTORS], eflags & RFLAGS_VM);
	for (unsigned i = 0; i < 8; i++)
		vcpu_set_reg(t->v, i, image->word[IMAGE_REGS + i]);
	int rc = tss_is_32(&p->new_tr) ? load_cr3(t, image->cr3) : 0;
	if (rc)
		return rc;
	paging_read(t->v, eflags, &t->paging);
	return task_load_segments(t, &image->word[IMAGE_SELECTORS], image->ldt, eflags & RFLAGS_VM);
}

/* The error code of the exception that the new task handles, as wide as its TSS. */
static int push_error_code(struct task_switch *t, bool wide)
{
	struct segment ss = vcpu_segment(SEG_SS);
	struct linear_span span;
	u32 size = wide ? 4 : 2, mask = ss.rights & BIT(14) ? 0xffffffff : 0xffff;
	u32 esp = (u32)vmread(GUEST_RSP), sp = (esp - size) & mask;
	u64 last = (u64)sp + size - 1;
	bool expand_down = ss.rights & BIT(2);
	if (expand_down ? sp <= ss.limit || last > mask : last > ss.limit)
		return task_fault(t, VEC_SS, 0);
	paging_read(t->v, vmread(GUEST_RFLAGS), &t->paging);
	int rc = linear_find(t->v, &t->paging, (u32)ss.base + sp, size, GWALK_WRITE, &span);
	if (rc)
		return rc;
	linear_write(t->v, &span, &t->v->events.vectoring_code);
	vmwrite(GUEST_RSP, (esp & ~mask) | sp);
	return 0;
}

/* The event that came through a task gate is delivered, the instruction is done. */
static void complete(const struct task_switch *t, bool trap)
{
	t->v->events.vectoring_info = 0;
	if (trap) {
		write_dr6(read_dr6() | DR6_BT);
		vmwrite(GUEST_DR7, vmread(GUEST_DR7) & ~DR7_GD);
		vcpu_raise(t->v, VEC_DB);
	}
}

/* Past the point of no return a fault is the new task's, and there is no trying again. */
static void switch_tasks(struct task_switch *t, struct task_places *p)
{
	u32 event = t->v->events.vectoring_info;
	struct task_image image;
	save_old(t, p);
	read_new(t, p, &image);
	enter_new(t, p, &image);
	int rc = load_new(t, p, &image);
	if (!rc && (event & EVENT_HAS_CODE))
		rc = push_error_code(t, tss_is_32(&p->new_tr));
	if (!rc)
		complete(t, image.trap);
	else if (rc == ERR_AGAIN)
		guest_fail(t->v->guest, "page tables change all the time under a task switch");
}

void exit_task_switch(struct vcpu *v)
{
	vcpu_save_vectoring(v);
	u64 q = vmread(EXIT_QUALIFICATION);
	u32 event = v->events.vectoring_info, type = EVENT_TYPE(event);
	struct task_switch t = {.v = v, .selector = (u16)q, .source = (q >> 30) & 3};
	struct task_places places;
	t.ext = (event & EVENT_VALID) && type != EVENT_SW_INTERRUPT && type != EVENT_SW_EXCEPTION;
	paging_read(v, vmread(GUEST_RFLAGS), &t.paging);
	int rc = find_new(&t, &places);
	rc = rc ? rc : find_memory(&t, &places);
	if (!rc)
		switch_tasks(&t, &places);
	else if (rc == ERR_AGAIN)
		vcpu_set_request(v, VCPU_REQ_EVENT); /* the event, if there was one, goes in again */
}
