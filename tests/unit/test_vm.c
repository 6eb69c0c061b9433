/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a VM on the real builder, vCPUs, devices and loader: what cannot be created leaves nothing
 * behind, at whichever step it fails, and what can, neither (M87). */
#include "devices/irq.h"
#include "io.h"
#include "vm_board.h"

/* ---- the monitor, open, so that the last VM's end does not end the machine ---- */
static unsigned monitor_wakes;

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

void monitor_wake(void)
{
	monitor_wakes++;
}

static void assert_nothing_left(struct holdings before)
{
	assert_int_equal(pages, before.pages);
	assert_int_equal(blocks, before.blocks);
	assert_int_equal(stacks, before.stacks);
	assert_int_equal(streams, before.streams);
	assert_true(list_empty(&vm_host.vms));
	assert_null(vm_find("a"));
	assert_null(vm_find("1"));
	assert_int_equal(vm_host.nr_alive, 0);
	assert_int_equal(sched->next_deadline, ~(u64)0); /* no timer is armed */
	assert_true(list_empty(&sched->work));
	assert_null(sched->ready.first);
	assert_null(front);
}

static int refusal(void)
{
	struct vm *vm = NULL;
	shim_last_log[0] = '\0';
	int rc = vm_create(&config, 0, true, &vm);
	assert_null(vm);
	return rc;
}

static struct vm *creation(void)
{
	struct vm *vm = NULL;
	assert_int_equal(vm_create(&config, 0, true, &vm), 0);
	assert_non_null(vm);
	return vm;
}

/* Whatever is the last thing to be had. */
static void every_step_fails(void **state)
{
	struct holdings before = holdings();
	long step = 0;
	(void)state;
	for (;; step++) {
		struct vm *vm = NULL;
		fail_after = step;
		int rc = vm_create(&config, 0, true, &vm);
		if (!rc && fail_after > 0)
			break; /* it did not need all that it might have had */
		if (!rc) {     /* it can do without, here; but it has to be whole */
			vm_destroy_async(vm);
		} else {
			assert_int_equal(rc, ERR_NOMEM);
			assert_non_null(strstr(shim_last_log, "a: not created"));
		}
		assert_nothing_left(before);
	}
	assert_in_range(step, 30, 10000);
	fail_after = -1;
	vm_destroy_async(vm_find("a"));
	assert_nothing_left(before);
}

/* It runs: its tasks are in the queue. They end without a guest here. */
static void end(struct vm *vm)
{
	for (unsigned i = 0; i < config.vcpus; i++) {
		struct task *t = &vm->guest.vcpus[i]->task;
		if (t->queued)
			queue_remove(sched, t);
		if (t->counted)
			group_count(t, false, shim_tsc);
		t->state = TASK_DEAD;
	}
	vm->state = VM_STOPPED;
	vm_host.nr_alive = 0;
	vm_destroy_async(vm);
}

static void every_step_of_a_restart_fails(void **state)
{
	struct holdings before = holdings();
	(void)state;
	for (long step = 0;; step++) {
		struct vm *vm = creation();
		vm->state = VM_STOPPED; /* kept after its end */
		fail_after = step;
		int rc = vm_reset(vm);
		bool enough = fail_after != 0;
		fail_after = -1;
		if (rc) {
			assert_int_equal(rc, ERR_NOMEM);
			assert_nothing_left(before);
			continue;
		}
		assert_int_equal(vm->id, vm_host.next_id - 1);
		assert_int_equal(vm_host.nr_alive, 1);
		end(vm);
		assert_nothing_left(before);
		if (enough)
			break;
	}
}

static void what_is_wrong_is_said(void **state)
{
	struct holdings before = holdings();
	(void)state;
	strcpy(config.kernel, "other.elf");
	assert_int_equal(refusal(), ERR_NOENT);
	strcpy(config.kernel, "k.elf");
	config.nr_modules = 1;
	strcpy(config.modules[0], "module with words");
	assert_int_equal(refusal(), ERR_NOENT);
	config.nr_modules = 0;
	put(0, 0);
	assert_int_equal(refusal(), ERR_INVAL);
	make_kernel();
	config.pin = (u64)1 << 63;
	assert_int_equal(refusal(), ERR_INVAL);
	config.pin = 1;
	config.weight = 0;
	assert_int_equal(refusal(), ERR_INVAL);
	config.weight = 256;
	assert_nothing_left(before);
}

