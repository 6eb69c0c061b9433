/* SPDX-License-Identifier: Apache-2.0 */
/* M67: who owns which port and which memory; default deny, logged once; split accesses. */
#include "vcpu_board.h"

#include "io.h"
#include "shim.h"
#include "vcpu/emulation.h"
#include "vcpu/io_map.h"

static unsigned string_exits;

void emulation_string_io(struct vcpu *v, u64 qualification)
{
	assert_ptr_equal(v, &board_vcpu);
	assert_true(qualification & BIT(4));
	string_exits++;
}

/* A device: remembers its accesses, answers with their offsets. */
static struct access {
	char who;
	bool write;
	u64 offset, value;
	unsigned size;
} accesses[256];
static unsigned nr_accesses;

static void remember(void *opaque, bool write, u64 offset, unsigned size, u64 value)
{
	assert_true(nr_accesses < 256);
	accesses[nr_accesses++] = (struct access){*(char *)opaque, write, offset, value, size};
}

static u64 device_read(void *opaque, u64 offset, unsigned size)
{
	remember(opaque, false, offset, size, 0);
	u64 value = 0;
	for (unsigned i = 0; i < size; i++)
		value |= (offset + i + 1) << (8 * i);
	return value | (size < 8 ? ~(u64)0 << (8 * size) : 0); /* bits above size are ignored */
}

static void device_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	remember(opaque, true, offset, size, value);
}

static char device_a = 'a', device_b = 'b';

static struct io_region region(u64 base, u64 length, unsigned width, char *who)
{
	return (struct io_region){base, length, width, "device", device_read, device_write, who, 0};
}

static int port_add(u64 base, u64 length, unsigned width, char *who)
{
	struct io_region r = region(base, length, width, who);
	return io_register_port(&board_guest, &r);
}

static int mem_add(u64 base, u64 length, unsigned width, char *who)
{
	struct io_region r = region(base, length, width, who);
	return io_register_mem(&board_guest, &r);
}

static int setup(void **state)
{
	board_setup(state);
	board_guest.io = io_map_create();
	assert_non_null(board_guest.io);
	nr_accesses = 0;
	shim_log_lines = 0;
	return 0;
}

static int teardown(void **state)
{
	io_map_destroy(board_guest.io);
	return board_teardown(state);
}

static void expect_access(unsigned i, char who, bool write, u64 offset, unsigned size, u64 value)
{
	assert_true(i < nr_accesses);
	assert_int_equal(accesses[i].who, who);
	assert_int_equal(accesses[i].write, write);
	assert_int_equal(accesses[i].offset, offset);
	assert_int_equal(accesses[i].size, size);
	assert_int_equal(accesses[i].value, value);
}

static void overlap_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(port_add(0x60, 4, 1, &device_a), 0);
	assert_int_equal(port_add(0x64, 4, 1, &device_b), 0);
	assert_int_equal(port_add(0x63, 1, 1, &device_b), ERR_EXIST);
	assert_int_equal(port_add(0x5f, 2, 1, &device_b), ERR_EXIST);
	assert_int_equal(port_add(0x50, 0x40, 1, &device_b), ERR_EXIST);
	assert_int_equal(mem_add(0x100000, 0x1000, 4, &device_a), 0);
	assert_int_equal(mem_add(0x101000, 0x1000, 4, &device_a), 0);
	assert_int_equal(mem_add(0xfffff, 2, 4, &device_b), ERR_EXIST);
	assert_int_equal(mem_add(0x101fff, 1, 4, &device_b), ERR_EXIST);
	assert_int_equal(shim_log_lines, 5);
}

static void wrong_regions_are_refused(void **state)
{
	(void)state;
	assert_int_equal(port_add(0x10000, 1, 1, &device_a), ERR_INVAL);
	assert_int_equal(port_add(0xffff, 2, 1, &device_a), ERR_INVAL);
	assert_int_equal(port_add(1, ~(u64)0, 1, &device_a), ERR_INVAL);
	assert_int_equal(port_add(0x60, 0, 1, &device_a), ERR_INVAL);
	assert_int_equal(port_add(0x60, 1, 3, &device_a), ERR_INVAL);
	assert_int_equal(mem_add(BIT(52), 1, 1, &device_a), ERR_INVAL);
	struct io_region r = region(0x60, 1, 1, &device_a);
	r.write = NULL;
	assert_int_equal(io_register_port(&board_guest, &r), ERR_INVAL);
	assert_int_equal(port_add(0xffff, 1, 1, &device_a), 0);
	assert_int_equal(io_read(&board_guest, true, 0xffff, 1) & 0xff, 1);
}

