/* SPDX-License-Identifier: Apache-2.0 */
/* M22, M36, M37, M38, M39: the clocks of a guest: Socle's records, alarms, pauses, and KVM's MSRs. In the
 * shim a tick of the TSC is a ns, and the machine was switched on at 0. */
#include "vcpu_board.h"

#include "fake_timer.h"
#include "host.h"
#include "shim.h"
#include "socle/clock.h"
#include "vcpu/clock.h"
#include "vcpu/msr.h"

#define SECOND 1000000000ull
#define RECORD 0x1080u
#define VM_RECORD 0x2040u
#define ROM 0x200000u
#define KVM_WALL 0x4b564d00u
#define KVM_TIME 0x4b564d01u
#define KVM_STEAL 0x4b564d03u
#define KVM_EOI 0x4b564d04u

static struct vcpu *const v = &board_vcpu;
static struct guest *const g = &board_guest;
static u32 events, last_event;

static struct task_times times;

struct task_times task_times(const struct task *t)
{
	assert_ptr_equal(t, &v->task);
	return times;
}

bool guest_log_unknown(struct guest *guest)
{
	(void)guest;
	return false;
}

static void event(void *opaque, u32 number)
{
	assert_ptr_equal(opaque, g);
	events++;
	last_event = number;
}

static int setup(void **state)
{
	board_setup(state);
	shim_tsc = 5 * SECOND;
	assert_int_equal(gmem_add_slot(&g->mem, ROM, 0x10000, GMEM_READONLY), 0);
	g->config = (struct guest_config){.hypervisor_cpuid = true, .event = event, .opaque = g};
	g->clock.wall_ns = wall_ns_at_boot();
	g->tsc_start = shim_tsc;
	v->tsc_offset = -shim_tsc;
	events = fake_fired = 0;
	msr_init();
	clock_create(v);
	clock_enter(v, tsc_now());
	return 0;
}

static int teardown(void **state)
{
	clock_destroy(v);
	assert_int_equal(fake_timers_armed(), 0);
	return board_teardown(state);
}

static u64 guest_rdtsc(void)
{
	return shim_tsc + v->tsc_offset;
}

/* A copy of the record, which must be whole. */
static struct socle_vcpu_clock record(void)
{
	struct socle_vcpu_clock r;
	assert_int_equal(gmem_read(&g->mem, RECORD, &r, sizeof(r)), 0);
	assert_false(r.sequence & 1);
	return r;
}

static u64 real_seen(void)
{
	struct socle_vcpu_clock r = record();
	return socle_clock_read(&r, &r.real_tsc, guest_rdtsc);
}

static u64 virtual_seen(void)
{
	struct socle_vcpu_clock r = record();
	return socle_clock_read(&r, &r.virtual_tsc, guest_rdtsc);
}

static void away(u64 ns)
{
	clock_leave(v, tsc_now());
	fake_run_until(shim_tsc + ns);
	clock_enter(v, tsc_now());
}

static void pass(u64 ns)
{
	fake_run_until(shim_tsc + ns);
}

/* M36, M37. */
static void real_and_virtual_time(void **state)
{
	(void)state;
	pass(10);
	assert_int_equal(clock_set_vcpu_record(v, RECORD), 0);
	assert_int_equal(real_seen(), 5 * SECOND + 10);
	assert_int_equal(virtual_seen(), 10);
	pass(1000);
	assert_int_equal(real_seen(), 5 * SECOND + 1010);
	assert_int_equal(virtual_seen(), 1010);
	away(7 * SECOND);
	assert_int_equal(real_seen(), 12 * SECOND + 1010);
	assert_int_equal(virtual_seen(), 1010);
	pass(5);
	assert_int_equal(virtual_seen(), 1015);
	u32 sequence = record().sequence;
	assert_int_equal(clock_update(v), 0);
	assert_int_equal(record().sequence, sequence + 2);
	times = (struct task_times){1, 2, 3, 4};
	assert_int_equal(clock_update(v), 0);
	assert_int_equal(record().run_ns, 1);
	assert_int_equal(record().steal_ns, 2);
	assert_int_equal(record().idle_ns, 3);
	assert_int_equal(record().hypervisor_ns, 4);
}