/* The large parts of files are copied by the first vCPU, in pieces; memory that is gone by then ends the VM.
 */
static void files_are_copied_in_pieces(void **state)
{
	struct holdings before = holdings();
	const u64 size = (3 << 20) + 5000;
	u8 *module = aligned_alloc(PAGE_SIZE, ALIGN_UP(size, PAGE_SIZE)), seen[32];
	(void)state;
	for (u64 i = 0; i < size; i++)
		module[i] = (u8)(i * 7 + (i >> 12));
	strcpy(boot.files[1].path, "module");
	boot.files[1].base = virt_to_phys(module);
	boot.files[1].length = size;
	boot.nr_files = 2;
	config.nr_modules = 1;
	strcpy(config.modules[0], "module with words");
	for (unsigned order = 0; order <= 9; order += 9) {
		config.page_order = order;
		struct vm *a = creation();
		assert_int_equal(a->later.count, 1);
		gpa_t gpa = a->later.part[0].gpa;
		breaths = 0;
		vm_copy_files(a, a->guest.vcpus[0]);
		assert_in_range(breaths, size / (4 * PAGE_SIZE), size / (4 * PAGE_SIZE) + 2);
		for (u64 i = 0; i + sizeof(seen) <= size; i += 997) {
			assert_int_equal(gmem_read(&a->guest.mem, gpa + i, seen, sizeof(seen)), 0);
			assert_memory_equal(seen, module + i, sizeof(seen));
		}
		assert_int_equal(a->later.count, 0);
		a->later = (struct boot_later){.count = 1};
		a->later.part[0].gpa = config.memory - PAGE_SIZE; /* untouched so far */
		a->later.part[0].data = module;
		a->later.part[0].size = PAGE_SIZE;
		fail_after = 0;
		vm_copy_files(a, a->guest.vcpus[0]);
		assert_int_equal(a->guest.stop, GUEST_CRASHED);
		fail_after = -1;
		vm_destroy_async(a);
		assert_nothing_left(before);
	}
	free(module);
	config.nr_modules = 0;
}

static void two_that_only_read(struct holdings before)
{
	struct vm *a, *other = NULL;

	config.disks[1].read_only = true;
	a = creation();
	assert_true(a->disks[1].port.block.flags & BLOCK_READ_ONLY);
	u64 alone = vm_disks_usage(a);
	strcpy(config.name, "b");
	assert_int_equal(vm_create(&config, 0, true, &other), 0);
	/* One queue, two ports, and each counts half of it. */
	assert_ptr_equal(other->disks[1].port.queue, a->disks[1].port.queue);
	assert_int_equal(vm_disks_usage(a), alone / 2);
	vm_destroy_async(other);
	assert_int_equal(vm_disks_usage(a), alone);
	strcpy(config.name, "a");
	vm_destroy_async(a);
	assert_nothing_left(before);
}

/* Its disk is a file; whoever writes to one has it alone (M88). */
static void disks_are_files(void **state)
{
	struct holdings before = holdings();
	struct config_vm section = {.name = "s", .count = 1};
	u8 *image = aligned_alloc(PAGE_SIZE, PAGE_SIZE);

	(void)state;
	strcpy(boot.files[1].path, "d.img");
	boot.files[1].base = virt_to_phys(image);
	boot.files[1].length = PAGE_SIZE;
	boot.nr_files = 2;
	strcpy(config.disks[1].path, "d.img");
	/* Another of that name is typed, too. */
	struct vm *a = creation();
	assert_int_equal(a->disks[1].port.block.sectors, PAGE_SIZE / 512);
	assert_ptr_equal(container_of(a->disks[1].port.queue->disk, struct block_ram, block)->base, image);
	strcpy(config.name, "b");
	config.disks[1].read_only = true;
	assert_int_equal(refusal(), ERR_EXIST);
	config.disks[1].read_only = false;
	assert_int_equal(refusal(), ERR_EXIST);
	strcpy(config.name, "a");
	vm_destroy_async(a);
	assert_nothing_left(before);
	two_that_only_read(before);
	/* What the configuration has. */
	vm_host.config = (struct config){.nr_vms = 1, .room = 1, .vms = &section};
	strcpy(section.kernel, "D.IMG");
	vm_destroy_async(creation()); /* read only: a kernel does no harm */
	config.disks[1].read_only = false;
	assert_int_equal(refusal(), ERR_EXIST);
	strcpy(section.kernel, "k");
	strcpy(section.disks[0].path, "d.img");
	section.disks[0].read_only = true;
	assert_int_equal(refusal(), ERR_EXIST);
	config.disks[1].read_only = true;
	vm_destroy_async(creation());
	section.disks[0].read_only = false;
	assert_int_equal(refusal(), ERR_EXIST);
	vm_host.config = (struct config){0};
	/* Not there, or not a disk. */
	boot.files[1].length = 511;
	assert_int_equal(refusal(), ERR_NOENT);
	boot.nr_files = 1;
	assert_int_equal(refusal(), ERR_NOENT);
	assert_nothing_left(before);
	config.disks[1] = (struct config_disk){0};
	free(image);
}

