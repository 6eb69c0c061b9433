/* SPDX-License-Identifier: Apache-2.0 */
/* Socle's events between four processors that send at once, M20: what is masked gives exactly one upcall for
 * each that is to get one, and nobody sleeps for ever. */
#include <socle/event.h>

#include "hyper.h"
#include "smp.h"

#define MANY 40U   /* events, a quarter for each processor */
#define TIMES 25U  /* that each of them is sent by each */
#define TURNS 400U /* that each token goes round */
#define VEC_UPCALL 0x58

static struct socle_event_page page __attribute__((aligned(4096)));
static volatile unsigned upcalls[CPUS];
static volatile bool bad[CPUS];
static u32 arrived; /* at the end of what they do together; atomic */

static bool begin(void (*upcall)(struct regs *r), unsigned events)
{
	if (!hypercall_present()) {
		test_skip("not under Socle");
		return false;
	}
	memset(&page, 0, sizeof(page));
	memset((void *)upcalls, 0, sizeof(upcalls));
	memset((void *)bad, 0, sizeof(bad));
	arrived = 0;
	trap_handler(VEC_UPCALL, upcall);
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_SETUP, (u64)&page, VEC_UPCALL), 0, "setup");
	for (u64 n = 1; n < SOCLE_EVENTS; n++)
		hypercall(SOCLE_CALL_EVENT_CLOSE, n, 0);
	for (u64 n = 1; n <= events; n++) {
		expect_eq((u64)hypercall(SOCLE_CALL_EVENT_ALLOC, SOCLE_SELF, 0), n, "event");
		expect_eq((u64)hypercall(SOCLE_CALL_EVENT_VCPU, n, n % CPUS), 0, "vCPU of the event");
	}
	return true;
}

/* With interrupts on, until all of them are here. */
static void meet(u32 number)
{
	u64 start = rdtsc();

	__atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < number * CPUS && rdtsc() - start < PATIENCE)
		cpu_pause();
}

/* ---- masked ---- */
static void count_upcall(struct regs *r)
{
	(void)r;
	upcalls[me_id()]++;
	apic_eoi();
}

static void send_masked(u32 me)
{
	irq_enable();
	for (unsigned i = 0; i < TIMES * MANY; i++)
		bad[me] |= hypercall(SOCLE_CALL_EVENT_SEND, 1 + (i + me * 7) % MANY, 0) != 0;
	meet(1);
	bad[me] |= upcalls[me] != 0;
	meet(2);
	if (me == 0)
		bad[me] |= hypercall(SOCLE_CALL_EVENT_UNMASK, SOCLE_EVENT_ALL, 0) != 0;
	meet(3);
	/* Once more, unmasked now: they have their upcall, and have not looked yet. */
	for (unsigned i = 0; i < MANY; i++)
		bad[me] |= hypercall(SOCLE_CALL_EVENT_SEND, 1 + i, 0) != 0;
	meet(4);
	for (u64 start = rdtsc(); rdtsc() - start < 1000000;) /* for what is still on its way */
		cpu_pause();
	irq_disable();
}

void masked_test(void)
{
	unsigned events = 0;

	if (!begin(count_upcall, MANY))
		return;
	for (unsigned n = 1; n <= MANY; n++)
		socle_event_mask(&page, n);
	cpus_give(send_masked);
	send_masked(0);
	if (!cpus_wait())
		return;
	for (u32 id = 0; id < CPUS; id++) {
		expect(!bad[id], "processor %u: a call failed, or an upcall came while all was masked", id);
		expect_eq(upcalls[id], 1, "upcalls of one processor");
		expect_eq(page.vcpu[id].upcall, 1, "upcall word");
	}
	while (socle_event_next(&page))
		events++;
	expect_eq(events, MANY, "events");
}

/* ---- tokens go round, one from each; who has nothing to pass on sleeps ---- */
static u32 passed[CPUS]; /* to the next one; atomic */

static void on_token(struct regs *r)
{
	u32 me = me_id();

	(void)r;
	upcalls[me]++;
	apic_eoi();
	socle_event_begin(&page, me);
	/* Only its own bit: the others have upcalls for theirs. */
	__atomic_fetch_and(&page.pending[0], ~(1ULL << (me ? me : CPUS)), __ATOMIC_SEQ_CST);
}

static void pass_on(u32 me)
{
	u32 before = (me + CPUS - 1) % CPUS, next = (me + 1) % CPUS;

	for (u32 taken = 0; taken < TURNS; taken++) {
		__atomic_store_n(&passed[me], taken + 1, __ATOMIC_RELEASE);
		bad[me] |= hypercall(SOCLE_CALL_EVENT_SEND, next ? next : CPUS, 0) != 0;
		irq_disable();
		while (__atomic_load_n(&passed[before], __ATOMIC_ACQUIRE) <= taken)
			__asm__ volatile("sti; hlt; cli" ::: "memory");
		irq_enable();
	}
	irq_disable();
}

/* A wake-up that is lost is waited for without end. */
void tokens_test(void)
{
	if (!begin(on_token, CPUS))
		return;
	memset(passed, 0, sizeof(passed));
	cpus_give(pass_on);
	pass_on(0);
	irq_enable();
	cpus_wait();
	irq_disable();
	for (u32 id = 0; id < CPUS; id++) {
		expect(!bad[id], "processor %u: a call failed", id);
		expect_eq(passed[id], TURNS, "turns");
		expect(upcalls[id] && upcalls[id] <= TURNS, "%u upcalls for %u events", upcalls[id], TURNS);
	}
}
