/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of the machine for VMs: what a name means, who may write where, and that a disk that does not answer
 * is looked after (M80). */
#include "vm_board.h"

#include "disk.h"

/* ---- the monitor, open ---- */
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
}

/* ---- two disks: hda, from which Socle was started, and hdc ---- */
static u8 medium[100 * BLOCK_SECTOR];
static struct block_ram hda, hdc;
static void (*became_busy)(void);
static void (*interrupted)(void *payer, u64 ticks);
static unsigned checks, busy_for;
static int partition_error;

struct block *disk_find(unsigned unit)
{
	return unit == 0 ? &hda.block : unit == 2 ? &hdc.block : NULL;
}

bool disk_is_boot(unsigned unit, const struct boot_volume *v)
{
	assert_ptr_equal(v, &boot.volume);
	return unit == 0;
}

/* 1: sectors 10 to 29, 2: 30 to 99. */
int disk_partition(struct block *disk, unsigned number, struct disk_extent *e)
{
	assert_ptr_equal(disk, &hdc.block);
	*e = number == 1 ? (struct disk_extent){10, 20} : (struct disk_extent){30, 70};
	return partition_error ? partition_error : number > 2 ? ERR_NOENT : 0;
}

void disk_on_busy(void (*fn)(void))
{
	became_busy = fn;
}

void disk_on_interrupt(void (*fn)(void *payer, u64 ticks))
{
	interrupted = fn;
}

bool disk_check(void)
{
	checks++;
	return busy_for && --busy_for;
}

static struct config_disk phys(unsigned unit, unsigned partition, u64 first, u64 count, bool read_only)
{
	struct config_disk d = {.path = "phys:x", .read_only = read_only};
	d.phys = (struct config_phys){true, (u8)unit, (u16)partition, first, count};
	return d;
}

static int setup(void **state)
{
	machine(state);
	block_ram_init(&hda, medium, sizeof(medium), 0);
	block_ram_init(&hdc, medium, sizeof(medium), 0);
	return 0;
}

/* NULL: refused; what was said last but "not created" is in `complaint`. */
static struct vm *make(const char *name, struct config_disk one, struct config_disk two)
{
	struct vm *vm = NULL;

	strcpy(config.name, name);
	config.disks[0] = one;
	config.disks[1] = two;
	return vm_create(&config, 0, true, &vm) ? NULL : vm;
}

static char complaint[512];
void log_msg(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > LOG_ERROR || strstr(fmt, "not created"))
		return;
	va_start(ap, fmt);
	vsnprintf(complaint, sizeof(complaint), fmt, ap);
	va_end(ap);
}

static const struct config_disk none;

static void complete(struct block_request *r, enum block_status status)
{
	(void)r;
	assert_int_equal(status, BLOCK_OK);
}

static void what_a_name_means(void **state)
{
	static u8 zeros[BLOCK_SECTOR];
	struct block_request r = {.op = BLOCK_WRITE_ZEROES, .sector = 19, .count = 1, .complete = complete};
	struct holdings before = holdings(), after;
	struct vm *vm = make("a", phys(2, 1, 0, 0, false), phys(2, 0, 90, 10, true));
	(void)state;

	assert_non_null(vm);
	assert_int_equal(vm->disks[0].port.base, 10);
	assert_int_equal(vm->disks[0].port.block.sectors, 20);
	assert_int_equal(vm->disks[0].port.block.flags, BLOCK_COPIES); /* it is memory here */
	assert_int_equal(vm->disks[1].port.base, 90);
	assert_int_equal(vm->disks[1].port.block.sectors, 10);
	assert_int_equal(vm->disks[1].port.block.flags, BLOCK_READ_ONLY | BLOCK_COPIES);
	assert_ptr_equal(vm->disks[0].port.queue, vm->disks[1].port.queue); /* one head, one queue */
	/* The last sector of the partition is what it is on the disk. */
	memset(medium, 1, sizeof(medium));
	list_init(&r.link);
	block_submit(&vm->disks[0].port.block, &r);
	assert_memory_equal(medium + 29 * BLOCK_SECTOR, zeros, BLOCK_SECTOR);
	assert_int_equal(medium[29 * BLOCK_SECTOR - 1] + medium[30 * BLOCK_SECTOR], 2);
	vm_destroy_async(vm);
	vm = make("a", phys(2, 0, 0, 0, false), none);
	assert_int_equal(vm->disks[0].port.block.sectors, 100);
	vm_destroy_async(vm);
	after = holdings();
	assert_int_equal(after.pages, before.pages);
	assert_int_equal(after.blocks, before.blocks + 1); /* the disk's queue stays */
}

