/* SPDX-License-Identifier: Apache-2.0 */
/* diskN in socle.conf: its words, and that nobody shares what somebody writes to. */
#include "config_board.h"

static void words(void **state)
{
	(void)state;
	accept(VM_HEAD);
	for (unsigned i = 0; i < CONFIG_MAX_DISKS; i++)
		assert_string_equal(c.vms[0].disks[i].path, "");
	u64 without = config_vm_footprint(&c.vms[0]);
	accept(VM_HEAD "disk1 = /boot\\root.img\ndisk4=tools.img, RO ,packed # behind it\n"
		       "disk2 = \"a b.img,split,rw\"\n");
	const struct config_disk *d = c.vms[0].disks;
	assert_string_equal(d[0].path, "boot/root.img");
	assert_false(d[0].read_only);
	assert_int_equal(d[0].model, DISK_SPLIT);
	assert_string_equal(d[1].path, "a b.img");
	assert_false(d[1].read_only);
	assert_int_equal(d[1].model, DISK_SPLIT);
	assert_string_equal(d[2].path, "");
	assert_string_equal(d[3].path, "tools.img");
	assert_true(d[3].read_only);
	assert_int_equal(d[3].model, DISK_PACKED);
	assert_int_equal(config_vm_footprint(&c.vms[0]), without + 3 * 65536);
	/* The last of two that exclude each other. */
	accept(VM_HEAD "disk1 = d, ro, rw, packed, split\n");
	assert_false(d[0].read_only);
	assert_int_equal(d[0].model, DISK_SPLIT);
	for (unsigned i = DISK_SPLIT; i < DISK_MODELS; i++) {
		char text[128];
		snprintf(text, sizeof(text), VM_HEAD "disk2 = d, %s\n", config_disk_word((enum disk_model)i));
		accept(text);
		assert_int_equal(d[1].model, i);
	}
	accept(VM_HEAD "disk2 = d, Socle, ro\n");
	assert_int_equal(d[1].model, DISK_SOCLE);
	assert_string_equal(config_disk_word(DISK_SOCLE), "socle");
	refuse(VM_HEAD "disk2 = null:4M, socle\nhypervisor = off\n", 4, "disk2",
	       "socle needs hypervisor = on");
	refuse(VM_HEAD "disk1 =\n", 4, "disk1",
	       "value missing: expected PATH, phys:DISK or null:SIZE[, ro or rw][, split, packed, ide, pio "
	       "or socle][, polled]");
	refuse(VM_HEAD "disk1 = , ro\n", 4, "disk1", "empty path");
	refuse(VM_HEAD "disk1 = d,\nmemory=1\n", 5, "memory", "duplicate");
	refuse(VM_HEAD "disk3 = d, r\n", 4, "disk3",
	       "bad value \"r\": expected PATH, phys:DISK or null:SIZE[, ro or rw]");
	refuse(VM_HEAD "disk1 = d, ro,,packed\n", 4, "disk1", "bad value \"\"");
	refuse(VM_HEAD "disk1 = d\ndisk1 = e\n", 5, "disk1", "duplicate key, first on line 4");
	refuse(VM_HEAD "disk0 = d\n", 4, "disk0", "did you mean \"disk1\"?");
	refuse(VM_HEAD "disk5 = d\n", 4, "disk5", "did you mean");
	refuse(VM_HEAD "disk1 = a*b, ro\n", 4, "disk1", "character 2 cannot stand in a path");
}

/* Rings that a CPU polls: there has to be one, and a ring. */
static void polled(void **state)
{
	(void)state;
	accept("[socle]\npoll = 2\n" VM_HEAD
	       "disk1 = d, polled\ndisk2 = null:4M, socle, Polled\ndisk3 = e\n");
	assert_int_equal(c.socle.poll, 2);
	assert_true(c.vms[0].disks[0].polled);
	assert_true(c.vms[0].disks[1].polled);
	assert_false(c.vms[0].disks[2].polled);
	refuse(VM_HEAD "disk1 = d, polled\n", 4, "disk1", "no CPU polls: polled needs poll = 1");
	refuse("[socle]\npoll = 0\n" VM_HEAD "disk1 = d, polled\n", 6, "disk1", "no CPU polls");
	refuse("[socle]\npoll = 1\n" VM_HEAD "disk1 = d, polled, ide\n", 6, "disk1",
	       "ide has no ring: polled expected split, packed or socle");
	refuse("[socle]\npoll = 64\n" VM_HEAD, 2, "poll", "expected a number of CPUs, 0 to 63");
	refuse("[socle]\npoll = some\n" VM_HEAD, 2, "poll", "expected a number of CPUs, 0 to 63");
}

