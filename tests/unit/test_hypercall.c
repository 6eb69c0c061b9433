/* SPDX-License-Identifier: Apache-2.0 */
/* M14, M15: the calls of Socle rings, argument by argument, in front of a device that remembers; several
 * calls in one: limits, order, errors among them, words that change while they are done. */
#include "hypercall_board.h"

/* ---- M14: the calls of rings ---- */
static void query(void **state)
{
	struct socle_device d;

	(void)state;
	assert_int_equal(call(SOCLE_CALL_DEVICE_QUERY, 0, LIST, 0, 0, 0), 0);
	assert_int_equal(gmem_read(&vm.guest.mem, LIST, &d, sizeof(d)), 0);
	assert_int_equal(d.kind, SOCLE_DEVICE_NETWORK);
	assert_int_equal(d.nr_rings, 2);
	assert_int_equal(d.max_pages, 77);
	assert_int_equal(d.reserved0 | d.reserved1[0] | d.reserved1[9], 0);
	assert_int_equal(call(SOCLE_CALL_DEVICE_QUERY, 1, LIST, 0, 0, 0), SOCLE_ENOENT);
	assert_int_equal(call(SOCLE_CALL_DEVICE_QUERY, ~0ull, LIST, 0, 0, 0), SOCLE_ENOENT);
	assert_int_equal(call(SOCLE_CALL_DEVICE_QUERY, (u64)1 << 32, LIST, 0, 0, 0), SOCLE_ENOENT);
	assert_int_equal(call(SOCLE_CALL_DEVICE_QUERY, 0, LIST + 32, 0, 0, 0), SOCLE_EINVAL);
	assert_int_equal(call(SOCLE_CALL_DEVICE_QUERY, 0, RAM, 0, 0, 0), SOCLE_EFAULT);
	assert_int_equal(call(SOCLE_CALL_DEVICE_QUERY, 0, LAST, 0, 0, 0), 0);
	assert_int_equal(call(SOCLE_CALL_DEVICE_QUERY, 0, ROM, 0, 0, 0), SOCLE_EFAULT);
	assert_int_equal(call(SOCLE_CALL_DEVICE_QUERY, 0, ~0ull << 6, 0, 0, 0), SOCLE_EFAULT);
}

static void open_close_doorbell(void **state)
{
	(void)state;
	assert_int_equal(call(SOCLE_CALL_RING_OPEN, 0, 1, 0x1234, 0x5678, 0), 0);
	assert_int_equal(fake.ring, 1);
	assert_int_equal(fake.base, 0x1234);
	assert_int_equal(fake.size, 0x5678);
	assert_int_equal(fake.event, 0);
	assert_int_equal(call(SOCLE_CALL_RING_DOORBELL, 0, 1, 0, 0, 0), 0);
	assert_int_equal(call(SOCLE_CALL_RING_CLOSE, 0, 0, 0, 0, 0), 0);
	assert_int_equal(fake.ring, 0);
	assert_int_equal(fake.opened + fake.closed + fake.doorbells, 3);
	/* There is no such device or ring: nobody is asked. */
	for (u64 n = SOCLE_CALL_RING_OPEN; n <= SOCLE_CALL_RING_DOORBELL; n++) {
		assert_int_equal(call(n, 1, 0, 0, 0, 0), SOCLE_ENOENT);
		assert_int_equal(call(n, 0, 2, 0, 0, 0), SOCLE_ENOENT);
		assert_int_equal(call(n, (u64)1 << 32, 0, 0, 0, 0), SOCLE_ENOENT);
		assert_int_equal(call(n, 0, (u64)1 << 32, 0, 0, 0), SOCLE_ENOENT);
		assert_int_equal(call(n, ~0ull, ~0ull, 0, 0, 0), SOCLE_ENOENT);
	}
	assert_int_equal(fake.opened + fake.closed + fake.doorbells, 3);
}