static void refuse(const char *name, struct config_disk d, const char *text)
{
	complaint[0] = '\0';
	assert_null(make(name, d, none));
	if (!strstr(complaint, text))
		fail_msg("\"%s\" instead of \"%s\"", complaint, text);
}

static void what_is_not_there(void **state)
{
	(void)state;
	refuse("a", phys(1, 0, 0, 0, false), "a: disk1: phys:x: this machine has no such disk");
	refuse("a", phys(2, 3, 0, 0, false), "there is no such partition");
	partition_error = ERR_INVAL;
	refuse("a", phys(2, 1, 0, 0, false), "its partition table is damaged");
	partition_error = ERR_FAULT;
	refuse("a", phys(2, 1, 0, 0, false), "its partition table cannot be read");
	partition_error = 0;
	refuse("a", phys(2, 0, 100, 1, false), "it ends behind the last sector");
	refuse("a", phys(2, 0, 99, 2, false), "it ends behind the last sector");
	refuse("a", phys(2, 0, ~0ull, 2, false), "it ends behind the last sector");
}

static void the_boot_disk(void **state)
{
	(void)state;
	refuse("a", phys(0, 0, 0, 0, false), "Socle was started from this disk: expected ro");
	refuse("a", phys(0, 0, 5, 5, false), "Socle was started from this disk: expected ro");
	refuse("a", phys(0, 1, 0, 0, false), "Socle was started from this disk: expected ro");
	struct vm *vm = make("a", phys(0, 0, 0, 0, true), phys(0, 0, 5, 5, true));
	assert_non_null(vm);
	assert_int_equal(vm->disks[0].port.block.flags, BLOCK_READ_ONLY | BLOCK_COPIES);
	vm_destroy_async(vm);
}

static void whose_it_is(void **state)
{
	struct vm *a, *b;
	(void)state;

	a = make("a", phys(2, 1, 0, 0, false), none);
	assert_non_null(a);
	refuse("b", phys(2, 0, 0, 11, true), "b: disk1: phys:x overlaps disk1 of a: expected ro");
	refuse("b", phys(2, 0, 29, 1, false), "overlaps disk1 of a");
	refuse("b", phys(2, 1, 0, 0, true), "overlaps disk1 of a");
	b = make("b", phys(2, 0, 0, 10, false), phys(2, 2, 0, 0, false)); /* on both sides of it */
	assert_non_null(b);
	vm_destroy_async(a);
	a = make("a", phys(2, 1, 0, 0, true), phys(2, 0, 29, 1, true));
	assert_non_null(a);
	refuse("c", phys(2, 0, 29, 1, false), "overlaps disk1 of a");
	vm_destroy_async(a);
	vm_destroy_async(b);
	/* With itself. */
	complaint[0] = '\0';
	assert_null(make("a", phys(2, 1, 0, 0, true), phys(2, 0, 12, 1, false)));
	assert_non_null(strstr(complaint, "a: disk2: phys:x overlaps disk1 of a"));
}

/* M42: an interrupt of the disk is his whose request it was, and for this life of the VM. */
static void whose_interrupt(void **state)
{
	struct vm *a = make("a", phys(2, 1, 0, 0, false), none);
	struct vm *b = make("b", phys(2, 2, 0, 0, false), none);

	(void)state;
	assert_ptr_equal(a->disks[0].port.payer, &a->guest.group);
	u64 before = a->guest.group.billed, others = b->guest.group.billed;
	interrupted(b->disks[0].port.payer, 700);
	interrupted(NULL, 50);
	assert_int_equal(a->guest.group.billed, before);
	assert_int_equal(b->guest.group.billed, others + 700);
	assert_int_equal(vm_ticks(b, shim_tsc) - vm_vcpu_ticks(b, shim_tsc), others + 700);
	vm_destroy_async(a);
	vm_destroy_async(b);
}

static void silent_disks_are_looked_after(void **state)
{
	struct vm *vm = make("a", phys(2, 0, 0, 0, true), none);
	(void)state;

	assert_non_null(vm);
	assert_non_null(became_busy);
	vm_destroy_async(vm); /* and its timers */
	checks = 0;
	busy_for = 3;
	became_busy();
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(sched->next_deadline, shim_tsc + 1000000000);
		shim_tsc += 1000000000;
		timer_run(shim_tsc);
		assert_false(list_empty(&sched->work));
		struct work *w = list_entry(sched->work.next, struct work, node);
		list_remove(&w->node);
		w->queued = false;
		w->run(w->opaque);
		assert_int_equal(checks, i);
	}
	assert_int_equal(sched->next_deadline, ~(u64)0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, machine_off)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(what_a_name_means), T(what_is_not_there), T(the_boot_disk),
	    T(whose_it_is),       T(whose_interrupt),   T(silent_disks_are_looked_after),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
