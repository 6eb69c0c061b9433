/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the machine's other CPUs: starts them (INIT and start-up IPIs, SDM vol. 3, 9.4.4), calls functions
 * on them, and stops them. */
#include "smp.h"

#include "apic.h"
#include "cpu.h"
#include "log.h"
#include "paging.h"
#include "start.h"
#include "x86.h"
#include "x86_ops.h"

#define NOBODY UINT32_MAX /* no APIC has this id: it is the broadcast */
#define LOW_LIMIT 0xa0000u
#define INIT_NS 10000000u /* between INIT and the first start-up IPI */
#define SIPI_NS 200000u   /* between the two start-up IPIs */
#define COME_NS 1000000000u
#define STOP_NS 20000000u
#define BOOT_STACK_PAGES 4u
#define IST_STACK_PAGES 2u
#define PT_ENTRIES 512u

enum ap_state { AP_CALLED, AP_UP };

/* A CPU on its way. */
struct ap {
	struct cpu_tables tables;
	void *boot_stack, *df, *nmi, *mc;
	u64 pat;
	u32 state; /* enum ap_state, written by the CPU itself */
};

/* What ap.asm reads; the layout is known there. */
extern struct ap_boot {
	u64 root; /* the hypervisor's CR3 */
	void *stack;
	struct ap *ap;
	u32 wanted; /* APIC id of the CPU that may take these, NOBODY once one has */
} ap_boot;
struct ap_boot ap_boot = {.wanted = NOBODY};
_Static_assert(offsetof(struct ap_boot, wanted) == 24, "ap.asm");

extern const char ap_low[], ap_low_end[], ap_low_gdt[], ap_low_gdtr[], ap_low_far[], ap_low_root[],
    ap_low_64[];
void ap_main(struct ap *ap);

static void (*run_others)(void);
static void (*on_stop)(void);
static bool stopping;
static u32 nr_stopped;

static void wait(u64 ns)
{
	u64 start = rdtsc(), ticks = ns_to_tsc(ns);

	while (rdtsc() - start < ticks)
		cpu_pause();
}

/* Waits until *word is `value`; false when it did not become so in time. */
static bool wait_for(const u32 *word, u32 value, u64 ns)
{
	u64 start = rdtsc(), ticks = ns_to_tsc(ns);

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value) {
		if (rdtsc() - start > ticks)
			return false;
		cpu_pause();
	}
	return true;
}

/* ---- kicks and calls ---- */

/* The kick is there to end a guest's run or a HLT; calls travel with it. */
void cpu_serve_kick(void)
{
	struct cpu *c = this_cpu();
	struct cpu_call *call, *next, *first = NULL;

	/* Before anything is looked at: whoever asks for something from now on sends another kick. The
	 * exchange is a full barrier, and pairs with the one in cpu_kick(). */
	(void)__atomic_exchange_n(&c->kicked, false, __ATOMIC_SEQ_CST);
	vmap_sync(); /* that may be all that is wanted */
	call = __atomic_exchange_n(&c->calls, NULL, __ATOMIC_ACQUIRE);
	for (; call; call = next) { /* newest first: turn it round */
		next = call->next;
		call->next = first;
		first = call;
	}
	for (call = first; call; call = next) {
		void (*run)(void *) = call->run;
		void *argument = call->opaque;

		next = call->next;
		__atomic_store_n(&call->pending, false, __ATOMIC_RELEASE); /* it may be sent again */
		run(argument);
	}
}

static void on_kick(void *opaque)
{
	(void)opaque;
	cpu_serve_kick();
}

void cpu_kick(unsigned index)
{
	struct cpu *c = cpu_get(index);

	/* One on its way is enough: its handler clears the mark before anyone looks for what to do. Who
	 * dozes watches the mark; see idle.c for the order. */
	if (c == this_cpu())
		return;
	idle_before_mark(c);
	if (!__atomic_exchange_n(&c->kicked, true, __ATOMIC_SEQ_CST) &&
	    !__atomic_load_n(&c->dozes, __ATOMIC_SEQ_CST))
		apic_send_ipi(c->apic_id, IRQ_VECTOR_KICK);
}