static void tsc_written_by_the_guest(void **state)
{
	(void)state;
	assert_int_equal(clock_set_vcpu_record(v, RECORD), 0);
	pass(1000);
	v->tsc_offset += BIT(50);
	clock_tsc_changed(v);
	assert_int_equal(real_seen(), 5 * SECOND + 1000);
	assert_int_equal(virtual_seen(), 1000);
}

static void places(void **state)
{
	static const struct {
		gpa_t gpa;
		int vcpu, vm;
	} rows[] = {
	    {RECORD, 0, 0},
	    {RECORD + 64, ERR_INVAL, 0},
	    {RECORD + 1, ERR_INVAL, ERR_INVAL},
	    {BOARD_RAM - 128, 0, 0},
	    {BOARD_RAM, ERR_FAULT, ERR_FAULT},
	    {ROM, ERR_FAULT, ERR_FAULT},
	    {BIT(63), ERR_FAULT, ERR_FAULT},
	    {~(gpa_t)127, ERR_FAULT, ERR_FAULT},
	    {CLOCK_NOWHERE, 0, 0},
	};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(clock_set_vcpu_record(v, rows[i].gpa), rows[i].vcpu);
		assert_int_equal(clock_set_vm_record(v, rows[i].gpa), rows[i].vm);
	}
	assert_int_equal(clock_update(v), ERR_NOENT);
	assert_int_equal(v->clock.duties, 0);
}

/* Gone, and no memory for another: nothing is written, nothing breaks; later there is one again. */
static void a_page_that_vanishes(void **state)
{
	(void)state;
	assert_int_equal(clock_set_vcpu_record(v, RECORD), 0);
	assert_int_equal(clock_set_vm_record(v, VM_RECORD), 0);
	void *frames[] = {gmem_ptr(&g->mem, 0x1000, 1), gmem_ptr(&g->mem, 0x2000, 1)};
	assert_int_equal(ept_unmap(&g->ept, 0, BOARD_RAM), 0);
	page_free(virt_to_phys(frames[0]), 0);
	page_free(virt_to_phys(frames[1]), 0);
	shim_fail_after = 0;
	away(SECOND);
	clock_set_wall(g, 1);
	shim_fail_after = -1;
	away(SECOND);
	assert_int_equal(real_seen(), 7 * SECOND);
}

/* M38. */
static void wall_clock(void **state)
{
	struct socle_vm_clock r;
	(void)state;
	assert_int_equal(clock_set_vm_record(v, VM_RECORD), 0);
	assert_int_equal(gmem_read(&g->mem, VM_RECORD, &r, sizeof(r)), 0);
	assert_int_equal(r.wall_ns, 1700000000 * SECOND);
	assert_int_equal(clock_wall(g), 1700000005 * SECOND);
	clock_set_wall(g, 1800000000 * SECOND);
	assert_int_equal(gmem_read(&g->mem, VM_RECORD, &r, sizeof(r)), 0);
	assert_int_equal(r.wall_ns, 1800000000 * SECOND - 5 * SECOND);
	assert_false(r.sequence & 1);
	pass(SECOND);
	assert_int_equal(clock_wall(g), 1800000001 * SECOND);
}

/* M37, M38: five seconds of pause are five of real time and none of virtual; the wall clock is right at once.
 */
static void pause(void **state)
{
	struct socle_vm_clock r;
	u8 flags;
	(void)state;
	assert_int_equal(clock_set_vcpu_record(v, RECORD), 0);
	assert_int_equal(clock_set_vm_record(v, VM_RECORD), 0);
	kvm_msr_find(KVM_TIME)->write(v, KVM_TIME, 0x3001);
	pass(100);
	u64 virt = virtual_seen(), real = real_seen();
	clock_vm_paused(g);
	clock_leave(v, tsc_now());
	pass(5 * SECOND);
	clock_vm_unpaused(g);
	clock_enter(v, tsc_now());
	assert_int_equal(virtual_seen(), virt);
	assert_int_equal(real_seen(), real + 5 * SECOND);
	assert_int_equal(gmem_read(&g->mem, VM_RECORD, &r, sizeof(r)), 0);
	assert_int_equal(r.wall_ns + real_seen(), clock_wall(g));
	assert_int_equal(r.pause_ns, 5 * SECOND);
	/* KVM's way to say it, so that Linux's watchdogs do not bark. Once. */
	assert_int_equal(gmem_read(&g->mem, 0x3000 + 29, &flags, 1), 0);
	assert_int_equal(flags, 3);
	away(1);
	assert_int_equal(v->clock.duties, CLOCK_ON_RECORD);
}

