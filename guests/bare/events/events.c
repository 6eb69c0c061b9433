/* SPDX-License-Identifier: Apache-2.0 */
/* Events of Socle from a guest's side. Two VMs of this program can talk: one gets `serve=ID` on its command
 * line, the other `call=ID`, with each other's numbers. M20, M39. */
#include <socle/clock.h>
#include <socle/event.h>

#include "apic.h"
#include "hyper.h"
#include "page.h"
#include "print.h"
#include "trap.h"

#define VECTOR 0x50
#define MANY 60U
#define PATIENCE 100000000U
#define ROUNDS 1000U

static struct socle_event_page *page;
static volatile unsigned upcalls, heard, last_heard;

static void upcall_handler(struct regs *r)
{
	unsigned n;

	(void)r;
	upcalls++;
	apic_eoi();
	socle_event_begin(page, 0);
	while ((n = socle_event_next(page)) != 0) {
		last_heard = n;
		heard++;
	}
}

static i64 send(u64 event)
{
	return hypercall(SOCLE_CALL_EVENT_SEND, event, 0);
}

static void forget(void)
{
	upcalls = heard = last_heard = 0;
}

/* A page of zeros, nothing in use. */
static bool begin(void)
{
	if (!hypercall_present()) {
		test_skip("not under Socle");
		return false;
	}
	apic_init(false);
	trap_handler(VECTOR, upcall_handler);
	if (!page)
		page = mem_alloc(1);
	memset(page, 0, PAGE_SIZE);
	forget();
	if (!expect_eq((u64)hypercall(SOCLE_CALL_EVENT_SETUP, (u64)page, VECTOR), 0, "setup"))
		return false;
	for (u64 n = 1; n < SOCLE_EVENTS; n++)
		hypercall(SOCLE_CALL_EVENT_CLOSE, n, 0);
	return true;
}

static u64 alloc_own(void)
{
	i64 n = hypercall(SOCLE_CALL_EVENT_ALLOC, SOCLE_SELF, 0);

	expect(n > 0 && n < SOCLE_EVENTS, "event %lu", (u64)n);
	return (u64)n;
}

static void discovery_test(void)
{
	if (!begin())
		return;
	expect(cpuid(SOCLE_CPUID_VERSION, 0).ebx & SOCLE_FEATURE_EVENT, "feature bit");
	expect(hypercall(SOCLE_CALL_VM_ID, 0, 0) > 0, "number of the VM");
}

static void own_event_test(void)
{
	u64 n;

	if (!begin())
		return;
	n = alloc_own();
	for (unsigned i = 0; i < 5; i++)
		expect_eq((u64)send(n), 0, "send");
	expect_eq(upcalls, 0, "upcalls with interrupts off");
	irq_window();
	expect_eq(upcalls, 1, "upcalls for five");
	expect_eq(heard, 1, "events");
	expect_eq(last_heard, n, "event");
	expect_eq((u64)send(n), 0, "send");
	irq_window();
	expect_eq(upcalls, 2, "upcalls");
}

/* N events while they are masked: silence, then one upcall, and all of them are there. */
static void masked_test(void)
{
	if (!begin())
		return;
	for (unsigned i = 0; i < MANY; i++)
		socle_event_mask(page, (unsigned)alloc_own());
	for (unsigned i = 1; i <= MANY; i++)
		expect_eq((u64)send(i), 0, "send");
	irq_window();
	expect_eq(upcalls, 0, "upcalls while masked");
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_UNMASK, SOCLE_EVENT_ALL, 0), 0, "unmask");
	irq_window();
	irq_window();
	expect_eq(upcalls, 1, "upcalls");
	expect_eq(heard, MANY, "events");
	/* Nothing is pending: unmasking is silent. */
	forget();
	socle_event_mask(page, 1);
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_UNMASK, 1, 0), 0, "unmask");
	irq_window();
	expect_eq(upcalls, 0, "upcalls without an event");
	/* By itself. */
	socle_event_mask(page, 2);
	expect_eq((u64)send(2), 0, "send");
	expect(socle_event_unmask(page, 2), "the guest is not told that it has to look");
	irq_window();
	expect_eq(upcalls, 0, "upcalls");
	expect_eq(socle_event_next(page), 2, "event");
}