void cpu_call(unsigned index, struct cpu_call *call)
{
	struct cpu *c = cpu_get(index);
	struct cpu_call *head = __atomic_load_n(&c->calls, __ATOMIC_RELAXED);

	if (__atomic_exchange_n(&call->pending, true, __ATOMIC_ACQ_REL))
		return;
	do
		call->next = head;
	while (
	    !__atomic_compare_exchange_n(&c->calls, &head, call, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	if (c == this_cpu())
		apic_send_ipi(c->apic_id, IRQ_VECTOR_KICK);
	else
		cpu_kick(index);
}

struct waited {
	void (*run)(void *opaque);
	void *opaque;
	bool done;
};

static void run_waited(void *opaque)
{
	struct waited *w = opaque;

	w->run(w->opaque);
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
}

void cpu_call_wait(unsigned index, void (*run)(void *opaque), void *opaque)
{
	struct waited w = {run, opaque, false};
	struct cpu_call call = {.run = run_waited, .opaque = &w};

	if (index == this_cpu()->index) {
		run(opaque);
		return;
	}
	cpu_call(index, &call);
	while (!__atomic_load_n(&w.done, __ATOMIC_ACQUIRE))
		cpu_pause();
}

/* ---- the start of one ---- */

/* The page behind the code serves as all four levels of page tables at once: its first entry points to
 * itself, and one more maps the code's page at its own address. The upper half is the hypervisor's. */
static void low_tables(hpa_t low)
{
	hpa_t tables = low + PAGE_SIZE;
	u64 *entry = phys_to_virt(tables);
	const u64 *host = phys_to_virt(read_cr3() & PTE_ADDR);

	memset(entry, 0, PAGE_SIZE);
	entry[0] = tables | PTE_P | PTE_W;
	entry[low >> PAGE_SHIFT] = low | PTE_P | PTE_W;
	memcpy(&entry[PT_ENTRIES / 2], &host[PT_ENTRIES / 2], PAGE_SIZE / 2);
}

static void low_patch(hpa_t low, const char *label, hpa_t value)
{
	u32 narrow = (u32)value;

	memcpy((char *)phys_to_virt(low) + (label - ap_low), &narrow, sizeof(narrow));
}

static void low_fill(hpa_t low)
{
	memcpy(phys_to_virt(low), ap_low, (size_t)(ap_low_end - ap_low));
	low_patch(low, ap_low_gdtr + 2, low + (u64)(ap_low_gdt - ap_low));
	low_patch(low, ap_low_far, low + (u64)(ap_low_64 - ap_low));
	low_patch(low, ap_low_root, low + PAGE_SIZE);
	low_tables(low);
}

static void ap_free(struct ap *ap)
{
	void *const ist[] = {ap->df, ap->nmi, ap->mc};

	for (unsigned i = 0; i < ARRAY_SIZE(ist); i++)
		if (ist[i])
			stack_free(ist[i], IST_STACK_PAGES);
	if (ap->boot_stack)
		stack_free(ap->boot_stack, BOOT_STACK_PAGES);
	heap_free(ap);
}

static struct ap *ap_new(void)
{
	struct ap *ap = heap_alloc(sizeof(*ap));

	if (!ap)
		return NULL;
	ap->boot_stack = stack_alloc(BOOT_STACK_PAGES);
	ap->df = stack_alloc(IST_STACK_PAGES);
	ap->nmi = stack_alloc(IST_STACK_PAGES);
	ap->mc = stack_alloc(IST_STACK_PAGES);
	ap->pat = rdmsr(MSR_PAT);
	if (ap->boot_stack && ap->df && ap->nmi && ap->mc)
		return ap;
	ap_free(ap);
	return NULL;
}

/* INIT, 10 ms, a start-up IPI, 200 us, and a second one where the first was not enough. */
static bool ap_wake(const u32 *wanted, u32 apic_id, hpa_t low)
{
	apic_send_init(apic_id);
	wait(INIT_NS);
	apic_send_startup(apic_id, (u8)(low >> PAGE_SHIFT));
	if (wait_for(wanted, NOBODY, SIPI_NS))
		return true;
	apic_send_startup(apic_id, (u8)(low >> PAGE_SHIFT));
	return wait_for(wanted, NOBODY, COME_NS);
}

/* True when the CPU runs ap_main(), or is about to. */
static bool ap_start(struct ap *ap, u32 apic_id, hpa_t low)
{
	u32 expected = apic_id;

	ap_boot.root = read_cr3();
	ap_boot.stack = ap->boot_stack;
	ap_boot.ap = ap;
	__atomic_store_n(&ap_boot.wanted, apic_id, __ATOMIC_RELEASE);
	if (ap_wake(&ap_boot.wanted, apic_id, low))
		return true;
	/* A CPU that comes later finds that nobody is wanted; unless it came in this very moment. */
	return !__atomic_compare_exchange_n(&ap_boot.wanted, &expected, NOBODY, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_ACQUIRE);
}

static void start_one(u32 apic_id, hpa_t low)
{
	struct ap *ap = ap_new();

	if (!ap) {
		log_warn("CPU with APIC id %u: no memory for it, left out", apic_id);
		return;
	}
	ap->tables.cpu.apic_id = apic_id;
	if (!ap_start(ap, apic_id, low)) {
		log_warn("CPU with APIC id %u does not start, left out", apic_id);
		ap_free(ap);
		return;
	}
	/* It has its stack now, so that stays its own whatever happens. */
	if (wait_for(&ap->state, AP_UP, COME_NS))
		cpu_add(&ap->tables.cpu);
	else
		log_warn("CPU with APIC id %u started and then stood still, left out", apic_id);
}

void cpu_start_others(const struct boot_info *bi)
{
	hpa_t low = bi->low_page;

	irq_register(IRQ_VECTOR_KICK, on_kick, NULL);
	if (bi->nr_cpus <= 1)
		return;
	if (!low || low >= LOW_LIMIT) {
		log_warn("no memory below 1 MiB to start CPUs with: %u left out", bi->nr_cpus - 1);
		return;
	}
	low_fill(low);
	for (u32 i = 0; i < bi->nr_cpus; i++)
		if (bi->cpus[i].apic_id != this_cpu()->apic_id && cpu_count() < MAX_CPUS)
			start_one(bi->cpus[i].apic_id, low);
}

/* ---- on the CPU that was started ---- */

/* Waits for calls, and for the order to begin. */
void ap_main(struct ap *ap)
{
	void (*run)(void);

	cpu_init(&ap->tables, ap->df, ap->nmi, ap->mc);
	wrmsr(MSR_PAT, ap->pat);
	apic_init_cpu();
	vmap_sync();
	__atomic_store_n(&ap->state, AP_UP, __ATOMIC_RELEASE);
	while (!(run = __atomic_load_n(&run_others, __ATOMIC_ACQUIRE)))
		sti_hlt_cli();
	run();
}

void cpu_run_others(void (*run)(void))
{
	__atomic_store_n(&run_others, run, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < cpu_count(); i++)
		cpu_kick(i);
}

/* ---- the end ---- */

void cpu_halt(void)
{
	for (;;) {
		cli();
		hlt();
	}
}

void cpu_on_stop(void (*leave)(void))
{
	on_stop = leave;
}

static void stop_here(void *opaque)
{
	(void)opaque;
	if (on_stop)
		on_stop();
	__atomic_fetch_add(&nr_stopped, 1, __ATOMIC_RELEASE);
	cpu_halt();
}

void cpu_leave_out(unsigned index)
{
	static struct cpu_call stop = {.run = stop_here};
	u32 stopped = nr_stopped;

	ASSERT(index);
	cpu_call(index, &stop);
	wait_for(&nr_stopped, stopped + 1, STOP_NS);
	cpu_remove(index);
	nr_stopped = 0;
}

bool cpu_stop_others(void)
{
	unsigned others = 0;

	if (__atomic_exchange_n(&stopping, true, __ATOMIC_ACQ_REL))
		return false;
	for (unsigned i = 0; i < cpu_count(); i++)
		if (cpu_get(i) != this_cpu()) {
			apic_send_nmi(cpu_get(i)->apic_id);
			others++;
		}
	wait_for(&nr_stopped, others, STOP_NS); /* one that does not come is in deep trouble: go on */
	return true;
}

void cpu_obey_stop(void)
{
	if (__atomic_load_n(&stopping, __ATOMIC_ACQUIRE))
		stop_here(NULL);
}
