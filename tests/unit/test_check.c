/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's check: of a machine with two CPUs and two VMs in which all is well it says so, and of each
 * thing that is broken on purpose, what. Run queues have a test of their own (test_sched_check.c). M37, M38,
 * M40. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_cpu.h"
#include "sched/internal.h"
#include "shim.h"
#include "vm/monitor.h"

#define SECOND ((u64)1000000000)
#define PAGES 1024u
#define FREE_FROM 512u

struct vm_host vm_host;
static struct cpu cpus[2];
static struct vm vm_a, vm_b;
static struct vcpu vcpu_a0, vcpu_a1, vcpu_b0;
static struct config_vm config_a, config_b;
static u8 stack[3][256] __attribute__((aligned(16)));

/* ---- fakes ---- */
static char said[8192];
static u64 cmos_ahead, wall_ahead, pages_free;
static struct ept_leaf leaves[2][2]; /* of a, of b */
static bool a_is_dying;

void monitor_print(const char *fmt, ...)
{
	size_t used = strlen(said);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(said + used, sizeof(said) - used, fmt, ap);
	va_end(ap);
}

void monitor_error(const struct call *c, const char *fmt, ...)
{
	(void)c;
	fail_msg("%s", fmt);
}

unsigned cpu_count(void)
{
	return ARRAY_SIZE(cpus);
}

struct cpu *cpu_get(unsigned index)
{
	return &cpus[index];
}

void apic_timer_arm(u64 deadline)
{
	(void)deadline;
}

void cpu_idle_wait(void)
{
}

bool vm_is_dying(const struct vm *vm)
{
	return vm == &vm_a && a_is_dying;
}

static unsigned wall_wrong_looks;
u64 clock_wall(struct guest *g)
{
	(void)g;
	if (wall_wrong_looks && wall_wrong_looks--)
		return 0;
	return wall_ns_at_boot() + real_ns() + wall_ahead;
}

u64 wall_seconds_by_cmos(void)
{
	return wall_seconds() + cmos_ahead;
}

u64 page_highest(void)
{
	return PAGES - 1;
}

u64 page_count_free_exact(void)
{
	return pages_free;
}

u64 gmem_idle_pages(void)
{
	return 0;
}

static bool free_twice;
void page_for_each_free(void (*fn)(void *opaque, hpa_t pa, unsigned order), void *opaque)
{
	fn(opaque, FREE_FROM << PAGE_SHIFT, 8);
	fn(opaque, (FREE_FROM + 256 + 64) << PAGE_SHIFT, 6);
	if (free_twice)
		fn(opaque, (FREE_FROM + 256 + 64 + 5) << PAGE_SHIFT, 0);
}

void gmem_hold(struct gmem *m, bool hold)
{
	assert_int_not_equal(m->held, hold);
	m->held = hold;
}

/* While pages are counted, none changes places with one that has been or will be. */
void ept_for_each(const struct ept *e, void (*fn)(void *opaque, gpa_t gpa, const struct ept_leaf *),
		  void *opaque)
{
	list_for_each(n, &vm_host.vms) assert_true(list_entry(n, struct vm, node)->guest.mem.held);
	for (unsigned i = 0; i < 2; i++)
		fn(opaque, (gpa_t)i << PAGE_SHIFT, &leaves[e == &vm_a.guest.ept ? 0 : 1][i]);
}

/* ---- the scene: one vCPU runs on CPU 1, one sleeps, one waits for CPU 1; CPU 0 checks ---- */
static void on(unsigned cpu)
{
	fake_cpu = &cpus[cpu];
}

static void make_vcpu(struct vm *vm, struct vcpu *v, u8 *stack_bottom)
{
	struct guest *g = &vm->guest;
	memset(v, 0, sizeof(*v));
	v->id = g->nr_vcpus;
	v->guest = g;
	v->clock.alarms[CLOCK_REAL].at = v->clock.alarms[CLOCK_VIRTUAL].at = CLOCK_OFF;
	v->clock.virtual_ticks = 1000;
	v->tsc_offset = v->lapic.tsc_offset = -shim_tsc;
	g->vcpus[g->nr_vcpus++] = v;
	g->nr_running++;
	task_init(&v->task, &g->group, stack_bottom + sizeof(stack[0]), NULL, NULL);
	assert_int_equal(task_set_affinity(&v->task, BIT(1)), 0);
	task_detach(&v->task);
}