/* What a device says, by the names of the ABI. */
static void errors_of_devices(void **state)
{
	static const struct {
		int rc;
		i64 open, close, doorbell;
	} rows[] = {
	    {ERR_NOENT, SOCLE_ENOENT, SOCLE_ENOENT, SOCLE_ENOENT},
	    {ERR_EXIST, SOCLE_EBUSY, SOCLE_EBUSY, SOCLE_ENOENT},
	    {ERR_INVAL, SOCLE_EINVAL, SOCLE_EINVAL, SOCLE_ENOENT},
	    {ERR_FAULT, SOCLE_EFAULT, SOCLE_EFAULT, SOCLE_ENOENT},
	    {ERR_AGAIN, SOCLE_EDQUOT, SOCLE_EAGAIN, SOCLE_ENOENT},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		fake.rc = rows[i].rc;
		assert_int_equal(call(SOCLE_CALL_RING_OPEN, 0, 0, 0, 1, 0), rows[i].open);
		assert_int_equal(call(SOCLE_CALL_RING_CLOSE, 0, 0, 0, 0, 0), rows[i].close);
		assert_int_equal(call(SOCLE_CALL_RING_DOORBELL, 0, 0, 0, 0, 0), rows[i].doorbell);
	}
}

/* Only one that the VM allocated for itself may be set by a ring. */
static void events(void **state)
{
	i64 own, offered;

	(void)state;
	assert_int_equal(call(SOCLE_CALL_RING_OPEN, 0, 0, 0, 1, 1), SOCLE_EINVAL); /* no page of events yet */
	assert_int_equal(call(SOCLE_CALL_EVENT_SETUP, 0x1000, 0x40, 0, 0, 0), 0);
	own = call(SOCLE_CALL_EVENT_ALLOC, SOCLE_SELF, 0, 0, 0, 0);
	assert_true(own > 0);
	assert_int_equal(call(SOCLE_CALL_RING_OPEN, 0, 0, 0, 1, (u64)own + 1), SOCLE_EINVAL);
	assert_int_equal(call(SOCLE_CALL_RING_OPEN, 0, 0, 0, 1, (u64)own | (u64)1 << 32), SOCLE_EINVAL);
	assert_int_equal(call(SOCLE_CALL_RING_OPEN, 0, 0, 0, 1, ~0ull), SOCLE_EINVAL);
	assert_int_equal(fake.opened, 0);
	assert_int_equal(call(SOCLE_CALL_RING_OPEN, 0, 0, 0, 1, (u64)own), 0);
	assert_int_equal(fake.event, own);
	/* Open to another VM: that one's to set. */
	struct vm other = {.id = 2};
	list_insert(&vm_host.vms, &other.node);
	offered = call(SOCLE_CALL_EVENT_ALLOC, 2, 0, 0, 0, 0);
	list_remove(&other.node);
	assert_true(offered > 0);
	assert_int_equal(call(SOCLE_CALL_RING_OPEN, 0, 0, 0, 1, (u64)offered), SOCLE_EINVAL);
	assert_int_equal(call(SOCLE_CALL_EVENT_CLOSE, (u64)own, 0, 0, 0, 0), 0);
	assert_int_equal(call(SOCLE_CALL_RING_OPEN, 0, 0, 0, 1, (u64)own), SOCLE_EINVAL);
}

/* Rings 1 to 3 call nothing, whatever it is. */
static void privilege(void **state)
{
	(void)state;
	for (u64 cpl = 1; cpl < 4; cpl++) {
		fake(GUEST_SS_ACCESS_RIGHTS) = cpl << 5;
		assert_int_equal(call(SOCLE_CALL_RING_DOORBELL, 0, 0, 0, 0, 0), SOCLE_EPERM);
		assert_int_equal(multi(LIST, 1), SOCLE_EPERM);
		assert_int_equal(call(~0ull, 0, 0, 0, 0, 0), SOCLE_EPERM);
	}
	fake(GUEST_SS_ACCESS_RIGHTS) = 0;
	assert_int_equal(call(~0ull, 0, 0, 0, 0, 0), SOCLE_ENOSYS);
	assert_int_equal(call(SOCLE_CALL_MULTI + 1, 0, 0, 0, 0, 0), SOCLE_ENOSYS);
	for (u64 n = 3; n <= 15; n++)
		assert_int_equal(call(n, 0, 0, 0, 0, 0), SOCLE_ENOSYS);
	assert_int_equal(fake.doorbells, 0);
}

