/* SPDX-License-Identifier: Apache-2.0 */
/* Socle's clocks and alarms, and KVM's clock and steal time, from a guest's side. M22, M36, M37, M38, M39. */
#include <socle/clock.h>

#include "apic.h"
#include "hyper.h"
#include "operator.h"
#include "page.h"
#include "print.h"
#include "trap.h"

#define NS_PER_MS 1000000ULL
#define READS 1000000U

#define KVM_WALL 0x4b564d00U
#define KVM_TIME 0x4b564d01U
#define KVM_STEAL 0x4b564d03U

static struct socle_vcpu_clock *record;
static struct socle_vm_clock *vm_record;
static u8 *ram; /* three pages */

static u64 read_tsc(void)
{
	u32 lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}

static u64 real_now(void)
{
	return socle_clock_read(record, &record->real_tsc, read_tsc);
}

static u64 virtual_now(void)
{
	return socle_clock_read(record, &record->virtual_tsc, read_tsc);
}

/* Both records, on fresh pages; false where nobody knows the calls. */
static bool begin(void)
{
	if (!hypercall_present()) {
		test_skip("not under Socle");
		return false;
	}
	if (!ram)
		ram = mem_alloc(3);
	memset(ram, 0xa5, 3 * PAGE_SIZE);
	record = (struct socle_vcpu_clock *)(ram + 128);
	vm_record = (struct socle_vm_clock *)(ram + PAGE_SIZE + 64);
	return expect_eq((u64)hypercall(SOCLE_CALL_CLOCK_VCPU, (u64)record, 0), 0, "vCPU record") &&
	       expect_eq((u64)hypercall(SOCLE_CALL_CLOCK_VM, (u64)vm_record, 0), 0, "VM record");
}

static void discovery_test(void)
{
	u32 want = SOCLE_FEATURE_CLOCK | SOCLE_FEATURE_ALARM;

	if (begin())
		expect((cpuid(SOCLE_CPUID_VERSION, 0).ebx & want) == want, "feature bits");
}

/* Only the record changes, and all of it makes sense. */
static void records_test(void)
{
	if (!begin())
		return;
	for (unsigned i = 0; i < 3 * PAGE_SIZE; i++) {
		bool ours = i - 128 < sizeof(*record) || i - (PAGE_SIZE + 64) < sizeof(*vm_record);

		if (!ours && ram[i] != 0xa5) {
			expect(false, "byte %u was written", i);
			return;
		}
	}
	expect(record->sequence && !(record->sequence & 1), "sequence %u", record->sequence);
	expect(vm_record->sequence && !(vm_record->sequence & 1), "sequence %u", vm_record->sequence);
	expect(record->flags & SOCLE_CLOCK_STABLE, "not stable");
	expect(record->factor && record->shift < 64, "factor 0x%lx, shift %u", record->factor, record->shift);
	expect_eq(record->vcpu, 0, "vCPU");
	for (unsigned i = 0; i < 5; i++)
		expect_eq(record->reserved[i] | vm_record->reserved[i], 0, "reserved words");
	/* 2023 to 2096: the wall clock at boot. */
	expect(vm_record->wall_ns / NS_PER_MS / 1000 - 1700000000 < 2300000000, "wall clock %lu ns",
	       vm_record->wall_ns);
	expect_eq(vm_record->pause_ns, 0, "pauses");
}

