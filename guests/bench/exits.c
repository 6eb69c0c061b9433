/* SPDX-License-Identifier: Apache-2.0 */
/* What one VM exit costs: each row is a loop of ROUNDS rounds of one operation after WARM_UP rounds. The TSC
 * of the test machine counts instructions, the hypervisor's included. BENCH name mean min exits
 * [reason=count]... mean: ticks per round of the whole loop (its two or three own instructions included);
 * min: of single rounds between two RDTSC; exits: during the loop that gave the mean, `-` where nobody counts
 * them. */
#include "apic.h"
#include "counters.h"
#include "hyper.h"
#include "irqchip.h"
#include "page.h"
#include "print.h"
#include "test.h"
#include "trap.h"

#define ROUNDS 20000U
#define WARM_UP 100U
#define MIN_ROUNDS 2000U
#define IPI_VECTOR 0x60
#define TIMER_VECTOR 0x61
#define IDLE_TICKS 25000000U
#define PORT_UNCLAIMED 0xd00
#define MMIO_UNCLAIMED 0xd0000000ULL
#define APIC(reg) (*(volatile u32 *)(APIC_MMIO + (reg)))
#define X2(reg) (MSR_X2APIC + (reg) / 16)

void bench_irq_x2(void);
void bench_irq_x(void);

struct row {
	const char *name;
	bool (*prepare)(void);     /* false: this machine cannot */
	u64 (*loop)(unsigned n);   /* ticks for n rounds */
	u64 (*single)(unsigned n); /* least ticks of n rounds */
	void (*finish)(void);
};

/* Defines NAME_loop and NAME_single around one operation. */
#define OPERATION(name, ...)                                                                                 \
	static u64 name##_loop(unsigned n)                                                                   \
	{                                                                                                    \
		u64 t = rdtsc();                                                                             \
		do {                                                                                         \
			__VA_ARGS__;                                                                         \
		} while (--n);                                                                               \
		return rdtsc() - t;                                                                          \
	}                                                                                                    \
	static u64 name##_single(unsigned n)                                                                 \
	{                                                                                                    \
		u64 best = UINT64_MAX;                                                                       \
		do {                                                                                         \
			u64 t = rdtsc();                                                                     \
			__VA_ARGS__;                                                                         \
			t = rdtsc() - t;                                                                     \
			best = t < best ? t : best;                                                          \
		} while (--n);                                                                               \
		return best;                                                                                 \
	}

static u8 *fresh_page;

OPERATION(empty, __asm__ volatile(""))
OPERATION(cpuid, cpuid(0, 0))
OPERATION(vmcall, hypercall(HYPERCALL_UNKNOWN, 0, 0))
OPERATION(rdmsr_8b, rdmsr(MSR_BIOS_SIGN_ID))
OPERATION(rdmsr_1b, rdmsr(MSR_APIC_BASE))
OPERATION(wrmsr_6e0, wrmsr(MSR_TSC_DEADLINE, (u64)0x7fffffff << 32))
OPERATION(wbinvd, __asm__ volatile("wbinvd" ::: "memory"))
OPERATION(cr0_ts, write_cr0(read_cr0() ^ CR0_TS))
OPERATION(in_pic, inb(PIC_MASTER_DATA))
OPERATION(in_pit, inb(PIT_COUNTER0))
OPERATION(out_none, outb(PORT_UNCLAIMED, 0))
OPERATION(ioapic, *(volatile u32 *)(IOAPIC_MMIO + 0x10))
OPERATION(mmio_none, *(volatile u32 *)MMIO_UNCLAIMED)
OPERATION(hlt_x2, wrmsr(X2(APIC_SELF_IPI), IPI_VECTOR); __asm__ volatile("sti\n\thlt\n\tcli" ::: "memory"))
OPERATION(hlt_x, APIC(APIC_ICR) = APIC_ICR_SELF | APIC_ICR_ASSERT | IPI_VECTOR;
	  __asm__ volatile("sti\n\thlt\n\tcli" ::
			       : "memory"))
OPERATION(tpr_cr8, write_cr8(1))
OPERATION(tpr_x2, wrmsr(X2(APIC_TPR), 0x10))
OPERATION(tpr_x, APIC(APIC_TPR) = 0x10)
OPERATION(eoi_x2, wrmsr(X2(APIC_EOI), 0))
OPERATION(eoi_x, APIC(APIC_EOI) = 0)
OPERATION(self_ipi_x2, wrmsr(X2(APIC_SELF_IPI), IPI_VECTOR))
OPERATION(self_ipi_x, APIC(APIC_ICR) = APIC_ICR_SELF | APIC_ICR_ASSERT | IPI_VECTOR)
OPERATION(touch, *(volatile u8 *)fresh_page = 1; fresh_page += PAGE_SIZE)

static bool use_x2(void)
{
	if (!apic_has_x2())
		return false;
	apic_init(true);
	trap_gate(IPI_VECTOR, bench_irq_x2);
	return true;
}

static bool use_x(void)
{
	apic_init(false);
	trap_gate(IPI_VECTOR, bench_irq_x);
	return true;
}