static void tables_fill_up(void **state)
{
	(void)state;
	for (unsigned i = 0; i < IO_MAX_PORT_REGIONS; i++)
		assert_int_equal(port_add(0x1000 + i, 1, 1, &device_a), 0);
	assert_int_equal(port_add(0x3000, 1, 1, &device_a), ERR_NOMEM);
	for (unsigned i = 0; i < IO_MAX_MEM_REGIONS; i++)
		assert_int_equal(mem_add(0x1000000 - 0x1000 * (u64)i, 0x1000, 8, &device_a), 0);
	assert_int_equal(mem_add(0x2000000, 1, 1, &device_a), ERR_NOMEM);
	/* A region that went makes room. */
	assert_int_equal(io_unregister_port(&board_guest, 0x1007, &device_a), 0);
	assert_int_equal(port_add(0x3000, 1, 1, &device_b), 0);
	io_read(&board_guest, true, 0x3000, 1);
	expect_access(0, 'b', false, 0, 1, 0);
	for (unsigned i = 0; i < IO_MAX_MEM_REGIONS; i++)
		assert_int_equal(io_read(&board_guest, false, 0x1000000 - 0x1000 * (u64)i + 5, 1) & 0xff, 6);
}

static void unregister(void **state)
{
	(void)state;
	assert_int_equal(port_add(0xc000, 0x20, 4, &device_a), 0);
	assert_int_equal(mem_add(0xe0000000, 0x1000, 4, &device_a), 0);
	assert_int_equal(mem_add(0xe0001000, 0x1000, 4, &device_b), 0);
	assert_int_equal(io_unregister_port(&board_guest, 0xc000, &device_b), ERR_NOENT);
	assert_int_equal(io_unregister_port(&board_guest, 0xc001, &device_a), ERR_NOENT);
	assert_int_equal(io_unregister_port(&board_guest, 0xc000, &device_a), 0);
	assert_int_equal(io_unregister_port(&board_guest, 0xc000, &device_a), ERR_NOENT);
	assert_int_equal(io_read(&board_guest, true, 0xc01f, 1), 0xff);
	assert_int_equal(io_unregister_mem(&board_guest, 0xe0000000, &device_b), ERR_NOENT);
	assert_int_equal(io_unregister_mem(&board_guest, 0xe0000000, &device_a), 0);
	assert_int_equal(io_read(&board_guest, false, 0xe0000000, 4), 0xffffffff);
	assert_int_equal(nr_accesses, 0);
	io_read(&board_guest, false, 0xe0001004, 4);
	expect_access(0, 'b', false, 4, 4, 0);
	assert_int_equal(port_add(0xc010, 4, 4, &device_b), 0);
}

/* Wider than the device takes, across its end, across two devices, half nobody's. */
static void accesses_are_split(void **state)
{
	(void)state;
	assert_int_equal(port_add(0x60, 2, 1, &device_a), 0);
	assert_int_equal(port_add(0x62, 4, 2, &device_b), 0);
	io_write(&board_guest, true, 0x60, 4, 0x44332211);
	assert_int_equal(nr_accesses, 3);
	expect_access(0, 'a', true, 0, 1, 0x11);
	expect_access(1, 'a', true, 1, 1, 0x22);
	expect_access(2, 'b', true, 0, 2, 0x4433);
	nr_accesses = 0;
	assert_int_equal(io_read(&board_guest, true, 0x64, 4), 0xffff0403);
	assert_int_equal(nr_accesses, 1);
	nr_accesses = 0;
	assert_int_equal(io_read(&board_guest, true, 0x5f, 2), 0x01ff);
	expect_access(0, 'a', false, 0, 1, 0);
	assert_int_equal(mem_add(0xfee01000, 3, 8, &device_a), 0);
	nr_accesses = 0;
	assert_int_equal(io_read(&board_guest, false, 0xfee00ffe, 8), 0xffffff030201ffff);
	assert_int_equal(nr_accesses, 2); /* two bytes, then the third */
	nr_accesses = 0;
	io_write(&board_guest, true, 0xffff, 4, 1); /* beyond the last port */
	assert_int_equal(nr_accesses, 0);
}

static void misses_read_as_ones_and_are_logged_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(io_read(&board_guest, true, 0x300, 1), 0xff);
		assert_int_equal(io_read(&board_guest, true, 0x300, 2), 0xffff);
		assert_true(io_read(&board_guest, false, 0xf0000000, 8) == ~(u64)0);
		io_write(&board_guest, false, 0xf0000008, 4, 5);
	}
	assert_int_equal(shim_log_lines, 4);
	/* A device that comes is found, a miss remembered or not. */
	assert_int_equal(port_add(0x300, 1, 1, &device_a), 0);
	assert_int_equal(io_read(&board_guest, true, 0x300, 1) & 0xff, 1);
	assert_int_equal(mem_add(0xf0000000, 8, 8, &device_b), 0);
	io_read(&board_guest, false, 0xf0000000, 8);
	expect_access(1, 'b', false, 0, 8, 0);
}