static void bad_places_test(void)
{
	u64 start, end;
	static const u64 bad[] = {
	    0xa0000, 0xfee00000, 0xc0000000,         0xfffffffffffff000, BIT(47),
	    BIT(52), BIT(63),    0xfffffffffffffe00, 0xe0000000,         0x7fffffffffffff80ULL};

	if (!begin())
		return;
	mem_free_range(&start, &end);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		expect_eq((u64)hypercall(SOCLE_CALL_CLOCK_VCPU, bad[i], 0), (u64)SOCLE_EFAULT, "outside RAM");
		expect_eq((u64)hypercall(SOCLE_CALL_CLOCK_VM, bad[i], 0), (u64)SOCLE_EFAULT, "outside RAM");
	}
	expect_eq((u64)hypercall(SOCLE_CALL_CLOCK_VCPU, end, 0), (u64)SOCLE_EFAULT, "end of RAM");
	expect_eq((u64)hypercall(SOCLE_CALL_CLOCK_VM, end, 0), (u64)SOCLE_EFAULT, "end of RAM");
	for (u64 off = 1; off < 128; off <<= 1)
		expect_eq((u64)hypercall(SOCLE_CALL_CLOCK_VCPU, (u64)record + off, 0), (u64)SOCLE_EINVAL,
			  "alignment");
	for (u64 off = 1; off < 64; off <<= 1)
		expect_eq((u64)hypercall(SOCLE_CALL_CLOCK_VM, (u64)vm_record + off, 0), (u64)SOCLE_EINVAL,
			  "alignment");
	/* What failed has changed nothing; what has ended is not written. */
	record->sequence = 0;
	expect_eq((u64)hypercall(SOCLE_CALL_CLOCK_UPDATE, 0, 0), 0, "update");
	expect(record->sequence, "the old record is no longer written");
	expect_eq((u64)hypercall(SOCLE_CALL_CLOCK_VCPU, SOCLE_NOWHERE, 0), 0, "no record");
	expect_eq((u64)hypercall(SOCLE_CALL_CLOCK_VM, SOCLE_NOWHERE, 0), 0, "no record");
	record->sequence = 0;
	expect_eq((u64)hypercall(SOCLE_CALL_CLOCK_UPDATE, 0, 0), (u64)SOCLE_ENOENT, "update without one");
	expect_eq(record->sequence, 0, "sequence of a record that has ended");
	for (u64 nr = 3; nr < 16; nr++)
		expect_eq((u64)hypercall(nr, 0, 0), (u64)SOCLE_ENOSYS, "number without a meaning");
}

/* A guest that writes into its records hurts nobody, and the next update repairs them. */
static void scribble_test(void)
{
	u64 real;

	if (!begin())
		return;
	real = real_now();
	memset(record, 0xff, sizeof(*record));
	expect_eq((u64)hypercall(SOCLE_CALL_CLOCK_UPDATE, 0, 0), 0, "update");
	expect(!(record->sequence & 1) && real_now() > real && real_now() - real < 1000 * NS_PER_MS,
	       "real time %lu after %lu", real_now(), real);
}

/* M36: never back, and as fast as the TSC; also across updates and when the guest moves its TSC. */
static void real_time_test(void)
{
	u64 last, start, first_tsc, adjust;

	if (!begin())
		return;
	last = start = real_now();
	first_tsc = read_tsc();
	for (unsigned i = 0; i < READS; i++) {
		u64 now = real_now();

		if (now < last) {
			expect(false, "from %lu back to %lu", last, now);
			return;
		}
		last = now;
		if (i % 1000 == 0)
			hypercall(SOCLE_CALL_CLOCK_UPDATE, 0, 0);
	}
	u64 ticks = read_tsc() - first_tsc;
	u64 ns = (u64)((unsigned __int128)ticks * record->factor >> record->shift);
	expect(ns - (last - start) < NS_PER_MS, "%lu ns passed, %lu by the TSC", last - start, ns);

	adjust = rdmsr(MSR_TSC_ADJUST);
	wrmsr(MSR_TSC_ADJUST, adjust + (BIT(40)));
	expect(real_now() >= last && real_now() - last < 100 * NS_PER_MS, "after TSC + 2^40: %lu after %lu",
	       real_now(), last);
	wrmsr(MSR_TSC, 0);
	expect(real_now() >= last && real_now() - last < 100 * NS_PER_MS, "after TSC = 0: %lu after %lu",
	       real_now(), last);
	wrmsr(MSR_TSC_ADJUST, adjust);
	expect(real_now() >= last && real_now() - last < 100 * NS_PER_MS, "as before: %lu after %lu",
	       real_now(), last);
}

static volatile unsigned rung;
static volatile u64 rung_real, rung_virtual;

static void alarm_handler(struct regs *r)
{
	(void)r;
	rung_real = real_now();
	rung_virtual = virtual_now();
	rung++;
	apic_eoi();
}

static bool alarms_begin(void)
{
	if (!begin())
		return false;
	apic_init(false);
	trap_handler(0x60, alarm_handler);
	rung = 0;
	return true;
}

static i64 alarm_set(u64 call, u64 at)
{
	return hypercall(call, at, SOCLE_ALARM_VECTOR(0x60));
}

/* Halts until the alarm has rung. */
static void wait_halted(void)
{
	while (!rung)
		__asm__ volatile("sti; hlt; cli" ::: "memory");
}

static void wait_spinning(u64 limit_ns)
{
	u64 start = real_now();

	irq_enable();
	while (!rung && real_now() - start < limit_ns)
		cpu_pause();
	irq_disable();
}

