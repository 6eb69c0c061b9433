/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the local APIC (Advanced Programmable Interrupt Controller; SDM vol. 3, chapter 10) of each CPU:
 * x2APIC where there is one, else by memory; end of interrupt, interprocessor interrupts, timer. */
#include "apic.h"

#include "acpi.h"
#include "host.h"
#include "log.h"
#include "panic.h"
#include "x86.h"
#include "x86_ops.h"

/* Registers by their number in x2APIC mode; in memory at 16 times that. */
#define REG_ID 0x02u
#define REG_TPR 0x08u
#define REG_EOI 0x0bu
#define REG_SPURIOUS 0x0fu
#define REG_ISR 0x10u
#define REG_ESR 0x28u
#define REG_ICR 0x30u
#define REG_ICR_HIGH 0x31u /* not in x2APIC mode */
#define REG_LVT_TIMER 0x32u
#define REG_LVT_PMC 0x34u
#define REG_LVT_LINT0 0x35u
#define REG_LVT_LINT1 0x36u
#define REG_LVT_ERROR 0x37u
#define REG_TIMER_INITIAL 0x38u
#define REG_TIMER_CURRENT 0x39u
#define REG_TIMER_DIVIDE 0x3eu

#define APIC_BASE_X2APIC X86_BIT(10)
#define APIC_BASE_ENABLE X86_BIT(11)
#define APIC_BASE_ADDRESS ((u64)0x000ffffffffff000)
#define SPURIOUS_ENABLE 0x100u
#define LVT_MASKED 0x10000u
#define LVT_DEADLINE 0x40000u
#define LVT_NMI 0x400u
#define ICR_NMI 0x400u
#define ICR_ASSERT 0x4000u
#define ICR_PENDING 0x1000u
#define ICR_INIT 0x500u
#define ICR_STARTUP 0x600u
#define DIVIDE_BY_1 0xbu

#define DISARMED UINT64_MAX
#define CALIBRATE_COUNT 1000000u /* TSC ticks over which the timer is compared with it */

static struct {
	volatile u32 *regs; /* NULL: x2APIC */
	bool x2apic, deadline;
	u64 timer_ticks, tsc_ticks; /* the one-shot timer counts the first while the TSC counts the second */
} apic;

static u32 reg_read(u32 reg)
{
	return apic.regs ? apic.regs[reg * 4] : (u32)rdmsr(MSR_X2APIC_FIRST + reg);
}

static void reg_write(u32 reg, u32 v)
{
	if (apic.regs)
		apic.regs[reg * 4] = v;
	else
		wrmsr(MSR_X2APIC_FIRST + reg, v);
}

void apic_eoi(void)
{
	reg_write(REG_EOI, 0);
}

static void icr_write(u32 target, u32 command)
{
	if (!apic.regs) {
		/* WRMSR to an x2APIC register orders nothing (SDM vol. 3, 10.12.3): what the target is
		 * to see must be visible first. */
		mfence();
		wrmsr(MSR_X2APIC_FIRST + REG_ICR, (u64)target << 32 | command);
		return;
	}
	while (reg_read(REG_ICR) & ICR_PENDING)
		cpu_pause();
	reg_write(REG_ICR_HIGH, target << 24);
	reg_write(REG_ICR, command);
}

void apic_send_ipi(u32 apic_id, u8 vector)
{
	icr_write(apic_id, ICR_ASSERT | vector);
}

void apic_send_nmi(u32 apic_id)
{
	icr_write(apic_id, ICR_ASSERT | ICR_NMI);
}

void apic_send_init(u32 apic_id)
{
	icr_write(apic_id, ICR_ASSERT | ICR_INIT);
}

void apic_send_startup(u32 apic_id, u8 page)
{
	icr_write(apic_id, ICR_ASSERT | ICR_STARTUP | page);
}

/* ---- timer ---- */

static void timer_start(u64 deadline)
{
	u64 now = rdtsc(), ticks;

	if (apic.deadline) {
		wrmsr(MSR_TSC_DEADLINE, MAX(deadline, 1)); /* 0 would disarm */
		return;
	}
	ticks = deadline > now ? mul_div(deadline - now, apic.timer_ticks, apic.tsc_ticks) : 0;
	reg_write(REG_TIMER_INITIAL, (u32)MIN(MAX(ticks, 1), UINT32_MAX));
}