static void make_vm(struct vm *vm, struct config_vm *config, const char *name, u32 id)
{
	memset(vm, 0, sizeof(*vm));
	str_copy(vm->name, name, sizeof(vm->name));
	vm->config = config;
	vm->id = id;
	vm->state = VM_RUNNING;
	vm->guest.tsc_start = shim_tsc;
	vm->guest.mem.populated_pages = vm->guest.mem.limit_pages = 5;
	sched_group_init(&vm->guest.group);
	list_insert(&vm_host.vms, &vm->node);
	vm_host.nr_alive++;
	for (unsigned i = 0; i < 2; i++) /* 4 pages and 1 */
		leaves[id - 1][i] = (struct ept_leaf){.hpa = (hpa_t)(id * 64 + 8 * i) << PAGE_SHIFT,
						      .size = PAGE_SIZE << (i ? 0 : 2)};
}

static void wake_and_take(struct vcpu *v)
{
	task_wake(&v->task);
	assert_ptr_equal(sched_next(this_cpu()->sched), &v->task);
}

static int setup(void **state)
{
	(void)state;
	shim_tsc = 10 * SECOND;
	sched_online = 3;
	list_init(&vm_host.vms);
	vm_host.next_id = 3;
	vm_host.nr_alive = 0;
	vm_host.past_ticks = 0;
	cmos_ahead = wall_ahead = 0;
	pages_free = 320;
	a_is_dying = free_twice = false;
	for (unsigned i = 0; i < 2; i++) {
		cpus[i].index = i;
		on(i);
		assert_int_equal(sched_init(NULL), 0);
	}
	make_vm(&vm_a, &config_a, "a", 1);
	make_vm(&vm_b, &config_b, "b", 2);
	make_vcpu(&vm_a, &vcpu_a0, stack[0]);
	make_vcpu(&vm_a, &vcpu_a1, stack[1]);
	make_vcpu(&vm_b, &vcpu_b0, stack[2]);
	wake_and_take(&vcpu_a1);
	task_block();
	task_left(cpus[1].sched);
	wake_and_take(&vcpu_a0);
	task_wake(&vcpu_b0.task);
	shim_tsc += 2 * SECOND;
	on(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++)
		heap_free(cpus[i].sched);
	return 0;
}

static const char *check(void)
{
	struct call c = {0};
	said[0] = '\0';
	command_check(&c);
	return said;
}

static void all_is_well(void **state)
{
	(void)state;
	assert_int_equal(vcpu_a0.task.state, TASK_RUNNING);
	assert_int_equal(vcpu_a1.task.state, TASK_BLOCKED);
	assert_int_equal(vcpu_b0.task.state, TASK_READY);
	assert_string_equal(check(),
			    "check: all is well: 10 pages are VMs', 320 free, 0 of those zeroed ahead\n"
			    "check: time of 4.000000 s on 2 CPUs: VMs 2.000000 s, hypervisor 2.000000 s, "
			    "idle 0.000000 s, nobody's or counted twice 0.000000 s\n");
	shim_tsc += SECOND / 2;
	assert_non_null(strstr(check(), "all is well"));
	/* What VMs had that are gone is still theirs. */
	vm_host.past_ticks = SECOND;
	cpus[0].sched->started -= SECOND;
	assert_non_null(strstr(check(), "all is well"));
	assert_non_null(strstr(said, "time of 6.000000 s on 2 CPUs: VMs 3.500000 s"));
}

