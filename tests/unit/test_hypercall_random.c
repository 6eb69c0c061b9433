/* SPDX-License-Identifier: Apache-2.0 */
/* M14: random calls with random and nearly right arguments, from every CPL, several in one among them, beside
 * another VM that has offered an event. Each gives a result that the ABI has; what another VM owns stays as
 * it is, but for the bits of that event; and CPL 1 to 3 change nothing at all. */
#include "hypercall_board.h"

#include "socle/clock.h"
#include "socle/ring.h"

#define OTHER_PAGES 8u
#define OTHER_EVENTS 0x5000u /* its page of events */
#define CALLS 200000u

static struct vm other;
static struct vcpu other_vcpu;
static u64 other_registers[16];
static u8 before[OTHER_PAGES * PAGE_SIZE], now[OTHER_PAGES * PAGE_SIZE];

static u64 seed;
static u64 some(u64 below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static u64 argument(void)
{
	static const u64 edges[] = {0,          RAM,         LAST,       ROM,        ~0ull,
				    ~0ull << 6, ~0ull << 12, 1ull << 31, 1ull << 32, 1ull << 47};

	switch (some(6)) {
	case 0:
		return edges[some(ARRAY_SIZE(edges))];
	case 1:
		return some(RAM / PAGE_SIZE) * PAGE_SIZE;
	case 2:
		return some(RAM / 64) * 64;
	case 3:
		return edges[some(ARRAY_SIZE(edges))] + some(9) - 4;
	case 4:
		return some(some(2) ? 3 : 300);
	default:
		return some(~0ull) << some(64);
	}
}

static u64 number(void)
{
	return some(8) ? some(SOCLE_CALL_MULTI + 4) : argument();
}

static bool is_result(i64 r)
{
	static const i64 errors[] = {SOCLE_EPERM,  SOCLE_ENOENT,   SOCLE_ENXIO, SOCLE_EAGAIN,
				     SOCLE_ENOMEM, SOCLE_EFAULT,   SOCLE_EBUSY, SOCLE_EINVAL,
				     SOCLE_ENOSYS, SOCLE_ENOTCONN, SOCLE_EDQUOT};

	for (unsigned i = 0; i < ARRAY_SIZE(errors); i++)
		if (r == errors[i])
			return true;
	return r >= 0;
}

static void look(u8 *copy)
{
	assert_int_equal(gmem_read(&other.guest.mem, 0, copy, OTHER_PAGES * PAGE_SIZE), 0);
}

/* As another VM calls it. */
static i64 other_calls(u64 n, u64 a, u64 b)
{
	other_vcpu.regs[REG_RDI] = a;
	other_vcpu.regs[REG_RSI] = b;
	return (i64)vm_hypercall(&other, &other_vcpu, n);
}

static int two_vms(void **state)
{
	static const struct ept_options opt = {0};
	static u8 page[PAGE_SIZE];

	setup(state);
	memset(&other, 0, sizeof(other));
	memset(&other_vcpu, 0, sizeof(other_vcpu));
	other.id = 2;
	assert_int_equal(ept_init(&other.guest.ept, &opt), 0);
	gmem_init(&other.guest.mem, &other.guest.ept, 0, 1000);
	assert_int_equal(gmem_add_slot(&other.guest.mem, 0, OTHER_PAGES * PAGE_SIZE, 0), 0);
	other.guest.nr_vcpus = 1;
	other.guest.vcpus[0] = &other_vcpu;
	other_vcpu.guest = &other.guest;
	other_vcpu.regs = other_registers;
	gmem_tlb_reset(&other_vcpu.tlb);
	list_insert(&vm_host.vms, &other.node);
	for (u64 i = 0; i < OTHER_PAGES; i++) {
		memset(page, i * PAGE_SIZE == OTHER_EVENTS ? 0 : (int)(0x11 * (i + 1)), sizeof(page));
		assert_int_equal(gmem_write(&other.guest.mem, i * PAGE_SIZE, page, sizeof(page)), 0);
	}
	assert_int_equal(other_calls(SOCLE_CALL_EVENT_SETUP, OTHER_EVENTS, 0x50), 0);
	return 0;
}

static int two_vms_off(void **state)
{
	vm_events_stop(&other);
	vm_events_stop(&vm);
	list_remove(&other.node);
	gmem_destroy(&other.guest.mem);
	ept_destroy(&other.guest.ept);
	vm_events_destroy(&other);
	return teardown(state);
}

/* What the offered event may do there. */
static void forget_events(u8 *copy)
{
	struct socle_event_page *p = (struct socle_event_page *)(copy + OTHER_EVENTS);

	memset(p->pending, 0, sizeof(p->pending));
	p->vcpu[0].upcall = 0;
}

static void random_calls(u64 from)
{
	u64 done = 0, refused = 0, registers_before[16];
	i64 offered = other_calls(SOCLE_CALL_EVENT_ALLOC, 1, 0);

	seed = from;
	assert_true(offered > 0);
	look(before);
	forget_events(before);
	for (unsigned i = 0; i < CALLS; i++) {
		u64 n = number(), cpl = some(8) ? 0 : 1 + some(3);

		if (some(16) == 0)
			for (u64 e = 0; e < SOCLE_MULTI_MAX; e++)
				*entry(LIST + 64 * e) = (struct socle_multicall){
				    .number = number(),
				    .argument = {argument(), argument(), argument(), argument(), argument()}};
		fake.rc = some(4) ? 0 : ERR_AGAIN;
		fake(GUEST_SS_ACCESS_RIGHTS) = cpl << 5;
		unsigned device = fake.opened + fake.closed + fake.doorbells;
		bool binds = n == SOCLE_CALL_EVENT_BIND && some(2);
		registers[REG_RDI] = binds ? 2 : argument();
		registers[REG_RSI] = binds ? (u64)offered : argument();
		registers[REG_RDX] = argument();
		registers[10] = argument();
		registers[8] = argument();
		memcpy(registers_before, registers, sizeof(registers));
		i64 r = (i64)vm_hypercall(&vm, &vcpu, n);
		if (!is_result(r) || (n > SOCLE_CALL_MULTI && r != (cpl ? SOCLE_EPERM : SOCLE_ENOSYS)))
			fail_msg("seed %llu: call %llx gave %lld", (unsigned long long)from,
				 (unsigned long long)n, (long long)r);
		if (cpl) {
			assert_int_equal(r, SOCLE_EPERM);
			assert_int_equal(fake.opened + fake.closed + fake.doorbells, device);
			refused++;
		}
		done += r >= 0;
		assert_memory_equal(registers_before, registers, sizeof(registers));
		if (i % 1000 == 999) {
			look(now);
			forget_events(now);
			assert_memory_equal(now, before, sizeof(now));
		}
	}
	assert_true(done > CALLS / 20);
	assert_in_range(refused, CALLS / 10, CALLS / 6);
	assert_true(fake.opened && fake.closed && fake.doorbells && ways && between);
}

static void calls_at_random(void **state)
{
	(void)state;
	random_calls(0x9e3779b97f4a7c15);
}

static void calls_at_random_again(void **state)
{
	(void)state;
	random_calls(4711);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(calls_at_random, two_vms, two_vms_off),
	    cmocka_unit_test_setup_teardown(calls_at_random_again, two_vms, two_vms_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