/* A guest that tries every port cannot flood the log. */
static void the_log_is_not_flooded(void **state)
{
	(void)state;
	for (u64 port = 0; port < 0x10000; port++)
		assert_int_equal(io_read(&board_guest, true, port, 1), 0xff);
	assert_in_range(shim_log_lines, 2, 30);
}

/* ---- the exit: SDM volume 3, table 28-5 ---- */
static u64 in_of(unsigned size, u64 rax)
{
	fake(EXIT_QUALIFICATION) = (u64)0x60 << 16 | BIT(3) | (size - 1);
	board_regs[REG_RAX] = rax;
	exit_io(&board_vcpu);
	return board_regs[REG_RAX];
}

static void port_exits(void **state)
{
	(void)state;
	assert_int_equal(port_add(0x60, 4, 4, &device_a), 0);
	assert_true(in_of(1, 0x1122334455667788) == 0x1122334455667701);
	board_expect_single_reads();
	assert_true(in_of(2, 0x1122334455667788) == 0x1122334455660201);
	assert_true(in_of(4, 0x1122334455667788) == 0x04030201);
	assert_int_equal(fake(GUEST_RIP), 0x106);
	board_clear();
	fake(EXIT_QUALIFICATION) = (u64)0x61 << 16;
	board_regs[REG_RAX] = 0xabcdef;
	exit_io(&board_vcpu);
	expect_access(3, 'a', true, 1, 1, 0xef);
	board_expect_single_reads();
	assert_int_equal(fake(GUEST_RIP), 0x108);
	fake(EXIT_QUALIFICATION) |= BIT(4); /* a string: the emulator's business */
	exit_io(&board_vcpu);
	assert_int_equal(string_exits, 1);
	assert_int_equal(fake(GUEST_RIP), 0x108);
}

/* The notice is the last line. */
/* A device that takes at most three items of a run. */
static u32 device_string(void *opaque, u64 offset, unsigned size, bool in, u8 *buf, u32 count)
{
	remember(opaque, !in, offset, size, count);
	if (in)
		memset(buf, 0x33, MIN(count, 3u) * size);
	return MIN(count, 3u);
}

static void strings(void **state)
{
	u8 buf[16] = {0};

	(void)state;
	assert_int_equal(io_set_port_string(&board_guest, 0x1f0, &device_a, device_string), ERR_NOENT);
	assert_int_equal(port_add(0x1f0, 8, 4, &device_a), 0);
	assert_int_equal(port_add(0x170, 8, 2, &device_b), 0);
	assert_int_equal(io_string(&board_guest, 0x1f0, 2, true, buf, 8), 0); /* has none */
	assert_int_equal(io_set_port_string(&board_guest, 0x1f0, &device_b, device_string), ERR_NOENT);
	assert_int_equal(io_set_port_string(&board_guest, 0x1f0, &device_a, device_string), 0);
	assert_int_equal(io_string(&board_guest, 0x1f0, 2, true, buf, 8), 3);
	expect_access(0, 'a', false, 0, 2, 8);
	assert_true(buf[5] == 0x33 && buf[6] == 0);
	assert_int_equal(io_string(&board_guest, 0x1f4, 4, false, buf, 2), 2);
	expect_access(1, 'a', true, 4, 4, 2);
	assert_int_equal(io_string(&board_guest, 0x1f6, 4, true, buf, 2), 0); /* reaches beyond it */
	assert_int_equal(io_string(&board_guest, 0x171, 1, true, buf, 2), 0); /* the other's */
	assert_int_equal(io_string(&board_guest, 0x300, 1, true, buf, 2), 0);
	assert_int_equal(nr_accesses, 2);
	/* It goes with the region, and does not come back with the next in its place. */
	assert_int_equal(io_unregister_port(&board_guest, 0x1f0, &device_a), 0);
	assert_int_equal(io_string(&board_guest, 0x1f0, 2, true, buf, 8), 0);
	assert_int_equal(port_add(0x1f0, 8, 4, &device_a), 0);
	assert_int_equal(io_string(&board_guest, 0x1f0, 2, true, buf, 8), 0);
}

static void log_lines_end(void **state)
{
	unsigned lines = shim_log_lines, allowed = 0;
	(void)state;
	while (guest_log_unknown(&board_guest))
		allowed++;
	assert_int_equal(allowed, 24);
	assert_int_equal(shim_log_lines, lines + 1);
	for (unsigned i = 0; i < 100; i++)
		assert_false(guest_log_unknown(&board_guest));
	assert_int_equal(shim_log_lines, lines + 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(overlap_is_an_error),
	    T(wrong_regions_are_refused),
	    T(tables_fill_up),
	    T(unregister),
	    T(accesses_are_split),
	    T(misses_read_as_ones_and_are_logged_once),
	    T(the_log_is_not_flooded),
	    T(strings),
	    T(port_exits),
	    T(log_lines_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
