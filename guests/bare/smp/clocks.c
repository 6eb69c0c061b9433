/* SPDX-License-Identifier: Apache-2.0 */
/* Socle's clocks and events with four processors at once. M20, M36, M37, M39. */
#include <socle/clock.h>
#include <socle/event.h>

#include "hyper.h"
#include "print.h"
#include "smp.h"

#define READS 20000U
#define ROUNDS 200U
#define VEC_UPCALL 0x58
#define NS_PER_MS 1000000ULL

static struct socle_vcpu_clock records[CPUS] __attribute__((aligned(128)));
static struct socle_event_page page __attribute__((aligned(4096)));
static volatile bool bad[CPUS];

static u64 read_tsc(void)
{
	u32 lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}

static u64 real_now(u32 me)
{
	return socle_clock_read(&records[me], &records[me].real_tsc, read_tsc);
}

static void register_record(u32 me)
{
	bad[me] = hypercall(SOCLE_CALL_CLOCK_VCPU, (u64)&records[me], 0) != 0;
}

static bool registered(void)
{
	if (!hypercall_present()) {
		test_skip("not under Socle");
		return false;
	}
	cpus_give(register_record);
	register_record(0);
	if (!cpus_wait())
		return false;
	for (u32 id = 0; id < CPUS; id++)
		expect(!bad[id] && records[id].vcpu == id && !(records[id].sequence & 1), "record of %u", id);
	return true;
}

/* No processor reads a time before one that another has read already. */
static u64 latest;
static u64 went_back[CPUS];