/* A disk that keeps nothing is each VM's own, whatever others have. */
static void null_disks(void **state)
{
	struct holdings before = holdings();
	struct vm *other = NULL;

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		config.disks[i] = (struct config_disk){.path = "null:4194304", .null_bytes = 4 << 20};
	struct vm *a = creation();
	assert_int_equal(a->disks[0].port.block.sectors, (4 << 20) / 512);
	assert_ptr_not_equal(a->disks[0].port.queue, a->disks[1].port.queue);
	strcpy(config.name, "b");
	assert_int_equal(vm_create(&config, 0, true, &other), 0);
	vm_destroy_async(other);
	strcpy(config.name, "a");
	vm_destroy_async(a);
	assert_nothing_left(before);
	/* Whatever cannot be had. */
	for (fail_after = 0; fail_after < 40; fail_after++) {
		long n = fail_after;
		if (vm_create(&config, 0, true, &a) == 0)
			vm_destroy_async(a);
		fail_after = -1;
		assert_nothing_left(before);
		fail_after = n;
	}
	fail_after = -1;
	memset(config.disks, 0, sizeof(config.disks));
}

static void disk_done(struct block_request *r, enum block_status status)
{
	(void)r;
	assert_int_equal(status, BLOCK_OK);
}

/* What a disk does is its VM's and its own (M40, M42), and begins with each life. */
static void disks_are_metered(void **state)
{
	struct holdings before = holdings();
	u8 data[1024] = {0};
	struct piece piece = {data, sizeof(data)};
	struct block_request r = {
	    .op = BLOCK_WRITE, .count = 2, .nr_segments = 1, .segments = &piece, .complete = disk_done};
	struct disk_meters m;

	(void)state;
	config.disks[1] = config.disks[3] =
	    (struct config_disk){.path = "null:4194304", .null_bytes = 4 << 20};
	struct vm *a = creation();
	block_submit(&a->disks[3].port.block, &r);
	r.op = BLOCK_READ;
	block_submit(&a->disks[3].port.block, &r);
	block_submit(&a->disks[3].port.block, &r);
	vm_disk_meters(a, 3, &m);
	assert_int_equal(m.block.ops[BLOCK_WRITE], 1);
	assert_int_equal(m.block.ops[BLOCK_READ], 2);
	assert_int_equal(m.block.bytes_written, 1024);
	assert_int_equal(m.block.bytes_read, 2048);
	assert_int_equal(m.device.doorbells + m.device.interrupts, 0);
	assert_int_equal(m.block.copied, 0); /* nothing is kept, nothing was copied */
	struct vm_io io;
	vm_io(a, &io);
	assert_true(io.disk_ops[0] == 2 && io.disk_ops[1] == 1);
	assert_true(io.disk_bytes[0] == 2048 && io.disk_bytes[1] == 1024);
	for (unsigned i = 0; i < 6; i++) {
		vm_disk_meters(a, i, &m);
		assert_int_equal(m.block.ops[BLOCK_READ], i == 3 ? 2 : 0);
	}
	vm_destroy_async(a);
	a = creation();
	vm_disk_meters(a, 3, &m);
	assert_int_equal(m.block.ops[BLOCK_READ], 0);
	vm_destroy_async(a);
	assert_nothing_left(before);
	memset(config.disks, 0, sizeof(config.disks));
}