/* Takes what the row left pending. */
static void drain(void)
{
	apic_write(APIC_TPR, 0);
	irq_window();
}

static bool use_deadline(void)
{
	if (!apic_has_deadline())
		return false;
	apic_init(false);
	apic_write(APIC_LVT_TIMER, APIC_TIMER_DEADLINE | TIMER_VECTOR);
	return true;
}

static void stop_deadline(void)
{
	wrmsr(MSR_TSC_DEADLINE, 0);
	apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
}

static void clear_ts(void)
{
	write_cr0(read_cr0() & ~CR0_TS);
}

static bool select_ioapic(void)
{
	ioapic_read(1);
	return true;
}

#define ROW(name, op, prepare, finish)                                                                       \
	{                                                                                                    \
		name, prepare, op##_loop, op##_single, finish                                                \
	}

static const struct row rows[] = {
    ROW("loop", empty, NULL, NULL),
    ROW("cpuid", cpuid, NULL, NULL),
    ROW("vmcall-unknown", vmcall, NULL, NULL),
    ROW("rdmsr-0x8b", rdmsr_8b, NULL, NULL),
    ROW("rdmsr-0x1b", rdmsr_1b, NULL, NULL),
    ROW("wrmsr-deadline", wrmsr_6e0, use_deadline, stop_deadline),
    ROW("wbinvd", wbinvd, NULL, NULL),
    ROW("mov-cr0-ts", cr0_ts, NULL, clear_ts),
    ROW("in-pic", in_pic, NULL, NULL),
    ROW("in-pit", in_pit, NULL, NULL),
    ROW("out-unclaimed", out_none, NULL, NULL),
    ROW("ioapic-read", ioapic, select_ioapic, NULL),
    ROW("mmio-unclaimed", mmio_none, NULL, NULL),
    ROW("ipi-hlt-xapic", hlt_x, use_x, NULL),
    ROW("tpr-cr8", tpr_cr8, use_x, drain),
    ROW("tpr-xapic", tpr_x, use_x, drain),
    ROW("eoi-xapic", eoi_x, use_x, drain),
    ROW("self-ipi-xapic", self_ipi_x, use_x, drain),
    ROW("ipi-hlt-x2apic", hlt_x2, use_x2, NULL),
    ROW("tpr-x2apic", tpr_x2, use_x2, drain),
    ROW("eoi-x2apic", eoi_x2, use_x2, drain),
    ROW("self-ipi-x2apic", self_ipi_x2, use_x2, drain),
};

static void report(const char *name, u64 ticks, unsigned rounds, u64 least)
{
	u64 tenths = ticks * 10 / rounds;

	print("BENCH %s %lu.%lu %lu ", name, tenths / 10, tenths % 10, least);
	counters_print_difference();
	print("\n");
}

static void run_row(void *arg)
{
	const struct row *r = arg;
	u64 ticks, least;

	if (r->prepare && !r->prepare()) {
		print("BENCH %s - - - absent\n", r->name);
		return;
	}
	r->loop(WARM_UP);
	counters_snapshot();
	ticks = r->loop(ROUNDS);
	counters_stop();
	least = r->single(MIN_ROUNDS);
	report(r->name, ticks, ROUNDS, least);
	if (r->finish)
		r->finish();
}

static void exits_test(void)
{
	trap_gate(TIMER_VECTOR, bench_irq_x);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		u32 vector = trap_catch(run_row, (void *)(u64)&rows[i]);

		if (vector != NO_FAULT)
			print("BENCH %s - - - fault=%u\n", rows[i].name, vector);
		expect(vector == NO_FAULT || guest_platform() != PLATFORM_SOCLE, "%s: vector %u",
		       rows[i].name, vector);
	}
}

static void touch_row(const char *name, unsigned rounds, unsigned singles)
{
	u64 ticks, least;

	touch_loop(WARM_UP);
	counters_snapshot();
	ticks = touch_loop(rounds);
	counters_stop();
	least = touch_single(singles);
	report(name, ticks, rounds, least);
}

/* Half a second in HLT by the one-shot timer, so that the hypervisor has idle time. */
static void idle(void)
{
	trap_gate(TIMER_VECTOR, bench_irq_x);
	apic_init(false);
	apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, TIMER_VECTOR);
	apic_write(APIC_TIMER_INITIAL, IDLE_TICKS);
	__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
}

/* Pages never touched before: with `pages = 4k` each costs one EPT violation that maps it. First as it is
 * right after the start, then after the machine was idle: a hypervisor may have zeroed pages meanwhile. */
static void touch_test(void)
{
	u64 start, end;

	mem_free_range(&start, &end);
	if (!expect(end - start >= (ROUNDS + 2 * MIN_ROUNDS + 4 * WARM_UP) * PAGE_SIZE,
		    "needs 128 MiB of RAM"))
		return;
	fresh_page = (u8 *)start;
	touch_row("ept-violation-cold", WARM_UP, WARM_UP);
	idle();
	touch_row("ept-violation", ROUNDS, MIN_ROUNDS);
}

const struct test guest_tests[] = {
    {"touch", touch_test, 0}, /* first, while the pages are fresh */
    {"exits", exits_test, 0},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