/* M37: what is spent halted is not virtual time. */
static void virtual_time_test(void)
{
	u64 real, virt, real_gone, virt_gone, last;

	if (!alarms_begin())
		return;
	last = virtual_now();
	for (unsigned i = 0; i < 10000; i++) {
		u64 now = virtual_now();

		expect(now >= last, "from %lu back to %lu", last, now);
		last = now;
	}
	real = real_now();
	virt = virtual_now();
	expect(virt <= real, "virtual time %lu, real %lu", virt, real);
	expect_eq((u64)alarm_set(SOCLE_CALL_ALARM_REAL, real + 50 * NS_PER_MS), 0, "alarm");
	wait_halted();
	real_gone = real_now() - real;
	virt_gone = virtual_now() - virt;
	expect(real_gone >= 50 * NS_PER_MS, "%lu ns of real time in 50 ms", real_gone);
	expect(virt_gone < 5 * NS_PER_MS, "%lu ns of virtual time in 50 ms of halt", virt_gone);
	print("virtual-time: %lu us real, %lu us virtual\n", real_gone / 1000, virt_gone / 1000);
}

/* M39. */
static void real_alarm_test(void)
{
	u64 at;

	if (!alarms_begin())
		return;
	at = real_now() + 2 * NS_PER_MS;
	expect_eq((u64)alarm_set(SOCLE_CALL_ALARM_REAL, at), 0, "alarm");
	wait_spinning(100 * NS_PER_MS);
	expect_eq(rung, 1, "alarms");
	expect(rung_real >= at, "%lu ns too early", at - rung_real);
	expect(rung_real - at < NS_PER_MS, "%lu ns late", rung_real - at);
	print("real-alarm: %lu ns late\n", rung_real - at);

	rung = 0; /* in the past: at once; once only */
	expect_eq((u64)alarm_set(SOCLE_CALL_ALARM_REAL, 1), 0, "alarm in the past");
	wait_spinning(100 * NS_PER_MS);
	irq_window();
	expect_eq(rung, 1, "alarms in the past");

	rung = 0; /* replaced, then cancelled */
	at = real_now();
	expect_eq((u64)alarm_set(SOCLE_CALL_ALARM_REAL, at + 2 * NS_PER_MS), 0, "alarm");
	expect_eq((u64)alarm_set(SOCLE_CALL_ALARM_REAL, at + 6 * NS_PER_MS), 0, "later alarm");
	wait_spinning(4 * NS_PER_MS);
	expect_eq(rung, 0, "alarms that were replaced");
	expect_eq((u64)alarm_set(SOCLE_CALL_ALARM_REAL, SOCLE_ALARM_OFF), 0, "cancel");
	wait_spinning(6 * NS_PER_MS);
	expect_eq(rung, 0, "alarms that were cancelled");
}

static void virtual_alarm_test(void)
{
	u64 at;

	if (!alarms_begin())
		return;
	/* 20 ms of virtual time: 30 ms of halt in between do not count. */
	at = virtual_now() + 20 * NS_PER_MS;
	expect_eq((u64)alarm_set(SOCLE_CALL_ALARM_VIRTUAL, at), 0, "virtual alarm");
	u64 wake = real_now() + 30 * NS_PER_MS;
	trap_handler(0x61, alarm_handler);
	hypercall(SOCLE_CALL_ALARM_REAL, wake, SOCLE_ALARM_VECTOR(0x61));
	wait_halted();
	expect(virtual_now() < at, "the halt was short");
	expect(real_now() >= wake, "woken too early");
	rung = 0;
	wait_spinning(500 * NS_PER_MS);
	expect_eq(rung, 1, "virtual alarms");
	expect(rung_virtual >= at, "%lu ns too early", at - rung_virtual);
	expect(rung_virtual - at < NS_PER_MS, "%lu ns late", rung_virtual - at);

	rung = 0;
	expect_eq((u64)alarm_set(SOCLE_CALL_ALARM_VIRTUAL, virtual_now() + NS_PER_MS), 0, "virtual alarm");
	expect_eq((u64)alarm_set(SOCLE_CALL_ALARM_VIRTUAL, SOCLE_ALARM_OFF), 0, "cancel");
	wait_spinning(3 * NS_PER_MS);
	expect_eq(rung, 0, "virtual alarms that were cancelled");
	expect_eq((u64)alarm_set(SOCLE_CALL_ALARM_VIRTUAL, 0), 0, "virtual alarm in the past");
	wait_spinning(3 * NS_PER_MS);
	expect_eq(rung, 1, "virtual alarms in the past");
}

