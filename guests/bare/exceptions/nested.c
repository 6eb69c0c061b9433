/* SPDX-License-Identifier: Apache-2.0 */
/* A second fault while the first event is delivered: what comes out follows SDM vol. 3, table 6-5, with the
 * right error code; and events whose delivery touches pages that the hypervisor has just unmapped (port 0xe4
 * of the test device) arrive once and unharmed. M18. */
#include "apic.h"
#include "exceptions.h"

#define ERR_EXT 1U
#define ERR_IDT 2U
#define SEL_BEYOND 0xfff8
#define GATE_PRESENT 0x80
#define PORT_UNMAP 0xe4
#define IST_BROKEN 2

enum class { BENIGN, CONTRIBUTORY, PAGE_FAULT };

struct first {
	const char *name;
	void (*raise)(void *);
	const char *rip;
	u8 vector;
	enum class class;
	u32 ext; /* set in the second's error code */
};

static const struct first firsts[] = {
    {"#UD", raise_ud, raise_ud_at, VEC_UD, BENIGN, ERR_EXT},
    {"#DE", raise_de, raise_de_at, VEC_DE, CONTRIBUTORY, ERR_EXT},
    {"#GP", raise_gp, raise_gp_at, VEC_GP, CONTRIBUTORY, ERR_EXT},
    {"#PF", raise_pf, raise_pf_at, VEC_PF, PAGE_FAULT, ERR_EXT},
    {"INT n", raise_soft, raise_soft_at, SOFT_VECTOR, BENIGN, 0},
    {"INT3", raise_int3, raise_int3_at, VEC_BP, BENIGN, 0},
};

static void outcome(const struct first *f, u32 got, u32 second, u64 error, const char *how)
{
	bool pf = second == VEC_PF;
	bool df = f->class == PAGE_FAULT || (f->class == CONTRIBUTORY && !pf);

	if (!expect(got == (df ? VEC_DF : second), "%s, then %s: vector %u", f->name, how, got))
		return;
	/* Processors differ in the selector that #SS names for a stack of the interrupt stack table. */
	expect((trap_last.error & (second == VEC_SS ? ERR_EXT : UINT64_MAX)) == (df ? 0 : error),
	       "%s, then %s: error code 0x%lx", f->name, how, trap_last.error);
	if (!df) /* the RIP of a double fault is undefined */
		expect(trap_last.rip == (u64)f->rip, "%s, then %s: RIP 0x%lx", f->name, how, trap_last.rip);
	if (pf)
		expect(df || trap_last.cr2 >> 12 == (UNMAPPED_VA - 1) >> 12, "%s, then %s: CR2 0x%lx",
		       f->name, how, trap_last.cr2);
}

/* An interrupt whose delivery failed is in service all the same. */
static u32 attempt(const struct first *f)
{
	u32 vector = trap_catch(f->raise, NULL);

	if (f->vector == IPI_VECTOR)
		apic_eoi();
	return vector;
}

static void with_gate(const struct first *f)
{
	struct gate *g = &trap_idt[f->vector], saved = *g;

	g->type &= (u8)~GATE_PRESENT;
	outcome(f, attempt(f), VEC_NP, f->vector * 8U | ERR_IDT | f->ext, "gate not present");
	*g = saved;

	g->selector = SEL_BEYOND;
	outcome(f, attempt(f), VEC_GP, SEL_BEYOND | f->ext, "gate with a bad selector");
	*g = saved;

	g->type = GATE_PRESENT | 5; /* a task gate does not exist in long mode */
	outcome(f, attempt(f), VEC_GP, f->vector * 8U | ERR_IDT | f->ext, "gate of a bad type");
	*g = saved;

	trap_gate_ist(f->vector, IST_BROKEN);
	trap_tss.ist[IST_BROKEN - 1] = UNMAPPED_VA;
	outcome(f, attempt(f), VEC_PF, 2, "stack not mapped");
	trap_tss.ist[IST_BROKEN - 1] = NOT_CANONICAL_VA;
	outcome(f, attempt(f), VEC_SS, f->ext, "stack not canonical");
	*g = saved;
}

void nested_test(void)
{
	if (guest_platform() == PLATFORM_TCG) {
		test_skip("TCG does not check all gate types and orders faults differently");
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(firsts); i++)
		with_gate(&firsts[i]);
}

void nested_interrupt_test(void)
{
	static const struct first interrupt = {"interrupt", raise_ipi, raise_ipi_at,
					       IPI_VECTOR,  BENIGN,    ERR_EXT};

	if (guest_platform() == PLATFORM_TCG) {
		test_skip("TCG orders faults differently");
		return;
	}
	apic_init(false);
	for (unsigned i = 0; i < 3; i++) {
		with_gate(&interrupt);
		expect(!apic_bit(APIC_IRR, IPI_VECTOR) && !apic_bit(APIC_ISR, IPI_VECTOR),
		       "vector left in IRR or ISR");
	}
}