static void memory_is_not_promised_twice(void **state)
{
	struct holdings before = holdings();
	(void)state;
	pages_left = 5000; /* a VM of 8 MiB with three vCPUs may take 2152 */
	struct vm *a = creation();
	strcpy(config.name, "b");
	struct vm *b = creation();
	strcpy(config.name, "c");
	assert_int_equal(refusal(), ERR_NOMEM);
	assert_non_null(strstr(shim_last_log, "8 MiB asked for"));
	assert_null(vm_find("c"));
	vm_destroy_async(b);
	assert_null(vm_find("b"));
	b = creation();
	assert_ptr_equal(vm_find("c"), b);
	vm_destroy_async(b);
	vm_destroy_async(a);
	strcpy(config.name, "a");
	assert_nothing_left(before);
	pages_left = 1 << 20;
}

static void names_and_places_are_free_again(void **state)
{
	struct holdings before = holdings();
	(void)state;
	struct vm *a = creation();
	assert_int_equal(refusal(), ERR_EXIST);
	assert_non_null(strstr(shim_last_log, "there is a VM of that name"));
	assert_ptr_equal(vm_find("a"), a);
	strcpy(config.name, "b");
	struct vm *b = creation();
	assert_int_equal(a->place, 1);
	assert_int_equal(b->place, 2);
	u32 id = a->id;
	vm_destroy_async(a);
	strcpy(config.name, "a");
	a = creation();
	assert_int_equal(a->place, 1);
	assert_int_equal(a->id, id + 2); /* never used twice */
	vm_destroy_async(a);
	vm_destroy_async(b);
	assert_nothing_left(before);
}

/* Before it runs: it starts paused, or not at all. */
static void pauses_before_the_start(void **state)
{
	struct holdings before = holdings();
	(void)state;
	struct vm *a = creation();
	assert_int_equal(vm_unpause(a), ERR_INVAL);
	assert_int_equal(vm_power_button(a), ERR_INVAL);
	assert_int_equal(vm_pause(a), 0);
	assert_int_equal(vm_pause(a), ERR_INVAL);
	assert_string_equal(vm_state_text(a), "paused");
	for (unsigned i = 0; i < config.vcpus; i++)
		assert_true(a->guest.vcpus[i]->attention & VCPU_PAUSED);
	assert_null(sched->ready.first);
	assert_true(board_rests(a));
	assert_int_equal(vm_unpause(a), 0);
	assert_false(board_rests(a));
	vm_destroy_async(a);
	assert_nothing_left(before);
}

/* What the first vCPU does at once, on another CPU: INIT to all others. */
static void ask_the_others(struct vcpu *v)
{
	for (unsigned i = 1; i < config.vcpus; i++) {
		struct vcpu *other = v->guest->vcpus[i];
		vcpu_request(other, VCPU_REQ_INIT);
		assert_int_equal(other->task.state, TASK_NEW); /* else a CPU could take it from under us */
	}
}

static void no_vcpu_runs_before_all_can(void **state)
{
	struct holdings before = holdings();
	(void)state;
	struct vm *a = creation();
	shim_tsc += 1000;
	loaded = ask_the_others;
	vm_start(a);
	loaded = NULL;
	for (unsigned i = 0; i < config.vcpus; i++) {
		assert_int_equal(a->guest.vcpus[i]->task.state, TASK_READY);
		assert_int_equal(a->guest.vcpus[i]->tsc_offset, (u64)0 - a->guest.tsc_start);
	}
	end(a);
	assert_nothing_left(before);
}

static int console(void **state)
{
	(void)state;
	fail_after = -1;
	vm_console_init();
	return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, machine, machine_off)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(every_step_fails),
	    T(every_step_of_a_restart_fails),
	    T(what_is_wrong_is_said),
	    T(files_are_copied_in_pieces),
	    T(disks_are_files),
	    T(null_disks),
	    T(disks_are_metered),
	    T(memory_is_not_promised_twice),
	    T(names_and_places_are_free_again),
	    T(pauses_before_the_start),
	    T(no_vcpu_runs_before_all_can),
	};
	return cmocka_run_group_tests(tests, console, NULL);
}