static void bad_numbers_test(void)
{
	static const u64 calls[] = {SOCLE_CALL_EVENT_CLOSE, SOCLE_CALL_EVENT_SEND, SOCLE_CALL_EVENT_UNMASK,
				    SOCLE_CALL_EVENT_VCPU};
	static const u64 bad[] = {0, SOCLE_EVENTS, 0x10001, BIT(32) + 1, BIT(63), ~1ULL};

	if (!begin())
		return;
	for (unsigned c = 0; c < ARRAY_SIZE(calls); c++) {
		for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
			expect_eq((u64)hypercall(calls[c], bad[i], 0), (u64)SOCLE_EINVAL, "bad number");
		expect_eq((u64)hypercall(calls[c], 7, 0), (u64)SOCLE_ENOENT, "event that is not in use");
	}
	u64 n = alloc_own(), self = (u64)hypercall(SOCLE_CALL_VM_ID, 0, 0);
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_VCPU, n, 255), (u64)SOCLE_EINVAL, "no such vCPU");
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_VCPU, n, ~0ULL), (u64)SOCLE_EINVAL, "no such vCPU");
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_BIND, self, n), (u64)SOCLE_ENOENT, "bound to itself");
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_BIND, 0xffffffff, 1), (u64)SOCLE_ENOENT, "no such VM");
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_BIND, BIT(32) + self, 1), (u64)SOCLE_ENOENT, "no such VM");
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_ALLOC, 0xffffffff, 0), (u64)SOCLE_ENOENT, "no such VM");
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		expect_eq((u64)hypercall(SOCLE_CALL_ALARM_REAL, 0, SOCLE_ALARM_EVENT(bad[i])),
			  (u64)SOCLE_EINVAL, "alarm by a bad event");
	expect_eq((u64)hypercall(SOCLE_CALL_ALARM_REAL, 0, SOCLE_ALARM_EVENT(9)), (u64)SOCLE_EINVAL,
		  "alarm by an event that is not in use");
	irq_window();
	expect_eq(upcalls, 0, "upcalls");
	for (u64 i = n; i < SOCLE_EVENTS - 1; i++)
		alloc_own();
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_ALLOC, SOCLE_SELF, 0), (u64)SOCLE_ENOMEM, "all in use");
}

static void bad_pages_test(void)
{
	static const u64 outside[] = {0xa0000, 0xfee00000, 0xc0000000, BIT(47), BIT(63), ~0xfffULL};
	u64 start, end, n;

	if (!begin())
		return;
	mem_free_range(&start, &end);
	for (unsigned i = 0; i < ARRAY_SIZE(outside); i++)
		expect_eq((u64)hypercall(SOCLE_CALL_EVENT_SETUP, outside[i], VECTOR), (u64)SOCLE_EFAULT,
			  "outside RAM");
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_SETUP, end, VECTOR), (u64)SOCLE_EFAULT, "end of RAM");
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_SETUP, (u64)page + 64, VECTOR), (u64)SOCLE_EINVAL,
		  "alignment");
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_SETUP, (u64)page, 31), (u64)SOCLE_EINVAL, "vector");
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_SETUP, (u64)page, 256), (u64)SOCLE_EINVAL, "vector");
	/* The old page stays; without one, what is sent is lost. */
	n = alloc_own();
	expect_eq((u64)send(n), 0, "send");
	irq_window();
	expect_eq(upcalls, 1, "upcalls");
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_SETUP, ~0ULL, VECTOR), 0, "no page");
	expect_eq((u64)send(n), 0, "send");
	irq_window();
	expect_eq(upcalls, 1, "upcalls without a page");
	expect_eq(page->pending[0], 0, "pending bits");
}