/* M39. */
static void real_alarm(void **state)
{
	(void)state;
	clock_set_alarm(v, CLOCK_REAL, 6 * SECOND, 0x60);
	pass(SECOND - 1);
	assert_int_equal(board_posted, 0);
	pass(1);
	assert_int_equal(board_posted, 1);
	assert_int_equal(board_posted_vector, 0x60);
	pass(10 * SECOND);
	assert_int_equal(board_posted, 1);
	clock_set_alarm(v, CLOCK_REAL, 0, CLOCK_BY_EVENT + 7); /* has passed: at once */
	pass(0);
	assert_int_equal(events, 1);
	assert_int_equal(last_event, 7);
	clock_set_alarm(v, CLOCK_REAL, shim_tsc + 5, 0x60);
	clock_set_alarm(v, CLOCK_REAL, shim_tsc + 50, 0x61);
	pass(10);
	assert_int_equal(board_posted, 1);
	clock_set_alarm(v, CLOCK_REAL, CLOCK_OFF, 0);
	pass(SECOND);
	assert_int_equal(board_posted, 1);
	clock_set_alarm(v, CLOCK_REAL, CLOCK_OFF - 1, 0x60);
	pass(SECOND);
	assert_int_equal(board_posted, 1);
}

static void virtual_alarm(void **state)
{
	(void)state;
	clock_set_alarm(v, CLOCK_VIRTUAL, 1000, 0x70);
	pass(900);
	away(SECOND);
	assert_int_equal(board_posted, 0);
	pass(99);
	assert_int_equal(board_posted, 0);
	pass(1);
	assert_int_equal(board_posted, 1);
	assert_int_equal(board_posted_vector, 0x70);
	assert_int_equal(v->clock.duties, 0);
	away(SECOND);
	assert_int_equal(fake_timers_armed(), 0);
	/* One that never comes does not stand in the way of the next. */
	clock_set_alarm(v, CLOCK_VIRTUAL, CLOCK_OFF - 1, 0x70);
	away(SECOND);
	clock_set_alarm(v, CLOCK_VIRTUAL, 5000, 0x71);
	away(SECOND);
	pass(4000);
	assert_int_equal(board_posted_vector, 0x71);
}

/* ---- KVM ---- */
struct kvm_time {
	u32 version, pad;
	u64 tsc_timestamp, system_time;
	u32 factor;
	i8 shift;
	u8 flags, pad2[2];
};

static int wrmsr_kvm(u32 msr, u64 value)
{
	return kvm_msr_find(msr)->write(v, msr, value);
}

/* As Linux computes it. */
static u64 kvm_now(gpa_t gpa)
{
	struct kvm_time t;
	assert_int_equal(gmem_read(&g->mem, gpa, &t, sizeof(t)), 0);
	assert_false(t.version & 1);
	u64 delta = guest_rdtsc() - t.tsc_timestamp;
	delta = t.shift < 0 ? delta >> -t.shift : delta << t.shift;
	return t.system_time + (u64)((unsigned __int128)delta * t.factor >> 32);
}

static u64 hz = 1000000000;
u64 tsc_hz(void)
{
	return hz;
}

static void kvm_time(void **state)
{
	u64 value;
	(void)state;
	assert_int_equal(wrmsr_kvm(KVM_TIME, 0x3001), 0);
	assert_int_equal(kvm_msr_find(KVM_TIME)->read(v, KVM_TIME, &value), 0);
	assert_int_equal(value, 0x3001);
	assert_int_equal(kvm_now(0x3000), 5 * SECOND);
	pass(3600 * SECOND);
	assert_in_range(kvm_now(0x3000), 3605 * SECOND - 1000, 3605 * SECOND);
	v->tsc_offset = 12345;
	clock_tsc_changed(v);
	assert_in_range(kvm_now(0x3000), 3605 * SECOND - 1000, 3605 * SECOND);
	assert_int_equal(wrmsr_kvm(KVM_TIME, 0), 0);
}

