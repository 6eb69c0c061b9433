/* SPDX-License-Identifier: Apache-2.0 */
/* The end of an interrupt by KVM's word (MSR 0x4b564d04), as Linux uses it. M19. */
#include "apictest.h"
#include "counters.h"

#define KVM_SIGNATURE 0x40000100
#define KVM_FEATURE_PV_EOI BIT(6)
#define KVM_PV_EOI 0x4b564d04
#define HIGH 0x71
#define LOW 0x41
#define LOWEST 0x31

static volatile u32 word __attribute__((aligned(64)));
static unsigned by_word, by_write;
static u8 sends; /* by the handler, once */

/* As the kernel does: what is found set is cleared in one instruction, and that is all. */
static void lazy_eoi(void)
{
	if (__atomic_fetch_and(&word, ~1u, __ATOMIC_RELAXED) & 1) {
		by_word++;
		return;
	}
	by_write++;
	apic_eoi();
}

static void handler(struct regs *r)
{
	if (irq_count < LOG_SIZE)
		irq_log[irq_count] = (u8)r->vector;
	irq_count++;
	if (sends) {
		u8 vector = sends;
		sends = 0;
		apic_self_ipi(vector);
	}
	lazy_eoi();
}

static void expect_ends(unsigned words, unsigned writes, const char *what)
{
	/* With virtual-interrupt delivery writes cost nothing, and nothing is offered. */
	bool offered = by_word == words && by_write == writes;
	bool never = by_word == 0 && by_write == words + writes;
	expect(offered || never, "%s: %u ended by the word, %u by a write", what, by_word, by_write);
	by_word = by_write = 0;
}

static bool offered_at_all(void)
{
	return guest_platform() == PLATFORM_SOCLE && cpuid(KVM_SIGNATURE, 0).ebx == 0x4b4d564b &&
	       cpuid(KVM_SIGNATURE + 1, 0).eax & KVM_FEATURE_PV_EOI;
}

static void each_way(void)
{
	apic_self_ipi(LOW);
	irq_window();
	EXPECT_IRQS("one", LOW);
	expect_ends(1, 0, "one");
	expect_eq(apic_read(APIC_ISR + 0x20) & 2, 0, "in service after its end");
	/* Two at once: the first must exit, or the second would never come. */
	apic_self_ipi(HIGH);
	apic_self_ipi(LOW);
	irq_window();
	EXPECT_IRQS("two", HIGH, LOW);
	expect_ends(1, 1, "two");
	/* One that comes while another is in service. */
	sends = LOWEST;
	apic_self_ipi(LOW);
	irq_window();
	irq_window();
	EXPECT_IRQS("behind", LOW, LOWEST);
	expect_ends(1, 1, "behind");
}

static void many(void)
{
	unsigned offered;
	counters_snapshot();
	for (unsigned i = 0; i < 1000; i++) {
		apic_self_ipi(LOW);
		irq_window();
		irq_count = 0;
	}
	counters_stop();
	offered = by_word;
	expect_ends(1000, 0, "a thousand");
	/* The IPI is an exit, its end is none. */
	if (offered && apic_is_x2())
		expect(counters_difference(32) <= 1010, "%lu writes to MSRs", counters_difference(32));
}

void pv_eoi_test(void)
{
	static const u64 bad[] = {0xa0000, 0xfee00000, 0xc0000000, BIT(47), BIT(63), ~0xfffULL};
	u64 value;

	if (!offered_at_all()) {
		test_skip("not offered");
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		expect_vector(wrmsr_try(KVM_PV_EOI, bad[i] | 1), VEC_GP, "outside RAM");
	expect_vector(wrmsr_try(KVM_PV_EOI, (u64)&word | 3), VEC_GP, "reserved bit");
	expect_vector(wrmsr_try(KVM_PV_EOI, (u64)&word | 1), NO_FAULT, "word");
	expect_vector(rdmsr_try(KVM_PV_EOI, &value), NO_FAULT, "word");
	expect_eq(value, (u64)&word | 1, "word");
	trap_handler(HIGH, handler);
	trap_handler(LOW, handler);
	trap_handler(LOWEST, handler);
	by_word = by_write = 0;
	each_way();
	if (counters_available())
		many();
	irq_log_clear();
	expect_vector(wrmsr_try(KVM_PV_EOI, 0), NO_FAULT, "off");
	apic_self_ipi(LOW);
	irq_window();
	EXPECT_IRQS("off", LOW);
	expect_ends(0, 1, "off");
	irq_log_vectors(0x31, 0x7f);
}