/* Full of ones, the page silences the guest itself, and nobody else. */
static void scribble_test(void)
{
	u64 n;

	if (!begin())
		return;
	n = alloc_own();
	memset(page, 0xff, PAGE_SIZE);
	expect_eq((u64)send(n), 0, "send");
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_UNMASK, SOCLE_EVENT_ALL, 0), 0, "unmask");
	irq_window();
	expect_eq(upcalls, 0, "upcalls");
	memset(page, 0, PAGE_SIZE);
	expect_eq((u64)send(n), 0, "send");
	irq_window();
	expect_eq(upcalls, 1, "upcalls");
}

/* M39: an alarm by an event. */
static void alarm_test(void)
{
	u64 n;

	if (!begin())
		return;
	n = alloc_own();
	expect_eq((u64)hypercall(SOCLE_CALL_ALARM_REAL, 1, SOCLE_ALARM_EVENT(n)), 0, "alarm");
	for (unsigned i = 0; i < PATIENCE && !heard; i++)
		irq_window();
	expect_eq(upcalls, 1, "upcalls");
	expect_eq(last_heard, n, "event");
	/* Closed before it goes off: silence. */
	forget();
	hypercall(SOCLE_CALL_ALARM_REAL, ~0ULL - 1, SOCLE_ALARM_EVENT(n));
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_CLOSE, n, 0), 0, "close");
	expect_eq((u64)hypercall(SOCLE_CALL_ALARM_REAL, SOCLE_ALARM_OFF, 0), 0, "off");
}

/* ---- two VMs ---- */
/* Sleeps: a lost wake-up is the end of this test. */
static void wait_heard(unsigned before)
{
	while (heard == before)
		__asm__ volatile("sti; hlt; cli" ::: "memory");
}

/* Offers an event to VM `serve`, and answers each that comes. */
static void serve_test(void)
{
	const char *other = test_option("serve");
	i64 n = -1;

	if (!other) {
		test_skip("no serve=ID");
		return;
	}
	if (!begin())
		return;
	for (unsigned i = 0; i < PATIENCE && n < 0; i++)
		n = hypercall(SOCLE_CALL_EVENT_ALLOC, parse_number(other), 0);
	expect_eq((u64)n, 1, "event");
	expect_eq((u64)send(1), (u64)SOCLE_ENOTCONN, "send before anybody is there");
	for (unsigned i = 0; i < ROUNDS; i++) {
		wait_heard(i);
		expect_eq((u64)send(1), 0, "answer");
	}
	/* The other closes. */
	for (unsigned i = 0; i < PATIENCE && send(1) != SOCLE_ENOTCONN; i++)
		cpu_pause();
	expect_eq((u64)send(1), (u64)SOCLE_ENOTCONN, "send after it has closed");
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_CLOSE, 1, 0), 0, "close");
}

static void call_test(void)
{
	const char *other = test_option("call");
	i64 n = -1;

	if (!other) {
		test_skip("no call=ID");
		return;
	}
	if (!begin())
		return;
	for (unsigned i = 0; i < PATIENCE && n < 0; i++)
		n = hypercall(SOCLE_CALL_EVENT_BIND, parse_number(other), 1);
	if (!expect_eq((u64)n, 1, "event"))
		return;
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_BIND, parse_number(other), 1), (u64)SOCLE_ENOENT, "twice");
	for (unsigned i = 0; i < ROUNDS; i++) {
		expect_eq((u64)send((u64)n), 0, "send");
		wait_heard(i);
	}
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_CLOSE, (u64)n, 0), 0, "close");
	expect_eq(heard, ROUNDS, "answers");
}

const struct test guest_tests[] = {
    {"discovery", discovery_test, 0}, {"own-event", own_event_test, 0},
    {"masked", masked_test, 0},       {"bad-numbers", bad_numbers_test, 0},
    {"bad-pages", bad_pages_test, 0}, {"scribble", scribble_test, 0},
    {"alarm", alarm_test, 0},         {"serve", serve_test, 0},
    {"call", call_test, 0},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
