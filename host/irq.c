/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what happens on an interrupt or exception of the hypervisor itself. */
#include "apic.h"
#include "console.h"
#include "host.h"
#include "log.h"
#include "paging.h"
#include "panic.h"
#include "smp.h"
#include "trap.h"
#include "watch.h"
#include "x86.h"
#include "x86_ops.h"

#define NR_VECTORS 256
#define NR_EXCEPTIONS 32
#define PORT_61 0x61 /* says whether a board asked for the NMI */

static struct {
	irq_fn fn;
	void *opaque;
} handlers[NR_VECTORS];
static bool reported[NR_VECTORS];

void irq_register(u8 vector, irq_fn fn, void *opaque)
{
	ASSERT(vector >= NR_EXCEPTIONS && !handlers[vector].fn);
	handlers[vector].opaque = opaque;
	__atomic_store_n(&handlers[vector].fn, fn, __ATOMIC_RELEASE);
}

/* The boot CPU alone, where COM1's interrupt goes: what was typed stays in order. */
bool irq_poll_console(void)
{
	return this_cpu()->index == 0 && console_poll();
}

void irq_dispatch(u8 vector)
{
	irq_fn fn = __atomic_load_n(&handlers[vector].fn, __ATOMIC_ACQUIRE);

	if (vector == IRQ_VECTOR_SPURIOUS) /* gets no EOI (SDM vol. 3, 10.9) */
		return;
	if (vector == IRQ_VECTOR_TIMER && !apic_timer_reached())
		fn = NULL;
	else if (!fn && !reported[vector]) {
		reported[vector] = true;
		log_warn("interrupt %#x has no handler", vector);
	}
	if (fn)
		fn(handlers[vector].opaque);
	apic_eoi();
	vmap_sync();
	if (vector == IRQ_VECTOR_KICK) /* between vCPUs these are frequent, and bring nothing else */
		return;
	irq_report_nmi();
	if (vector == IRQ_VECTOR_TIMER)
		(void)irq_poll_console();
}

void trap_dispatch(struct trap_frame *f)
{
	if (f->vector >= NR_EXCEPTIONS) {
		irq_dispatch((u8)f->vector);
		return;
	}
	if (f->vector != VEC_NMI)
		panic_trap(f);
	this_cpu()->nmi_pending++;
	cpu_obey_stop();
}

void irq_report_nmi(void)
{
	struct cpu *c = this_cpu();
	u64 seen = c->nmi_pending;

	if (likely(seen == c->nmi_reported))
		return;
	log_warn("CPU %u: %lu NMI (non-maskable interrupt), port 0x61 reads 0x%x", c->index,
		 seen - c->nmi_reported, inb(PORT_61));
	c->nmi_reported = seen;
}

void cpu_poll_interrupts(void)
{
	sti();
	cpu_pause(); /* STI delays interrupts by one instruction */
	cli();
	disk_poll();
}