static void whose_it_is(void **state)
{
	static const char other[] = "[vm other]\nkernel = k\nmemory = 64\n";
	char text[512];

	(void)state;
	refuse(VM_HEAD "disk1 = d\ndisk2 = D\n", 4, "disk1", "D is disk2 of [vm a] as well: expected a file");
	refuse(VM_HEAD "disk1 = k\n", 4, "disk1", "k is kernel of [vm a]");
	refuse(VM_HEAD "disk1 = i, rw\ninitrd = i\n", 4, "disk1", "i is initrd");
	refuse(VM_HEAD "module = m arg\ndisk1 = m\n", 5, "disk1", "m is module");
	accept(VM_HEAD "disk1 = k, ro\ndisk2 = d, ro\ndisk3 = d, ro\n");
	refuse(VM_HEAD "disk2 = d, ro\ndisk3 = d\n", 5, "disk3", "d is disk2");
	snprintf(text, sizeof(text), VM_HEAD "disk1 = d\n%sdisk1 = d, ro\n", other);
	refuse(text, 4, "disk1", "d is disk1 of [vm other]");
	snprintf(text, sizeof(text), VM_HEAD "disk1 = d, ro\n%sdisk1 = d, ro\n", other);
	accept(text);
	snprintf(text, sizeof(text), VM_HEAD "disk1 = d, ro\n%sdisk1 = d\n", other);
	refuse(text, 8, "disk1", "d is disk1 of [vm a]");
	refuse(VM_HEAD "disk1 = d\ncount = 2\n", 4, "disk1", "2 VMs cannot write to one disk: expected ro");
	accept(VM_HEAD "disk1 = d, ro\ncount = 2\n");
}

/* Disks that keep nothing are no files: nobody takes them from anybody. */
static int no_file(void *opaque, const struct config_vm *vm, const char *key, const char *path)
{
	(void)opaque, (void)vm, (void)path;
	assert_string_equal(key, "kernel");
	return 0;
}

static void null_disks(void **state)
{
	(void)state;
	accept(VM_HEAD "disk1 = null:64M, packed\ndisk2 = NULL:64M\ncount = 3\n");
	assert_int_equal(c.vms[0].disks[0].null_bytes, 64 << 20);
	assert_int_equal(c.vms[0].disks[1].null_bytes, 64 << 20);
	assert_int_equal(c.vms[0].disks[0].model, DISK_PACKED);
	assert_true(c.vms[0].disks[0].path[0]);
	assert_int_equal(config_for_each_file(&c, no_file, NULL), 0);
	accept(VM_HEAD "disk1 = null\n");
	assert_int_equal(c.vms[0].disks[0].null_bytes, 0);
	refuse(VM_HEAD "disk1 = null:\n", 4, "disk1",
	       "bad value \"\": expected PATH, phys:DISK or null:SIZE");
	refuse(VM_HEAD "disk1 = null:64M:1\n", 4, "disk1", "bad value \"64M:1\"");
	refuse(VM_HEAD "disk1 = null:1K\n", 4, "disk1", "out of range");
	refuse(VM_HEAD "disk1 = nul:64M\n", 4, "disk1", "character 4 cannot stand in a path");
}