static void bad_alarms_test(void)
{
	static const u64 how[] = {0, 1, 31, 256, 0x100000060, ~0ULL, BIT(63)};

	if (!alarms_begin())
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(how); i++) {
		expect_eq((u64)hypercall(SOCLE_CALL_ALARM_REAL, 0, how[i]), (u64)SOCLE_EINVAL, "real alarm");
		expect_eq((u64)hypercall(SOCLE_CALL_ALARM_VIRTUAL, 0, how[i]), (u64)SOCLE_EINVAL,
			  "virtual alarm");
	}
	/* Far away: never. */
	for (unsigned shift = 0; shift < 8; shift++) {
		expect_eq((u64)alarm_set(SOCLE_CALL_ALARM_REAL, (~0ULL >> shift) - 1), 0, "far alarm");
		expect_eq((u64)alarm_set(SOCLE_CALL_ALARM_VIRTUAL, (~0ULL >> shift) - 1), 0, "far alarm");
	}
	wait_spinning(2 * NS_PER_MS);
	expect_eq(rung, 0, "far alarms that went off");
	alarm_set(SOCLE_CALL_ALARM_REAL, SOCLE_ALARM_OFF);
	alarm_set(SOCLE_CALL_ALARM_VIRTUAL, SOCLE_ALARM_OFF);
}

/* ---- KVM's interface ---- */
struct kvm_time {
	u32 version, pad;
	u64 tsc_timestamp, system_time;
	u32 factor;
	int8_t shift;
	u8 flags, pad2[2];
};

static u64 kvm_now(const volatile struct kvm_time *t)
{
	u64 delta = read_tsc() - t->tsc_timestamp;

	delta = t->shift < 0 ? delta >> -t->shift : delta << t->shift;
	return t->system_time + (u64)((unsigned __int128)delta * t->factor >> 32);
}

static void kvm_clock_test(void)
{
	volatile struct kvm_time *t;
	volatile u32 *wall;
	u64 last = 0, gap;

	if (!begin())
		return;
	t = (volatile struct kvm_time *)(ram + 2 * PAGE_SIZE + 64);
	wall = (volatile u32 *)(ram + 2 * PAGE_SIZE + 128);
	expect_vector(wrmsr_try(KVM_TIME, (u64)t | 1), NO_FAULT, "system time");
	expect_eq(rdmsr(KVM_TIME), (u64)t | 1, "MSR");
	expect(t->version && !(t->version & 1), "version %u", t->version);
	expect(t->flags & 1, "not stable: flags 0x%x", t->flags);
	for (unsigned i = 0; i < 10000; i++) {
		u64 now = kvm_now(t);

		expect(now >= last, "from %lu back to %lu", last, now);
		last = now;
	}
	/* The same clock as Socle's real time. */
	u64 before = real_now(), kvm = kvm_now(t), after = real_now();
	gap = kvm < before ? before - kvm : kvm > after ? kvm - after : 0;
	expect(gap < 1000, "%lu ns beside real time", gap);
	expect_vector(wrmsr_try(KVM_WALL, (u64)wall), NO_FAULT, "wall clock");
	expect(!(wall[0] & 1), "version %u", wall[0]);
	expect_eq(wall[1] * 1000000000ULL + wall[2], vm_record->wall_ns, "wall clock at 0");
	expect_vector(wrmsr_try(KVM_TIME, 0), NO_FAULT, "off");
	u32 version = t->version;
	wrmsr(MSR_TSC_ADJUST, rdmsr(MSR_TSC_ADJUST));
	expect_eq(t->version, version, "version after the end");
}