static void read_clock(u32 me)
{
	u64 last_virtual = 0;

	for (unsigned i = 0; i < READS; i++) {
		u64 before = __atomic_load_n(&latest, __ATOMIC_ACQUIRE), now = real_now(me);
		u64 virt = socle_clock_read(&records[me], &records[me].virtual_tsc, read_tsc);

		if (now < before || virt < last_virtual)
			went_back[me]++;
		last_virtual = virt;
		while (before < now && !__atomic_compare_exchange_n(&latest, &before, now, false,
								    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			;
	}
}

/* In batches, each of which takes less than anybody's patience. */
static void read_clocks(u64 reads)
{
	u64 done = 0;

	if (!registered())
		return;
	if (!(records[0].flags & SOCLE_CLOCK_STABLE)) {
		test_skip("the machine's TSCs disagree");
		return;
	}
	latest = 0;
	memset(went_back, 0, sizeof(went_back));
	for (; done < reads; done += (u64)CPUS * READS) {
		cpus_give(read_clock);
		read_clock(0);
		if (!cpus_wait())
			return;
	}
	for (u32 id = 0; id < CPUS; id++)
		expect_eq(went_back[id], 0, "times that went back");
	print("%lu readings of real and of virtual time\n", done);
}

void clocks_test(void)
{
	read_clocks(CPUS * READS);
}

/* As many as `reads=` says, a million by default. */
void monotonic_test(void)
{
	const char *reads = test_option("reads");

	read_clocks(reads ? parse_number(reads) : 1000000);
}

/* Each processor has alarms of its own. */
static volatile u64 rang_at[CPUS];
static u64 alarm_at[CPUS];

static void on_alarm(struct regs *r)
{
	u32 me = me_id();

	(void)r;
	rang_at[me] = real_now(me);
	apic_eoi();
}

static void wait_for_alarm(u32 me)
{
	rang_at[me] = 0;
	alarm_at[me] = real_now(me) + (1 + me) * NS_PER_MS;
	bad[me] = hypercall(SOCLE_CALL_ALARM_REAL, alarm_at[me], SOCLE_ALARM_VECTOR(VEC_UPCALL)) != 0;
	while (!rang_at[me])
		__asm__ volatile("sti; hlt; cli" ::: "memory");
}

void alarms_test(void)
{
	if (!registered())
		return;
	trap_handler(VEC_UPCALL, on_alarm);
	cpus_give(wait_for_alarm);
	wait_for_alarm(0);
	if (!cpus_wait())
		return;
	for (u32 id = 0; id < CPUS; id++)
		expect(!bad[id] && rang_at[id] >= alarm_at[id], "processor %u: alarm for %lu at %lu", id,
		       alarm_at[id], rang_at[id]);
}

/* ---- events ---- */
static u32 asked[CPUS], answered[CPUS]; /* atomic */
static volatile u64 upcalls;

/* Each processor but the first has an event of its number; the first answers them. */
static void serve(unsigned event)
{
	if (event < CPUS)
		__atomic_store_n(&answered[event], __atomic_load_n(&asked[event], __ATOMIC_ACQUIRE),
				 __ATOMIC_RELEASE);
}

static void on_upcall(struct regs *r)
{
	unsigned n, served[SOCLE_EVENTS], nr = 0;

	(void)r;
	upcalls++;
	apic_eoi();
	socle_event_begin(&page, me_id());
	while ((n = socle_event_next(&page)) != 0) {
		socle_event_mask(&page, n);
		served[nr++] = n;
		serve(n);
	}
	while (nr) { /* by turns: Socle looks whether another has come meanwhile, or we do */
		n = served[--nr];
		if ((upcalls + nr) & 1)
			hypercall(SOCLE_CALL_EVENT_UNMASK, n, 0);
		else if (socle_event_unmask(&page, n))
			hypercall(SOCLE_CALL_EVENT_UNMASK, n, 0);
	}
}

/* A wake-up that is lost is waited for without end. */
static void ask(u32 me)
{
	u64 start = rdtsc();

	bad[me] = false;
	for (u32 round = 1; round <= ROUNDS && !bad[me]; round++) {
		__atomic_store_n(&asked[me], round, __ATOMIC_RELEASE);
		bad[me] = hypercall(SOCLE_CALL_EVENT_SEND, me, 0) != 0;
		while (__atomic_load_n(&answered[me], __ATOMIC_ACQUIRE) < round && !bad[me]) {
			cpu_pause();
			bad[me] = rdtsc() - start > PATIENCE * 10;
		}
	}
}

static bool all_asked(void)
{
	for (u32 id = 1; id < CPUS; id++)
		if (__atomic_load_n(&cpus[id].job, __ATOMIC_ACQUIRE))
			return false;
	return true;
}

static bool events_begin(void)
{
	if (!hypercall_present()) {
		test_skip("not under Socle");
		return false;
	}
	memset(&page, 0, sizeof(page));
	memset(asked, 0, sizeof(asked));
	memset(answered, 0, sizeof(answered));
	upcalls = 0;
	trap_handler(VEC_UPCALL, on_upcall);
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_SETUP, (u64)&page, VEC_UPCALL), 0, "setup");
	for (u32 id = 1; id < CPUS; id++) {
		hypercall(SOCLE_CALL_EVENT_CLOSE, id, 0);
		expect_eq((u64)hypercall(SOCLE_CALL_EVENT_ALLOC, SOCLE_SELF, 0), id, "event");
	}
	return true;
}

void events_test(void)
{
	if (!events_begin())
		return;
	cpus_give(ask);
	irq_enable();
	while (!all_asked())
		cpu_pause();
	irq_disable();
	for (u32 id = 1; id < CPUS; id++) {
		expect(!bad[id], "processor %u: a wake-up was lost", id);
		expect_eq(answered[id], ROUNDS, "answers");
	}
	expect(upcalls <= 3 * ROUNDS, "%lu upcalls for %u events", upcalls, 3 * ROUNDS);
}

/* An event of another processor wakes that one. */
void event_target_test(void)
{
	if (!events_begin())
		return;
	for (u32 id = 1; id < CPUS; id++) {
		u64 start = rdtsc();

		expect_eq((u64)hypercall(SOCLE_CALL_EVENT_VCPU, id, id), 0, "vCPU of the event");
		__atomic_store_n(&asked[id], id, __ATOMIC_RELEASE);
		expect_eq((u64)hypercall(SOCLE_CALL_EVENT_SEND, id, 0), 0, "send");
		while (__atomic_load_n(&answered[id], __ATOMIC_ACQUIRE) != id && rdtsc() - start < PATIENCE)
			cpu_pause();
		expect_eq(answered[id], id, "answer of the other");
		expect_eq(page.vcpu[0].upcall, 0, "upcall word of the first");
	}
}
