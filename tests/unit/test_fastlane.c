/* SPDX-License-Identifier: Apache-2.0 */
/* The short way for MOV to and from device registers: what it does, and what it leaves to the emulator (M25).
 */
#include "vcpu_board.h"

#include "vcpu/emulation.h"
#include "vcpu/emulator.h"

#define CODE 0x1000 /* linear = guest-physical */
#define DEVICE 0xfec00000

static struct emulator emulator;
static u64 entry_value;
static unsigned reads, writes;
static u64 written;

u64 io_read(struct guest *g, bool port, u64 address, unsigned size)
{
	assert_ptr_equal(g, &board_guest);
	assert_false(port);
	assert_int_equal(address, DEVICE + 0x10);
	reads++;
	return size == 4 ? 0xffffffff87654321 : 0x4321; /* a device may leave dirt above size */
}

void io_write(struct guest *g, bool port, u64 address, unsigned size, u64 value)
{
	assert_ptr_equal(g, &board_guest);
	assert_false(port);
	assert_int_equal(address, DEVICE + 0x10);
	assert_in_range(size, 1, 8);
	writes++;
	written = value;
}

/* The code page as the emulator's caches have it after the long way was gone once. */
static int setup(void **state)
{
	board_setup(state);
	memset(&emulator, 0, sizeof(emulator));
	gwalk_cache_init(&emulator.walks, &board_guest.mem, &board_vcpu.tlb);
	struct gwalk_memo *memo = &emulator.walks.memo[(CODE >> PAGE_SHIFT) % GWALK_MEMOS];
	*memo = (struct gwalk_memo){.cr3 = 0x5000, .page = CODE, .gpa = CODE};
	memo->flush_gen = board_guest.ept.flush_gen;
	for (unsigned i = 0; i < 4; i++)
		memo->entry[i] = &entry_value;
	board_vcpu.emulator = &emulator;
	board_vcpu.lapic.mmio = 0xfee00000;
	fake(GUEST_CR3) = 0x5000;
	fake(GUEST_EFER) = EFER_LME | EFER_LMA;
	fake(GUEST_CS_ACCESS_RIGHTS) = 0xa09b;
	fake(GUEST_RIP) = CODE;
	reads = writes = 0;
	return 0;
}

static bool run(const char *code, size_t n, bool write)
{
	board_put(CODE, code, n);
	return fastlane_run(&board_vcpu, DEVICE + 0x10, write);
}

static void test_load(void **state)
{
	(void)state;
	board_regs[REG_RAX] = ~(u64)0;
	assert_true(run("\x8b\x47\x10", 3, false)); /* mov eax, [rdi + 16] */
	assert_int_equal(reads, 1);
	assert_int_equal(board_regs[REG_RAX], 0x87654321);
	assert_int_equal(fake(GUEST_RIP), CODE + 3);
}

static void test_store(void **state)
{
	(void)state;
	board_regs[REG_RAX] = 0x1122334455667788;
	assert_true(run("\x89\x47\x10", 3, true)); /* mov [rdi + 16], eax */
	assert_int_equal(writes, 1);
	assert_int_equal(written, 0x55667788); /* zero-extended: io.h */
	assert_int_equal(fake(GUEST_RIP), CODE + 3);
}

/* The code was changed after the processor had run it: a page that the guest may only read is not written. */
static void test_changed_code(void **state)
{
	(void)state;
	assert_false(run("\x89\x47\x10", 3, false));
	assert_false(run("\x8b\x47\x10", 3, true));
	assert_int_equal(reads + writes, 0);
	assert_int_equal(fake(GUEST_RIP), CODE);
}

static void test_long_way(void **state)
{
	(void)state;
	assert_false(run("\x01\x47\x10", 3, true));  /* add [rdi + 16], eax */
	assert_false(run("\x8b\x67\x10", 3, false)); /* mov esp, [rdi + 16] */
	fake(GUEST_CR3) = 0x6000;
	assert_false(run("\x8b\x47\x10", 3, false)); /* another address space */
	fake(GUEST_CR3) = 0x5000;
	fake(GUEST_CS_ACCESS_RIGHTS) = 0xc09b;
	assert_false(run("\x8b\x47\x10", 3, false)); /* not 64-bit mode */
	assert_int_equal(reads + writes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_load, setup, board_teardown),
	    cmocka_unit_test_setup_teardown(test_store, setup, board_teardown),
	    cmocka_unit_test_setup_teardown(test_changed_code, setup, board_teardown),
	    cmocka_unit_test_setup_teardown(test_long_way, setup, board_teardown),
	};
	return cmocka_run_group_tests_name("M25 fastlane", tests, NULL, NULL);
}