/* ---- damage ---- */
static void sum_short(void)
{
	cpus[0].sched->started -= SECOND / 10;
}
static void sum_billed(void)
{
	vm_b.guest.group.billed += SECOND / 10;
}
static void life_short(void)
{
	vcpu_a1.task.since += SECOND / 100;
}
static void life_long(void)
{
	vcpu_b0.task.times.ready += SECOND / 100;
}
static void run_backwards(void)
{
	assert_non_null(strstr(check(), "all is well"));
	vcpu_a0.task.since += SECOND;
	vcpu_a0.task.times.ready += SECOND;
}
static void virtual_backwards(void)
{
	assert_non_null(strstr(check(), "all is well"));
	vcpu_a1.clock.virtual_ticks--;
}
static void virtual_in_pause(void)
{
	/* All its vCPUs sleep from the pause on. */
	list_remove(&vm_b.node);
	vm_host.nr_alive = 1;
	queue_remove(cpus[1].sched, &vcpu_b0.task);
	vm_host.past_ticks = vm_ticks(&vm_b, shim_tsc);
	on(1);
	task_block();
	task_left(cpus[1].sched);
	on(0);
	vm_a.paused = true;
	vm_a.pauses = 1;
	vcpu_a0.attention = vcpu_a1.attention = VCPU_PAUSED | VCPU_REQ_EVENT; /* later */
	assert_non_null(strstr(check(), "all is well"));
	shim_tsc += SECOND;
	assert_non_null(strstr(check(), "all is well"));
	vcpu_a0.clock.virtual_ticks++;
}
static void tsc_of_apic(void)
{
	vcpu_a1.lapic.tsc_offset++;
}
static void tsc_offset(void)
{
	vcpu_a1.lapic.tsc_offset = ++vcpu_a1.tsc_offset;
}
static void wall_wrong(void)
{
	wall_ahead = 1;
}
static void wall_set(void) /* by the operator, and something else is wrong */
{
	wall_ahead = 1;
	vm_a.guest.clock.wall_set = vm_b.guest.clock.wall_set = true;
	assert_non_null(strstr(check(), "all is well"));
	vm_b.guest.clock.wall_set = false;
}
static void cmos_wrong(void)
{
	cmos_ahead = 4;
}
static void pause_wrong(void)
{
	vm_b.guest.clock.pause_ns = shim_tsc + 1;
}
static void request_slept_over(void)
{
	vcpu_a1.attention = VCPU_REQ_FLUSH;
}
static void event_slept_over(void)
{
	vcpu_a1.attention = VCPU_HALTED | VCPU_REQ_EVENT;
}
static void apic_timer_lost(void)
{
	vcpu_a1.lapic.timer_on = true;
	timer_init(&vcpu_a1.lapic.timer, NULL, NULL, NULL);
}
static void apic_timer_watched(void)
{
	vcpu_a1.lapic.timer_watched = true;
}
static void alarm_lost(void)
{
	vcpu_a1.clock.alarms[CLOCK_REAL].at = 1;
}
static void in_no_queue(void)
{
	queue_remove(cpus[1].sched, &vcpu_b0.task);
}
static void queue_stranger(void)
{
	list_remove(&vm_b.node);
	vm_host.nr_alive = 1;
	vm_host.past_ticks = vm_ticks(&vm_b, shim_tsc);
}
static void counted(void)
{
	vm_a.guest.group.runnable = 2;
}
static void turn_forgotten(void)
{
	shim_tsc += 10 * SECOND;
}
static void timer_forgotten(void)
{
	static struct timer t;
	timer_init(&t, NULL, NULL, NULL);
	timer_set(&t, shim_tsc);
	shim_tsc += 10 * SECOND;
}
static void not_stopped(void)
{
	vm_b.state = VM_STOPPED;
	vm_host.nr_alive = 1;
}
static void alive(void)
{
	vm_host.nr_alive = 3;
}
static void numbers(void)
{
	vm_b.id = 1;
}
static void two_owners(void)
{
	leaves[1][1].hpa = leaves[0][0].hpa + 3 * PAGE_SIZE;
}
static void no_page(void)
{
	leaves[1][1].hpa = (hpa_t)PAGES << PAGE_SHIFT;
}
static void free_in_use(void)
{
	leaves[1][1].hpa = (FREE_FROM + 255) << PAGE_SHIFT;
}
static void free_again(void)
{
	free_twice = true;
}
static void populated(void)
{
	vm_a.guest.mem.populated_pages = vm_a.guest.mem.limit_pages = 100;
}
static void limit(void)
{
	vm_b.guest.mem.limit_pages = 4;
}
/* No VM, twice, and a page fewer. */
static void page_leaked(void)
{
	list_remove(&vm_a.node);
	list_remove(&vm_b.node);
	vm_host.nr_alive = 0;
	queue_remove(cpus[1].sched, &vcpu_b0.task);
	vm_host.past_ticks = vm_ticks(&vm_a, shim_tsc);
	assert_non_null(strstr(check(), "all is well: 0 pages are VMs', 320 free"));
	assert_non_null(strstr(check(), "all is well: 0 pages are VMs', 320 free"));
	pages_free--;
}

