/* SPDX-License-Identifier: Apache-2.0 */
/* A CPU with nothing to do. Where the processor can watch a word while it waits (MONITOR and MWAIT, SDM
 * volume 3, 9.10), others wake it by writing there, and no interrupt has to be sent and taken. */
#include "host.h"
#include "smp.h"
#include "x86.h"
#include "x86_ops.h"

#define MWAIT_ENUMERATED 1u /* CPUID leaf 5, ECX */
#define MWAIT_BREAKS 2u     /* an interrupt ends the wait although interrupts are off */

/* Bochs 2.7: MONITOR makes other CPUs forget the translation of the linear address that equals the physical
 * one watched. By the true one, while their TLB has it, they write without waking anybody. A CPU that runs
 * guests has it seldom, since each exit empties the TLB; one that polls always. And where the CPU's own TLB
 * has it, MONITOR now and then watches what was looked up last instead. So both forget it before. */
static bool forgets; /* the same on all CPUs */

void idle_init_cpu(void)
{
	bool has =
	    cpuid(0, 0).eax >= CPUID_LEAF_MWAIT && (cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID1_ECX_MONITOR);
	u32 extensions = has ? cpuid(CPUID_LEAF_MWAIT, 0).ecx : 0;

	this_cpu()->mwait = (extensions & MWAIT_ENUMERATED) && (extensions & MWAIT_BREAKS);
	if (cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID1_ECX_VMX)
		forgets = (rdmsr(MSR_VMX_BASIC) & 0x7fffffff) == VMX_REVISION_BOCHS;
}

void idle_before_mark(const struct cpu *c)
{
	if (unlikely(forgets))
		invlpg((u64)&c->kicked);
}

void cpu_doze(void)
{
	__atomic_store_n(&this_cpu()->dozes, true, __ATOMIC_SEQ_CST);
}

/* True when a kick had come, and was served. */
static bool doze_end(void)
{
	/* Sequentially consistent, against cpu_kick(): either that sees us awake, or we see the kick. */
	__atomic_store_n(&this_cpu()->dozes, false, __ATOMIC_SEQ_CST);
	if (!cpu_kicked())
		return false;
	cpu_serve_kick();
	return true;
}

void cpu_wake_up(void)
{
	(void)doze_end();
}

static void wait_by_mwait(struct cpu *c)
{
	idle_before_mark(c); /* its own */
	monitor(&c->kicked);
	if (!cpu_kicked())
		mwait(0, 1);
	cpu_poll_interrupts();
}

static void wait_by_hlt(void)
{
	/* A mark would not end the HLT, so from here on a kick is an interrupt. One that came as a mark has
	 * none behind it: the caller looks for what it was about. */
	if (!doze_end())
		sti_hlt_cli();
}

void cpu_idle_wait(void)
{
	struct cpu *c = this_cpu();

	/* Input may have made a task ready, or armed a timer that the APIC does not know of. */
	if (irq_poll_console())
		return;
	if (c->mwait)
		wait_by_mwait(c);
	else
		wait_by_hlt();
	irq_report_nmi();
	(void)irq_poll_console();
}