void apic_timer_arm(u64 deadline)
{
	struct cpu *c = this_cpu();

	c->timer_deadline = deadline;
	if (deadline != DISARMED)
		timer_start(deadline);
	else if (apic.deadline)
		wrmsr(MSR_TSC_DEADLINE, 0);
	else
		reg_write(REG_TIMER_INITIAL, 0);
}

bool apic_timer_reached(void)
{
	u64 deadline = this_cpu()->timer_deadline;

	if (deadline == DISARMED)
		return false;     /* it was on its way when it was disarmed */
	if (rdtsc() < deadline) { /* the 32-bit counter was too short, or it came by mistake */
		timer_start(deadline);
		return false;
	}
	this_cpu()->timer_deadline = DISARMED;
	return true;
}

static void timer_calibrate(void)
{
	u64 start;

	reg_write(REG_TIMER_INITIAL, UINT32_MAX);
	start = rdtsc();
	while (rdtsc() - start < CALIBRATE_COUNT)
		cpu_pause();
	apic.timer_ticks = MAX(UINT32_MAX - reg_read(REG_TIMER_CURRENT), 1u);
	apic.tsc_ticks = rdtsc() - start;
	reg_write(REG_TIMER_INITIAL, 0);
}

static void timer_init(void)
{
	reg_write(REG_TIMER_DIVIDE, DIVIDE_BY_1);
	if (apic.deadline) {
		reg_write(REG_LVT_TIMER, IRQ_VECTOR_TIMER | LVT_DEADLINE);
		mfence(); /* the mode, before the first deadline (SDM vol. 3, 10.5.4.1) */
	} else {
		if (!apic.tsc_ticks) {
			reg_write(REG_LVT_TIMER, LVT_MASKED);
			timer_calibrate();
		}
		reg_write(REG_LVT_TIMER, IRQ_VECTOR_TIMER);
	}
	this_cpu()->timer_deadline = DISARMED;
}

/* ---- start ---- */

static u32 id_read(void)
{
	return apic.regs ? reg_read(REG_ID) >> 24 : reg_read(REG_ID);
}

void apic_init_cpu(void)
{
	u64 base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;

	wrmsr(MSR_APIC_BASE, base);
	if (apic.x2apic)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
	this_cpu()->apic_id = id_read();
	reg_write(REG_TPR, 0);
	reg_write(REG_SPURIOUS, SPURIOUS_ENABLE | IRQ_VECTOR_SPURIOUS);
	reg_write(REG_LVT_LINT0, LVT_MASKED); /* the 8259s */
	reg_write(REG_LVT_LINT1, LVT_NMI);
	reg_write(REG_LVT_ERROR, LVT_MASKED);
	reg_write(REG_LVT_PMC, LVT_MASKED);
	reg_write(REG_ESR, 0);
	timer_init();
	for (u32 i = 0; i < 8; i++) /* what firmware left in service would block all below it */
		for (u32 left = 32; left && reg_read(REG_ISR + i); left--)
			apic_eoi();
}

void apic_init(const struct boot_info *bi)
{
	u64 base = rdmsr(MSR_APIC_BASE);
	u64 features = cpuid(CPUID_LEAF_FEATURES, 0).ecx;

	/* Once on, x2APIC cannot be left for xAPIC without a reset (SDM vol. 3, 10.12.5). */
	apic.x2apic = features & CPUID1_ECX_X2APIC || base & APIC_BASE_X2APIC;
	apic.deadline = features & CPUID1_ECX_TSC_DEADLINE;
	if (!apic.x2apic) {
		apic.regs = mmio_map(base & APIC_BASE_ADDRESS, PAGE_SIZE);
		if (!apic.regs)
			panic("no memory to map the local APIC");
	}
	apic_init_cpu();
	acpi_init(bi);
	ioapic_find();
	log_info("local APIC %u: %s, timer %s", this_cpu()->apic_id, apic.x2apic ? "x2APIC" : "xAPIC",
		 apic.deadline ? "by TSC deadline" : "one-shot");
}
