/* SPDX-License-Identifier: Apache-2.0 */
/* How many VMs a configuration makes, what they are called, what they take. */
#include "config_board.h"

static void test_many_sections(void **state)
{
	char *text = calloc(CONFIG_MAX_VMS + 1, 64), *end = text;
	(void)state;
	for (unsigned i = 0; i < CONFIG_MAX_VMS; i++)
		end += snprintf(end, 64, "[vm v%u]\nkernel=k\nmemory=64\n", i);
	accept(text);
	assert_int_equal(c.nr_vms, CONFIG_MAX_VMS);
	assert_int_equal(config_count_sections(text, strlen(text)), CONFIG_MAX_VMS);
	assert_int_equal(config_vms_total(&c), CONFIG_MAX_VMS);
	strcpy(end, "[vm more]\n");
	refuse(text, 3 * CONFIG_MAX_VMS + 1, "", "more than 1024 VMs");
	assert_int_equal(config_count_sections(text, strlen(text)), CONFIG_MAX_VMS);
	free(text);
	/* Room for fewer is the caller's choice. */
	assert_int_equal(config_count_sections("", 0), 1);
	c.room = 1;
	refuse(VM_HEAD "[vm b]\n", 4, "", "more than 1 VMs");
	c.room = CONFIG_MAX_VMS;
}

static void test_count(void **state)
{
	char name[CONFIG_NAME_MAX];
	unsigned index = 9;
	(void)state;
	accept(VM_HEAD
	       "[vm w]\nkernel = k\nmemory = 8\ncount = 128\n[vm z]\nkernel = k\nmemory = 8\ncount=1\n");
	assert_int_equal(c.nr_vms, 3);
	assert_int_equal(config_vms_total(&c), 130);
	assert_int_equal(config_vms_before(&c, &c.vms[2]), 129);
	config_vm_name(&c.vms[0], 0, name);
	assert_string_equal(name, "a");
	config_vm_name(&c.vms[1], 0, name);
	assert_string_equal(name, "w-1");
	config_vm_name(&c.vms[1], 127, name);
	assert_string_equal(name, "w-128");
	config_vm_name(&c.vms[2], 0, name);
	assert_string_equal(name, "z");
	assert_ptr_equal(config_find(&c, "w-128", &index), &c.vms[1]);
	assert_int_equal(index, 127);
	assert_ptr_equal(config_find(&c, "z", &index), &c.vms[2]);
	assert_int_equal(index, 0);
	static const char *const none[] = {"w",    "w-",  "w-0",   "w-129", "w-01",
					   "w-1a", "z-1", "w-1-1", "v",     "w-99999999999999999999999",
					   "",     "a-1"};
	for (unsigned i = 0; i < ARRAY_SIZE(none); i++)
		assert_null(config_find(&c, none[i], &index));
}

static void test_count_refused(void **state)
{
	(void)state;
	refuse(VM_HEAD "count = 0\n", 4, "count", "bad value \"0\": expected a number from 1 to 1024");
	refuse(VM_HEAD "count = 1025\n", 4, "count", "expected a number from 1 to 1024");
	refuse(VM_HEAD "count = many\n", 4, "count", "expected a number from 1 to 1024");
	refuse(VM_HEAD "[vm b]\nkernel=k\nmemory=8\ncount = 1024\n", 7, "count",
	       "more than 1024 VMs: 1023 would be left for this section");
	/* 29 characters, a dash and two digits. */
	refuse("[vm abcdefghijklmnopqrstuvwxyz012]\nkernel=k\nmemory=8\ncount = 10\n", 4, "count",
	       "the name \"abcdefghijklmnopqrstuvwxyz012-10\" has 32 characters: expected at most 31");
	accept("[vm abcdefghijklmnopqrstuvwxyz012]\nkernel=k\nmemory=8\ncount = 9\n");
	/* Names that another section makes, wherever it stands. */
	refuse(VM_HEAD "count = 3\n[vm a-3]\nkernel=k\nmemory=8\n", 5, "",
	       "duplicate VM \"a-3\", first on line 1");
	refuse("[vm a-3]\nkernel=k\nmemory=8\n" VM_HEAD "count = 3\n", 4, "",
	       "duplicate VM \"a-3\", first on line 1");
	accept(VM_HEAD "count = 3\n[vm a-4]\nkernel=k\nmemory=8\n[vm a-03]\nkernel=k\nmemory=8\n");
	accept(VM_HEAD "count = 3\n[vm a-3]\nkernel=k\nmemory=8\ncount = 2\n"); /* a-3-1 and a-3-2 */
}

static void test_footprint(void **state)
{
	(void)state;
	accept("[vm a]\nkernel=k\nmemory=2\n[vm b]\nkernel=k\nmemory=16384G\nvcpus=16\ncount=1023\n");
	/* A bare VM costs at most 256 KiB beside its memory. */
	assert_in_range(config_vm_footprint(&c.vms[0]), 2u << 20,
			(2u << 20) + (256u << 10) + (2u << 20) / 100);
	assert_true(config_vm_footprint(&c.vms[1]) * 1023 > c.vms[1].memory * 1023); /* no overflow */
	for (u64 room = 0; room < (u64)1 << 30; room += 12345678) {
		c.vms[0].memory = config_vm_room(&c.vms[0], room);
		if (c.vms[0].memory)
			assert_in_range(config_vm_footprint(&c.vms[0]), room - room / 50, room);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_many_sections),
	    cmocka_unit_test(test_count),
	    cmocka_unit_test(test_count_refused),
	    cmocka_unit_test(test_footprint),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
