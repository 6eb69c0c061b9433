/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of socle.conf that say who runs when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "config_board.h"

static void defaults(void **state)
{
	(void)state;
	accept(VM_HEAD);
	const struct config_vm *vm = &c.vms[0];
	assert_int_equal(c.socle.sched, CONFIG_SCHED_BVT);
	assert_int_equal(vm->weight, 256);
	assert_true(vm->pin == ~(u64)0);
	assert_true(!vm->cap && !vm->warp && !vm->warp_limit && !vm->unwarp);
}

static void every_key(void **state)
{
	(void)state;
	accept(
	    "[socle]\nsched = RR\n" VM_HEAD
	    "weight = 65535\ncap = 30\npin = 0-1, 3,62 - 63\nwarp = 1000000\nwarp_limit = 5\nunwarp = 7\n");
	const struct config_vm *vm = &c.vms[0];
	assert_int_equal(c.socle.sched, CONFIG_SCHED_RR);
	assert_int_equal(vm->weight, 65535);
	assert_int_equal(vm->cap, 30);
	assert_true(vm->pin == 0xc00000000000000b);
	assert_int_equal(vm->warp, 1000000);
	assert_int_equal(vm->warp_limit, 5);
	assert_int_equal(vm->unwarp, 7);
	accept(VM_HEAD "pin = all\n");
	assert_true(c.vms[0].pin == ~(u64)0);
	refuse("[socle]\nsched = fifo\n", 2, "sched", "expected bvt, credit or rr");
	refuse(VM_HEAD "weight = 0\n", 4, "weight", "expected a number from 1 to 65535");
	refuse(VM_HEAD "weight = 65536\n", 4, "weight", "expected a number from 1 to 65535");
	refuse(VM_HEAD "cap = 30%\n", 4, "cap", "expected percent of one CPU");
	refuse(VM_HEAD "warp = -1\n", 4, "warp", "expected microseconds");
	static const char *const lists[] = {"64", "0-64", "1-0", "1,", ",1", "0 1", "0-", "-1", "x", "0-1-2"};
	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++) {
		char text[128];
		snprintf(text, sizeof(text), VM_HEAD "pin = %s\n", lists[i]);
		refuse(text, 4, "pin", "expected all, or CPUs from 0 to 63");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(every_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