static const struct {
	void (*damage)(void);
	const char *found;
} damages[] = {
    {sum_short, "the machine's time, and whose it was (4100000000, 4000000000)"},
    {sum_billed, "the machine's time, and whose it was (4000000000, 4100000000)"},
    {life_short, "a: a vCPU's life, and its run, steal, hypervisor and idle time (2000000000, 1990000000)"},
    {life_long, "b: a vCPU's life, and its run, steal, hypervisor and idle time (2000000000, 2010000000)"},
    {run_backwards, "a: CPU time has run backwards (1000000000, 2000000000)"},
    {virtual_backwards, "a: virtual time has run backwards (999, 1000)"},
    {virtual_in_pause, "a: virtual time of a paused VM has gone on (1001, 1000)"},
    {tsc_of_apic, "a: TSC offsets of a vCPU and of its APIC"},
    {tsc_offset, "a: a vCPU's TSC began at another moment than its VM"},
    {wall_wrong, "a: wall clocks of a VM and of the machine"},
    {wall_set, "b: wall clocks of a VM and of the machine"},
    {cmos_wrong, "the wall clock, and the machine's CMOS clock"},
    {pause_wrong, "b: it was paused for longer than the machine runs"},
    {request_slept_over, "a: a vCPU sleeps although it was asked for something (1, 64)"},
    {event_slept_over, "a: a vCPU sleeps although it was asked for something (1, 65537)"},
    {apic_timer_lost, "a: a vCPU sleeps and the timer of its APIC would not wake it"},
    {apic_timer_watched, "a: a vCPU sleeps and the timer of its APIC would not wake it"},
    {alarm_lost, "a: a vCPU's alarm on real time has no timer"},
    {in_no_queue, "b: a ready task is in no run queue"},
    {queue_stranger, "tasks in run queues, and VMs' tasks that say they are (1, 0)"},
    {counted, "a: runnable tasks of a group, counted and noted (1, 2)"},
    {turn_forgotten, "the turn of a CPU's task is long over"},
    {timer_forgotten, "a timer was forgotten"},
    {not_stopped, "b: it has stopped, its vCPUs have not"},
    {not_stopped, "b: it does not run, its vCPUs do"},
    {alive, "running VMs, counted and noted (2, 3)"},
    {numbers, "b: the numbers of the list do not rise (1, 1)"},
    {two_owners, "b: a page has two owners, or is none of the machine's"},
    {no_page, "b: a page has two owners, or is none of the machine's"},
    {free_in_use, "a free page is in use, or free twice"},
    {free_again, "a free page is in use, or free twice"},
    {populated, "a: mapped pages are not the populated ones (5, 100)"},
    {limit, "b: more pages than it may have (5, 4)"},
    {page_leaked, "free pages without any VM, now and before (319, 320)"},
};

static void damage_is_found(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(damages); i++) {
		char text[160];
		snprintf(text, sizeof(text), "check: FAILED: %s", damages[i].found);
		damages[i].damage();
		check();
		if (!strstr(said, text) || strstr(said, "all is well"))
			fail_msg("%u: \"%s\" was not found, but: %s", i, damages[i].found, said);
		teardown(NULL);
		setup(NULL);
	}
}

/* What is on its way when it is looked at arrives, and is no finding. */
static void a_second_look(void **state)
{
	(void)state;
	wall_wrong_looks = 100;
	assert_non_null(strstr(check(), "all is well"));
	assert_int_equal(wall_wrong_looks, 0);
}

static void one_that_ends_is_left_alone(void **state)
{
	(void)state;
	a_is_dying = true;
	vcpu_a0.tsc_offset = 0;
	assert_non_null(strstr(check(), "all is well"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(all_is_well, setup, teardown),
	    cmocka_unit_test_setup_teardown(damage_is_found, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_second_look, setup, teardown),
	    cmocka_unit_test_setup_teardown(one_that_ends_is_left_alone, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