static volatile u64 delivered, delivered_error;

static void count_handler(struct regs *r)
{
	delivered++;
	delivered_error = r->error;
	if (r->vector == IPI_VECTOR)
		apic_eoi();
	else if (r->vector == VEC_UD || r->vector == VEC_DE || r->vector == VEC_PF || r->vector == VEC_GP)
		r->rip += 2; /* each raiser's faulting instruction has two bytes */
}

static void unmap_page(const volatile void *p)
{
	outl(PORT_UNMAP, (u32)(u64)p & ~0xfffU);
}

static void reinjection(const struct first *f, const volatile void *page, const char *what)
{
	u64 before = delivered;

	unmap_page(page);
	f->raise(NULL);
	expect(delivered == before + 1, "%s with %s unmapped: delivered %lu times", f->name, what,
	       delivered - before);
	expect(delivered_error == 0, "%s with %s unmapped: error code 0x%lx", f->name, what, delivered_error);
}

static const struct first reinjected[] = {
    {"#UD", raise_ud, raise_ud_at, VEC_UD, BENIGN, 0},
    {"#DE", raise_de, raise_de_at, VEC_DE, BENIGN, 0},
    {"#GP", raise_gp, raise_gp_at, VEC_GP, BENIGN, 0},
    {"#PF", raise_pf, raise_pf_at, VEC_PF, BENIGN, 0},
    {"INT n", raise_soft, raise_soft_at, SOFT_VECTOR, BENIGN, 0},
    {"INT3", raise_int3, raise_int3_at, VEC_BP, BENIGN, 0},
    {"interrupt", raise_ipi, raise_ipi_at, IPI_VECTOR, BENIGN, 0},
};

/* With virtual-interrupt delivery Bochs 2.7 gives a stale vector in the IDT-vectoring information of an exit
 * that interrupts the delivery of a virtual interrupt: no hypervisor can put that right. */
static bool skipped(const struct first *f)
{
	return f->vector == IPI_VECTOR && test_has_word("bochs-vid");
}

void reinjection_test(void)
{
	static u8 ist_stack[2 * PAGE_SIZE] __attribute__((aligned(4096)));
	extern char trap_stubs[];

	apic_init(false);
	trap_tss.ist[IST_BROKEN - 1] = (u64)ist_stack + PAGE_SIZE + 16; /* the frame spans two pages */
	for (unsigned i = 0; i < ARRAY_SIZE(reinjected); i++) {
		const struct first *f = &reinjected[i];

		if (skipped(f))
			continue;
		trap_handler(f->vector, count_handler);
		f->raise(NULL);
		reinjection(f, trap_idt, "the IDT");
		reinjection(f, boot_gdt, "the GDT");
		reinjection(f, &trap_tss, "the TSS");
		reinjection(f, __builtin_frame_address(0), "the stack");
		reinjection(f, trap_stubs + f->vector * 16, "the handler");
		reinjection(f, boot_pml4, "the page tables");
		reinjection(f, f->rip, "the instruction");
		reinjection(f, &trap_idt[f->vector], "nothing of use");
		trap_gate_ist(f->vector, IST_BROKEN);
		reinjection(f, ist_stack, "the lower page of the stack");
		reinjection(f, ist_stack + PAGE_SIZE, "the upper page of the stack");
		trap_gate_ist(f->vector, 0);
		trap_handler(f->vector, NULL);
	}
}

/* Many times, all pages at once, in a changing order. */
void reinjection_loop_test(void)
{
	const volatile void *pages[] = {trap_idt, boot_gdt, &trap_tss, __builtin_frame_address(0), boot_pml4};

	apic_init(false);
	for (unsigned i = 0; i < ARRAY_SIZE(reinjected); i++)
		trap_handler(reinjected[i].vector, count_handler);
	for (unsigned round = 0; round < 500; round++) {
		const struct first *f = &reinjected[round % ARRAY_SIZE(reinjected)];

		if (skipped(f))
			continue;
		for (unsigned p = 0; p < ARRAY_SIZE(pages); p++)
			unmap_page(pages[(p + round) % ARRAY_SIZE(pages)]);
		reinjection(f, f->rip, "everything");
	}
	for (unsigned i = 0; i < ARRAY_SIZE(reinjected); i++)
		trap_handler(reinjected[i].vector, NULL);
}

const struct test guest_tests[] = {
    {"faults-ring0", faults_ring0_test, 0},
    {"faults-ring3", faults_ring3_test, 0},
    {"page-faults", page_faults_test, 0},
    {"alignment", alignment_test, 0},
    {"software-interrupts", software_interrupts_test, 0},
    {"nested", nested_test, 0},
    {"nested-interrupt", nested_interrupt_test, 0},
    {"reinjection", reinjection_test, 0},
    {"reinjection-loop", reinjection_loop_test, 0},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
