/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a VM whose pages are on their way to another by page flip (M76, M87): it waits, without
 * keeping its CPU busy, until that one's vCPUs have noticed, and nothing of it is reset or destroyed before.
 * The network interface here is one that says so. */
#include "devices/nic.h"
#include "vm_board.h"

void monitor_init(void)
{
}

void monitor_open(void)
{
}

void monitor_left(void)
{
}

bool monitor_is_open(void)
{
	return true;
}

void monitor_input(const u8 *buf, size_t n)
{
	(void)buf, (void)n;
}

static unsigned monitor_wakes;

void monitor_wake(void)
{
	monitor_wakes++;
}

/* ---- network interfaces that are not quiet at once ---- */
#define NICS 2u
static struct fake_nic {
	struct net_port port;
	unsigned busy; /* so many more times */
	unsigned asked, resets;
	bool there, quiet;
} nics[NICS];

static void *nic_create(struct guest *g, struct pci_bus *bus, u8 devfn, const struct nic_setup *setup)
{
	struct fake_nic *n = &nics[setup->id[3] - '1'];

	(void)g, (void)bus, (void)devfn;
	assert_false(n->there);
	n->there = true;
	n->quiet = false;
	return n;
}

static void nic_destroy(void *nic)
{
	struct fake_nic *n = nic;

	if (!n)
		return;
	assert_true(n->there && n->quiet);
	n->there = false;
}

static void nic_reset(void *nic)
{
	struct fake_nic *n = nic;

	assert_true(n->there && n->quiet);
	n->resets++;
}

static u64 nic_usage(const void *nic)
{
	(void)nic;
	return 0;
}

static struct net_port *nic_port(void *nic)
{
	return &((struct fake_nic *)nic)->port;
}

static void nic_meters(const void *nic, struct device_meters *m)
{
	(void)nic;
	*m = (struct device_meters){0};
}

static bool nic_quiet(void *nic)
{
	struct fake_nic *n = nic;

	assert_true(n->there);
	n->asked++;
	n->quiet = !n->busy;
	n->busy -= !n->quiet;
	return n->quiet;
}

const struct nic_type pv_net_nic = {nic_create, nic_destroy, nic_reset, nic_usage,
				    nic_port,   nic_meters,  nic_quiet};

/* ---- a VM that has stopped ---- */
static struct vm *stopped_vm(enum guest_stop why)
{
	struct vm *vm = NULL;

	assert_int_equal(vm_create(&config, 0, true, &vm), 0);
	for (unsigned i = 0; i < config.vcpus; i++) {
		struct task *t = &vm->guest.vcpus[i]->task;
		if (t->queued)
			queue_remove(sched, t);
		if (t->counted)
			group_count(t, false, shim_tsc);
		t->state = TASK_DEAD;
	}
	vm->guest.stop = why;
	return vm;
}

/* What a CPU does between two tasks. */
static void turn(void)
{
	timer_run(shim_tsc);
	work_run(sched);
}

static void ends_when_all_are_quiet(void **state)
{
	struct holdings before = holdings();

	(void)state;
	for (unsigned first = 0; first < 4; first++)
		for (unsigned second = 0; second < 4; second++)
			for (unsigned kept = 0; kept < 2; kept++) {
				unsigned last = MAX(first, second), alive;
				struct vm *vm;

				memset(nics, 0, sizeof(nics));
				config.on_poweroff = kept ? ON_EVENT_PRESERVE : ON_EVENT_DESTROY;
				vm = stopped_vm(GUEST_POWEROFF);
				alive = vm_host.nr_alive;
				nics[0].busy = first;
				nics[1].busy = second;
				work_queue(&vm->guest.stopped_work);
				turn();
				for (unsigned i = 1; i <= last; i++) {
					/* Both from the first time on, and no more often than that. */
					turn();
					for (unsigned n = 0; n < NICS; n++)
						assert_int_equal(nics[n].asked, i);
					assert_int_equal(vm_host.nr_alive, alive);
					assert_ptr_equal(vm_find("a"), vm);
					assert_true(vm->state != VM_STOPPED);
					assert_true(sched->next_deadline > shim_tsc &&
						    sched->next_deadline <= shim_tsc + 1000000);
					shim_tsc = sched->next_deadline;
					turn();
				}
				assert_int_equal(vm_host.nr_alive, alive - 1);
				assert_int_equal(nics[1].asked, last + 1);
				assert_int_equal(kept, nics[0].there);
				if (kept) {
					assert_int_equal(vm->state, VM_STOPPED);
					assert_true(board_rests(vm)); /* nobody would pay for its ticks */
					vm_destroy_async(vm);
				}
				assert_false(nics[0].there || nics[1].there);
				assert_null(vm_find("a"));
				assert_int_equal(pages, before.pages);
				assert_int_equal(blocks, before.blocks);
				assert_int_equal(sched->next_deadline, ~(u64)0);
			}
}

static int quiet_machine(void **state)
{
	machine(state);
	for (unsigned i = 0; i < NICS; i++) {
		strcpy(config.nets[i].bridge, "lan");
		config.nets[i].model = NET_SOCLE;
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(ends_when_all_are_quiet, quiet_machine, machine_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