/* For every rate that a TSC may have: the factor is a whole 32 bits, and a second is a second. */
static void kvm_scale(void **state)
{
	static const u64 rates[] = {1000000,    50000000,   999999999,  1000000000,
				    1000000001, 2000000000, 2394558000, 4000000000ull};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
		struct kvm_time t;
		hz = rates[i];
		assert_int_equal(wrmsr_kvm(KVM_TIME, 0x3001), 0);
		assert_int_equal(gmem_read(&g->mem, 0x3000, &t, sizeof(t)), 0);
		assert_true(t.factor >> 31);
		u64 delta = t.shift < 0 ? hz >> -t.shift : hz << t.shift;
		u64 ns = (u64)((unsigned __int128)delta * t.factor >> 32);
		assert_in_range(ns, SECOND - 2, SECOND);
	}
	hz = 1000000000;
}

static void kvm_wall(void **state)
{
	u32 w[3];
	(void)state;
	clock_set_wall(g, 1800000000 * SECOND + 7);
	assert_int_equal(wrmsr_kvm(KVM_WALL, 0x3000), 0);
	assert_int_equal(gmem_read(&g->mem, 0x3000, w, sizeof(w)), 0);
	assert_int_equal(w[0], 2);
	assert_int_equal(w[1], 1800000000 - 5);
	assert_int_equal(w[2], 7);
}

static void kvm_refusals(void **state)
{
	static const struct {
		u32 msr;
		u64 value;
	} rows[] = {
	    {KVM_TIME, 3},
	    {KVM_TIME, BOARD_RAM + 1},
	    {KVM_TIME, ROM + 1},
	    {KVM_TIME, ~(u64)0 - 2},
	    {KVM_TIME, 0xfe5},
	    {KVM_WALL, 0xff8},
	    {KVM_WALL, BOARD_RAM},
	    {KVM_WALL, 1},
	    {KVM_STEAL, 0x1003},
	    {KVM_STEAL, 0x1021},
	    {KVM_STEAL, 2},
	    {KVM_STEAL, ROM + 1},
	    {KVM_STEAL, BIT(63) + 1},
	    {KVM_STEAL, BOARD_RAM + 1},
	};
	u64 value;
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		assert_true(wrmsr_kvm(rows[i].msr, rows[i].value) < 0);
	for (u32 msr = 0x4b564d00; msr < 0x4b564d20; msr++)
		assert_int_equal(!kvm_msr_find(msr),
				 msr != KVM_TIME && msr != KVM_WALL && msr != KVM_STEAL && msr != KVM_EOI);
	g->config.hypervisor_cpuid = false; /* M10 */
	for (u32 msr = KVM_WALL; msr <= KVM_EOI; msr++)
		if (kvm_msr_find(msr)) {
			assert_true(wrmsr_kvm(msr, 0) < 0);
			assert_true(kvm_msr_find(msr)->read(v, msr, &value) < 0);
		}
}

static void kvm_steal(void **state)
{
	(void)state;
	assert_int_equal(wrmsr_kvm(KVM_STEAL, 0x3041), 0);
	assert_int_equal(board_get(0x3048, 4), 2);
	clock_leave(v, tsc_now());
	assert_int_equal(board_get(0x3050, 1), 1); /* does not run */
	times.ready = 12345;
	clock_enter(v, tsc_now());
	assert_int_equal(board_get(0x3040, 8), 12345);
	assert_int_equal(board_get(0x3050, 1), 0);
	assert_int_equal(board_get(0x3048, 4), 4);
	assert_int_equal(wrmsr_kvm(KVM_STEAL, 0), 0);
	away(1);
	assert_int_equal(board_get(0x3048, 4), 4);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(real_and_virtual_time),
	    T(tsc_written_by_the_guest),
	    T(places),
	    T(a_page_that_vanishes),
	    T(wall_clock),
	    T(pause),
	    T(real_alarm),
	    T(virtual_alarm),
	    T(kvm_time),
	    T(kvm_scale),
	    T(kvm_wall),
	    T(kvm_refusals),
	    T(kvm_steal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