/* ---- M15: several in one ---- */
static void limits(void **state)
{
	(void)state;
	assert_int_equal(multi(LIST, 0), 0);
	assert_int_equal(multi(LIST, SOCLE_MULTI_MAX + 1), SOCLE_EINVAL);
	assert_int_equal(multi(LIST, ~0ull), SOCLE_EINVAL);
	assert_int_equal(multi(LIST, (u64)1 << 32), SOCLE_EINVAL);
	for (u64 bit = 1; bit < 64; bit <<= 1)
		assert_int_equal(multi(LIST + bit, 1), SOCLE_EINVAL);
	for (u64 i = 0; i < SOCLE_MULTI_MAX; i++)
		*entry(LIST + 64 * i) =
		    (struct socle_multicall){.number = SOCLE_CALL_RING_DOORBELL, .result = 99};
	assert_int_equal(multi(LIST, SOCLE_MULTI_MAX), SOCLE_MULTI_MAX);
	assert_int_equal(fake.doorbells, SOCLE_MULTI_MAX);
	assert_int_equal(between, SOCLE_MULTI_MAX); /* each time others may run */
	for (u64 i = 0; i < SOCLE_MULTI_MAX; i++)
		assert_int_equal(entry(LIST + 64 * i)->result, 0);
	/* Across pages. */
	for (u64 i = 0; i < 4; i++)
		*entry(LIST + PAGE_SIZE - 128 + 64 * i) =
		    (struct socle_multicall){.number = SOCLE_CALL_VERSION, .result = 99};
	assert_int_equal(multi(LIST + PAGE_SIZE - 128, 4), 4);
	for (u64 i = 0; i < 4; i++)
		assert_int_equal(entry(LIST + PAGE_SIZE - 128 + 64 * i)->result, SOCLE_ABI_VERSION);
}

/* All of them in RAM that the guest may write, or none is done. */
static void places(void **state)
{
	(void)state;
	*entry(LAST) = (struct socle_multicall){.number = SOCLE_CALL_RING_DOORBELL, .result = 99};
	assert_int_equal(multi(LAST, 2), SOCLE_EFAULT);
	assert_int_equal(multi(RAM, 1), SOCLE_EFAULT);
	assert_int_equal(multi(ROM, 1), SOCLE_EFAULT);
	assert_int_equal(multi(ROM - 64, 2), SOCLE_EFAULT);
	assert_int_equal(multi(~0ull << 6, 1), SOCLE_EFAULT);
	assert_int_equal(multi(~0ull << 6, 2), SOCLE_EFAULT); /* the second would be at 0 */
	assert_int_equal(multi((u64)1 << 48, 1), SOCLE_EFAULT);
	assert_int_equal(fake.doorbells, 0);
	assert_int_equal(entry(LAST)->result, 99);
	assert_int_equal(multi(LAST, 1), 1);
	assert_int_equal(fake.doorbells, 1);
}