static void kvm_bad_test(void)
{
	static const u64 bad[] = {0xa0000, 0xfee00000, 0xc0000000, BIT(47), BIT(63), ~0xfffULL};
	u64 value;

	if (!begin())
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		expect_vector(wrmsr_try(KVM_TIME, bad[i] | 1), VEC_GP, "system time outside RAM");
		expect_vector(wrmsr_try(KVM_WALL, bad[i]), VEC_GP, "wall clock outside RAM");
		expect_vector(wrmsr_try(KVM_STEAL, bad[i] | 1), VEC_GP, "steal time outside RAM");
	}
	expect_vector(wrmsr_try(KVM_TIME, (u64)ram | 3), VEC_GP, "reserved bit");
	expect_vector(wrmsr_try(KVM_TIME, (u64)ram + PAGE_SIZE - 28 + 1), VEC_GP, "across a page");
	for (unsigned bit = 1; bit < 6; bit++)
		expect_vector(wrmsr_try(KVM_STEAL, (u64)ram | BIT(bit) | 1), VEC_GP, "reserved bit");
	expect_vector(wrmsr_try(KVM_TIME, 0), NO_FAULT, "off");
	expect_vector(wrmsr_try(KVM_STEAL, 0), NO_FAULT, "off");
	/* What is not in the feature bits is not there. */
	for (u32 msr = 0x4b564d05; msr < 0x4b564d10; msr++)
		expect_vector(rdmsr_try(msr, &value), VEC_GP, "MSR that is not offered");
	expect_vector(rdmsr_try(0x4b564d02, &value), VEC_GP, "MSR that is not offered");
	expect_vector(wrmsr_try(0x12, (u64)ram | 1), VEC_GP, "the old system time MSR");
}

static void kvm_steal_test(void)
{
	volatile u64 *steal;
	volatile u32 *version;

	if (!begin())
		return;
	steal = (volatile u64 *)(ram + 2 * PAGE_SIZE + 192);
	version = (volatile u32 *)(steal + 1);
	expect_vector(wrmsr_try(KVM_STEAL, (u64)steal | 1), NO_FAULT, "steal time");
	expect(!(*version & 1), "version %u", *version);
	u64 before = *steal;
	expect_eq((u64)hypercall(SOCLE_CALL_CLOCK_UPDATE, 0, 0), 0, "update");
	expect(record->steal_ns >= before, "steal %lu, then %lu", before, record->steal_ns);
	expect(record->run_ns && record->run_ns <= real_now(), "run %lu ns", record->run_ns);
	expect_vector(wrmsr_try(KVM_STEAL, 0), NO_FAULT, "off");
}

/* What the times of the vCPU say was spent is what has passed. */
static void times_test(void)
{
	u64 sum = 0, idle, real;

	if (!alarms_begin())
		return;
	hypercall(SOCLE_CALL_CLOCK_UPDATE, 0, 0);
	real = real_now();
	idle = record->idle_ns;
	sum -= record->run_ns + record->steal_ns + record->hypervisor_ns + record->idle_ns;
	alarm_set(SOCLE_CALL_ALARM_REAL, real + 20 * NS_PER_MS);
	wait_halted();
	rung = 0;
	wait_spinning(20 * NS_PER_MS);
	hypercall(SOCLE_CALL_CLOCK_UPDATE, 0, 0);
	real = real_now() - real;
	sum += record->run_ns + record->steal_ns + record->hypervisor_ns + record->idle_ns;
	idle = record->idle_ns - idle;
	expect(sum + real / 1000 >= real && real + real / 1000 >= sum, "%lu ns passed, %lu accounted for",
	       real, sum);
	expect(idle >= 19 * NS_PER_MS && idle <= 21 * NS_PER_MS, "%lu ns of halt in 20 ms", idle);
}

/* `hypervisor = off`, `nohv` on the command line (M10). */
static void hidden_test(void)
{
	u64 value;

	if (!test_has_word("nohv")) {
		test_skip("the hypervisor is not hidden");
		return;
	}
	for (u32 msr = 0x4b564d00; msr < 0x4b564d08; msr++) {
		expect_vector(rdmsr_try(msr, &value), VEC_GP, "KVM's MSR");
		expect_vector(wrmsr_try(msr, 0), VEC_GP, "KVM's MSR");
	}
}

const struct test guest_tests[] = {
    {"discovery", discovery_test, 0},
    {"records", records_test, 0},
    {"bad-places", bad_places_test, 0},
    {"scribble", scribble_test, 0},
    {"real-time", real_time_test, 0},
    {"virtual-time", virtual_time_test, 0},
    {"real-alarm", real_alarm_test, 0},
    {"virtual-alarm", virtual_alarm_test, 0},
    {"bad-alarms", bad_alarms_test, 0},
    {"kvm-clock", kvm_clock_test, 0},
    {"kvm-bad", kvm_bad_test, 0},
    {"kvm-steal", kvm_steal_test, 0},
    {"times", times_test, 0},
    {"hidden", hidden_test, 0},
    {"operator", operator_test, ON_DEMAND},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
