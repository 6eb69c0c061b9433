/* SPDX-License-Identifier: Apache-2.0 */
/* The local APIC's timer: one-shot, periodic, TSC deadline. SDM vol. 3, 11.5.4. */
#include "apictest.h"

#define TIMER_VECTOR 0x70
#define SHORT_COUNT 20000U
#define PATIENCE 20000000U

static volatile u64 fired_at;

static void timer_handler(struct regs *r)
{
	fired_at = rdtsc();
	irq_log_handler(r);
}

/* Waits with IF = 1 until n interrupts have come. */
static bool wait_for(unsigned n)
{
	unsigned patience = PATIENCE;

	irq_enable();
	while (irq_count < n && --patience)
		cpu_pause();
	irq_disable();
	return irq_count >= n;
}

/* Ticks of the TSC in about n ticks of the 8254. */
static u64 tsc_in_pit(u16 n)
{
	u64 t = rdtsc();

	pit_wait(n);
	return rdtsc() - t;
}

static void start(u32 mode, u32 divide, u32 count)
{
	trap_handler(TIMER_VECTOR, timer_handler);
	apic_write(APIC_TIMER_DIVIDE, divide);
	apic_write(APIC_LVT_TIMER, mode | TIMER_VECTOR);
	apic_write(APIC_TIMER_INITIAL, count);
}

void one_shot_test(void)
{
	u32 first, second;

	start(0, APIC_DIVIDE_BY_1, 0x7fffffff);
	first = apic_read(APIC_TIMER_CURRENT);
	tsc_in_pit(100);
	second = apic_read(APIC_TIMER_CURRENT);
	expect(second < first && second, "current count 0x%x, later 0x%x", first, second);
	apic_write(APIC_TIMER_INITIAL, 0);
	expect_eq(apic_read(APIC_TIMER_CURRENT), 0, "count after stopping");
	irq_window();
	expect_eq(irq_count, 0, "interrupts after stopping");

	start(0, APIC_DIVIDE_BY_1, SHORT_COUNT);
	expect(wait_for(1), "no interrupt");
	expect_eq(apic_read(APIC_TIMER_CURRENT), 0, "count behind the end");
	tsc_in_pit(2000);
	irq_window();
	EXPECT_IRQS("one-shot", TIMER_VECTOR);
	expect_eq(apic_read(APIC_TIMER_INITIAL), SHORT_COUNT, "initial count");

	start(APIC_LVT_MASKED, APIC_DIVIDE_BY_1, SHORT_COUNT);
	tsc_in_pit(2000);
	while (apic_read(APIC_TIMER_CURRENT))
		cpu_pause();
	apic_write(APIC_LVT_TIMER, TIMER_VECTOR);
	irq_window();
	expect_eq(irq_count, 0, "interrupts of a masked timer");

	start(0, 0xa, SHORT_COUNT); /* divide by 128 */
	expect(wait_for(1), "no interrupt with division by 128");
	EXPECT_IRQS("divided", TIMER_VECTOR);
	for (unsigned i = 0; i < 50; i++) { /* halting until it comes */
		start(0, APIC_DIVIDE_BY_1, SHORT_COUNT);
		__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
		EXPECT_IRQS("HLT", TIMER_VECTOR);
	}
}

void periodic_test(void)
{
	u64 begin, end;
	unsigned before;

	start(APIC_TIMER_PERIODIC, APIC_DIVIDE_BY_1, SHORT_COUNT);
	expect(wait_for(3), "no three interrupts");
	begin = fired_at;
	expect(wait_for(23), "no twenty more");
	end = fired_at;
	expect(end > begin, "time does not advance");
	irq_log_clear();
	/* Masked, it goes on counting; unmasked, it fires again. */
	apic_write(APIC_LVT_TIMER, APIC_TIMER_PERIODIC | APIC_LVT_MASKED | TIMER_VECTOR);
	irq_window();
	irq_log_clear();
	tsc_in_pit(500);
	irq_window();
	expect_eq(irq_count, 0, "interrupts of a masked periodic timer");
	apic_write(APIC_LVT_TIMER, APIC_TIMER_PERIODIC | TIMER_VECTOR);
	expect(wait_for(2), "no interrupt after unmasking");
	apic_write(APIC_TIMER_INITIAL, 0);
	irq_window();
	before = irq_count;
	tsc_in_pit(1000);
	irq_window();
	expect_eq(irq_count, before, "interrupts after stopping");
	irq_log_clear();
}

static void deadline_fires(u64 distance)
{
	u64 deadline = rdtsc() + distance;

	wrmsr(MSR_TSC_DEADLINE, deadline);
	if (!expect(wait_for(1), "no interrupt, distance %lu", distance))
		return;
	expect(fired_at >= deadline, "%lu ticks early", deadline - fired_at);
	if (guest_platform() != PLATFORM_BARE) /* Bochs 2.7 leaves the old value */
		expect_eq(rdmsr(MSR_TSC_DEADLINE), 0, "deadline behind the interrupt");
	tsc_in_pit(100);
	irq_window();
	EXPECT_IRQS("deadline", TIMER_VECTOR);
}

void deadline_test(void)
{
	u64 far = rdtsc() + BIT(50);

	if (!apic_has_deadline()) {
		test_skip("no TSC deadline");
		return;
	}
	trap_handler(TIMER_VECTOR, timer_handler);
	apic_write(APIC_LVT_TIMER, APIC_TIMER_DEADLINE | TIMER_VECTOR);
	__asm__ volatile("mfence");
	wrmsr(MSR_TSC_DEADLINE, far);
	expect_eq(rdmsr(MSR_TSC_DEADLINE), far, "deadline reads back");
	apic_write(APIC_TIMER_INITIAL, 100); /* ignored in this mode */
	expect_eq(apic_read(APIC_TIMER_CURRENT), 0, "count in deadline mode");
	wrmsr(MSR_TSC_DEADLINE, 0);
	tsc_in_pit(500);
	irq_window();
	expect_eq(irq_count, 0, "interrupts of a disarmed deadline");
	for (u64 distance = 0; distance < 200000; distance = distance * 3 + 1)
		deadline_fires(distance);
	wrmsr(MSR_TSC_DEADLINE, 1); /* long past */
	irq_window();
	EXPECT_IRQS("a deadline in the past", TIMER_VECTOR);
	/* Leaving the mode disarms. */
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 20000);
	apic_write(APIC_LVT_TIMER, TIMER_VECTOR);
	apic_write(APIC_LVT_TIMER, APIC_TIMER_DEADLINE | TIMER_VECTOR);
	tsc_in_pit(1000);
	irq_window();
	expect_eq(irq_count, 0, "interrupts after leaving deadline mode");
	irq_log_clear();
}