/* In their order; one that fails stops nobody; one within another is refused; no other word changes. */
static void partial(void **state)
{
	static const struct socle_multicall list[] = {
	    {.number = SOCLE_CALL_VERSION, .result = 99, .reserved = 5},
	    {.number = SOCLE_CALL_RING_OPEN, .argument = {0, 2, 3, 4, 0}, .result = 99},
	    {.number = SOCLE_CALL_MULTI, .argument = {LIST, 1}, .result = 99},
	    {.number = ~0ull, .result = 99},
	    {.number = 7, .result = 99},
	    {.number = SOCLE_CALL_CONSOLE_WRITE, .argument = {RAM, 10}, .result = 99},
	    {.number = SOCLE_CALL_CONSOLE_WRITE, .argument = {0, SOCLE_CONSOLE_MAX + 1}, .result = 99},
	    {.number = SOCLE_CALL_RING_OPEN, .argument = {0, 1, 0xabc, 0xdef, 0}, .result = 99},
	    {.number = SOCLE_CALL_RING_DOORBELL, .argument = {0, 1}, .result = 99},
	    {.number = SOCLE_CALL_YIELD, .result = 99},
	};
	static const i64 results[] = {SOCLE_ABI_VERSION,
				      SOCLE_ENOENT,
				      SOCLE_EINVAL,
				      SOCLE_ENOSYS,
				      SOCLE_ENOSYS,
				      SOCLE_EFAULT,
				      SOCLE_EINVAL,
				      0,
				      0,
				      0};
	_Static_assert(ARRAY_SIZE(results) == ARRAY_SIZE(list), "one each");
	u64 regs[16];

	(void)state;
	for (u64 i = 0; i < ARRAY_SIZE(list); i++)
		*entry(LIST + 64 * i) = list[i];
	vcpu.regs[REG_RDI] = LIST;
	memcpy(regs, vcpu.regs, sizeof(regs));
	assert_int_equal(multi(LIST, ARRAY_SIZE(list)), ARRAY_SIZE(list));
	for (u64 i = 0; i < ARRAY_SIZE(list); i++) {
		struct socle_multicall want = list[i];
		want.result = results[i];
		assert_memory_equal(entry(LIST + 64 * i), &want, sizeof(want));
	}
	assert_int_equal(fake.opened, 1);
	assert_int_equal(fake.doorbells, 1);
	assert_int_equal(ways, 1);
	assert_int_equal(fake.ring, 1);
	assert_int_equal(fake.base, 0xabc);
	assert_int_equal(fake.size, 0xdef);
	assert_int_equal(vcpu.regs[REG_RDI], LIST);
	for (unsigned i = 11; i < 16; i++)
		assert_int_equal(vcpu.regs[i], regs[i]);
}

/* The entry that is being done was read; the next one was not. */
static void change(void)
{
	entry(LIST)->number = entry(LIST)->argument[0] = ~0ull;
	entry(LIST + 64)->number = SOCLE_CALL_VERSION;
}

static void changed_meanwhile(void **state)
{
	(void)state;
	*entry(LIST) = (struct socle_multicall){.number = SOCLE_CALL_RING_DOORBELL, .result = 99};
	*entry(LIST + 64) = (struct socle_multicall){.number = SOCLE_CALL_MULTI, .result = 99};
	fake.meanwhile = change;
	assert_int_equal(multi(LIST, 2), 2);
	assert_int_equal(entry(LIST)->result, 0);
	assert_int_equal(entry(LIST + 64)->result, SOCLE_ABI_VERSION);
	assert_int_equal(fake.doorbells, 1);
}

/* Where there is no memory left to populate an entry's page, it is not done and keeps its result: zeros. */
static void no_memory(void **state)
{
	(void)state;
	*entry(LIST + PAGE_SIZE - 64) = (struct socle_multicall){.number = SOCLE_CALL_VERSION, .result = 99};
	vm.guest.mem.limit_pages = vm.guest.mem.populated_pages;
	assert_int_equal(multi(LIST + PAGE_SIZE - 64, 2), 2);
	assert_int_equal(entry(LIST + PAGE_SIZE - 64)->result, SOCLE_ABI_VERSION);
	vm.guest.mem.limit_pages = 1000;
	assert_int_equal(entry(LIST + PAGE_SIZE)->result, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(query, setup, teardown),
	    cmocka_unit_test_setup_teardown(open_close_doorbell, setup, teardown),
	    cmocka_unit_test_setup_teardown(errors_of_devices, setup, teardown),
	    cmocka_unit_test_setup_teardown(events, setup, teardown),
	    cmocka_unit_test_setup_teardown(privilege, setup, teardown),
	    cmocka_unit_test_setup_teardown(limits, setup, teardown),
	    cmocka_unit_test_setup_teardown(places, setup, teardown),
	    cmocka_unit_test_setup_teardown(partial, setup, teardown),
	    cmocka_unit_test_setup_teardown(changed_meanwhile, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