/* ---- disks of the machine ---- */
static void phys_disks(void **state)
{
	(void)state;
	accept(VM_HEAD "disk1 = phys:hda\ndisk2 = PHYS:HDB12, ro , packed\ndisk3 = phys:hdd@0+1,rw\n"
		       "disk4 = phys:hdc@2048+4096\n");
	const struct config_disk *d = c.vms[0].disks;
	assert_true(d[0].phys.used && d[1].phys.used && d[2].phys.used && d[3].phys.used);
	assert_int_equal(d[0].phys.unit, 0);
	assert_int_equal(d[0].phys.partition, 0);
	assert_int_equal(d[0].phys.count, 0);
	assert_int_equal(d[1].phys.unit, 1);
	assert_int_equal(d[1].phys.partition, 12);
	assert_true(d[1].read_only);
	assert_int_equal(d[1].model, DISK_PACKED);
	assert_int_equal(d[2].phys.unit, 3);
	assert_int_equal(d[2].phys.count, 1);
	assert_int_equal(d[3].phys.first, 2048);
	assert_int_equal(d[3].phys.count, 4096);
	assert_string_equal(d[3].path, "phys:hdc@2048+4096");
	assert_int_equal(config_for_each_file(&c, no_file, NULL), 0);
	static const char *const bad[] = {"phys:",
					  "phys:hd",
					  "phys:hde",
					  "phys:sda",
					  "phys:hda0",
					  "phys:hda256",
					  "phys:hda1x",
					  "phys:hda ",
					  "phys:hda@",
					  "phys:hda@1",
					  "phys:hda@1+",
					  "phys:hda@1+0",
					  "phys:hda@1+1 1",
					  "phys:hda@1+1s",
					  "phys:hda1@1+1",
					  "phys:hda@-1+1",
					  "phys:hd1",
					  "phys:hda@1+281474976710656",
					  "phys:hda@281474976710656+1",
					  "phys:hda@18446744073709551616+1"};
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		char text[200];
		bool blank = bad[i][strlen(bad[i]) - 1] == ' ';
		snprintf(text, sizeof(text), VM_HEAD "disk1 = %s%s\n", bad[i], blank ? "1" : "");
		refuse(text, 4, "disk1", "expected phys:hda, phys:hda1 or phys:hda@FIRST+COUNT, hda to hdd");
	}
}

static void phys_whose(void **state)
{
	static const struct {
		const char *a, *b;
		bool fine;
	} pairs[] = {
	    {"phys:hda", "phys:hda", false},          {"phys:hda", "phys:hdb", true},
	    {"phys:hda", "phys:hda1", false},         {"phys:hda1", "phys:hda", false},
	    {"phys:hda1", "phys:hda1", false},        {"phys:hda1", "phys:hda2", true},
	    {"phys:hda", "phys:hda@5+1", false},      {"phys:hda@5+5", "phys:hda@10+5", true},
	    {"phys:hda@10+5", "phys:hda@5+5", true},  {"phys:hda@5+6", "phys:hda@10+5", false},
	    {"phys:hda@10+5", "phys:hda@5+6", false}, {"phys:hda@10+5", "phys:hda@11+1", false},
	    {"phys:hda@10+5", "phys:hda1", true}, /* the machine will tell */
	    {"phys:hda, ro", "phys:hda, ro", true},
	};
	char text[300];
	(void)state;

	for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++) {
		snprintf(text, sizeof(text), VM_HEAD "disk1 = %s\ndisk2 = %s\n", pairs[i].a, pairs[i].b);
		if (pairs[i].fine)
			accept(text);
		else
			refuse(text, 4, "disk1", "is disk2 of [vm a] as well, or a part of it: expected ro");
		snprintf(text, sizeof(text),
			 VM_HEAD "disk1 = %s, ro\n[vm b]\nkernel = k\nmemory = 3\ndisk4 = %s\n", pairs[i].a,
			 pairs[i].b);
		if (pairs[i].fine)
			accept(text);
		else
			refuse(text, 8, "disk4", "is disk1 of [vm a] as well");
	}
	refuse(VM_HEAD "disk1 = phys:hda1\ncount = 2\n", 4, "disk1", "2 VMs cannot write to one disk");
	accept(VM_HEAD "disk1 = phys:hda1, ro\ncount = 2\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words),      cmocka_unit_test(polled),     cmocka_unit_test(whose_it_is),
	    cmocka_unit_test(null_disks), cmocka_unit_test(phys_disks), cmocka_unit_test(phys_whose),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
