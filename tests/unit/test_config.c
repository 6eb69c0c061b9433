/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of socle.conf: every key, every error with its line, key and text. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config_board.h"
#include "log.h"

static void test_defaults(void **state)
{
	(void)state;
	accept(VM_HEAD);
	assert_int_equal(c.nr_vms, 1);
	const struct config_vm *vm = &c.vms[0];
	assert_string_equal(vm->name, "a");
	assert_int_equal(vm->line, 1);
	assert_int_equal(vm->vcpus, 1);
	assert_int_equal(vm->memory, 64 << 20);
	assert_int_equal(vm->page_order, 9);
	assert_string_equal(vm->kernel, "k");
	assert_string_equal(vm->initrd, "");
	assert_string_equal(vm->firmware, "");
	assert_string_equal(vm->cmdline, "");
	assert_int_equal(vm->nr_modules, 0);
	assert_int_equal(vm->console, CONSOLE_SERIAL);
	assert_true(vm->autostart);
	assert_false(vm->testdev);
	assert_true(vm->hypervisor_cpuid);
	assert_int_equal(vm->on_poweroff, ON_EVENT_DESTROY);
	assert_int_equal(vm->on_reboot, ON_EVENT_RESTART);
	assert_int_equal(vm->on_crash, ON_EVENT_DESTROY);
	const struct config_features *f = &c.socle.features;
	assert_true(f->vid && f->tpr_shadow && f->vpid && f->preemption_timer && f->ept_1g && f->ept_ad);
	assert_int_equal(c.socle.on_idle, ON_IDLE_POWEROFF);
	assert_int_equal(c.socle.log_level, LOG_INFO);
}

static void test_every_key(void **state)
{
	(void)state;
	accept("# a comment\n"
	       "; another\n"
	       "[socle]   ; behind a header\n"
	       "vid = off\ntpr_shadow = no\nvpid = false\npreemption_timer = 0\nept_1g = OFF\nept_ad = No\n"
	       "on_idle = wait\nlog_level = debug # loud\n"
	       "\n[vm linux-1.a_b]\n"
	       "vcpus = 16\nmemory = 1G\npages = 4K\nkernel = \\boot\\vmlinuz\ninitrd = /boot//./initrd.gz\n"
	       "cmdline = console=ttyS0 a=\"b c\" # ; stays\nconsole = none\nautostart = off\ntestdev = yes\n"
	       "hypervisor = no\non_poweroff = restart\non_reboot = destroy\non_crash = preserve\n"
	       "[ vm  two ]\nkernel = \"dir with blank/k.elf\" ; c\nmemory = 3\npages = 1g\n"
	       "module = /m/one.txt a  b\nmodule = m2\n");
	const struct config_features *f = &c.socle.features;
	assert_false(f->vid || f->vid_auto || f->tpr_shadow || f->vpid || f->preemption_timer || f->ept_1g ||
		     f->ept_ad);
	assert_int_equal(c.socle.on_idle, ON_IDLE_WAIT);
	assert_int_equal(c.socle.log_level, LOG_DEBUG);
	assert_int_equal(c.nr_vms, 2);
	const struct config_vm *vm = &c.vms[0];
	assert_string_equal(vm->name, "linux-1.a_b");
	assert_int_equal(vm->line, 13);
	assert_int_equal(vm->memory, 1 << 30);
	assert_int_equal(vm->page_order, 0);
	assert_string_equal(vm->kernel, "boot/vmlinuz");
	assert_string_equal(vm->initrd, "boot/initrd.gz");
	assert_string_equal(vm->cmdline, "console=ttyS0 a=\"b c\" # ; stays");
	assert_int_equal(vm->console, CONSOLE_NONE);
	assert_false(vm->autostart);
	assert_true(vm->testdev);
	assert_false(vm->hypervisor_cpuid);
	assert_int_equal(vm->on_poweroff, ON_EVENT_RESTART);
	assert_int_equal(vm->on_reboot, ON_EVENT_DESTROY);
	assert_int_equal(vm->on_crash, ON_EVENT_PRESERVE);
	vm = &c.vms[1];
	assert_string_equal(vm->name, "two");
	assert_string_equal(vm->kernel, "dir with blank/k.elf");
	assert_int_equal(vm->memory, 3 << 20);
	assert_int_equal(vm->page_order, 18);
	assert_int_equal(vm->nr_modules, 2);
	assert_string_equal(vm->modules[0], "m/one.txt a  b");
	assert_string_equal(vm->modules[1], "m2");
}

static void test_words(void **state)
{
	static const char *const on[] = {"on", "yes", "true", "1", "ON", "Yes", "tRUE"};
	static const char *const off[] = {"off", "no", "false", "0"};
	static const char *const levels[] = {"error", "warn", "info", "debug"};
	char text[256];
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(on); i++) {
		snprintf(text, sizeof(text), VM_HEAD "testdev=%s\n", on[i]);
		accept(text);
		assert_true(c.vms[0].testdev);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(off); i++) {
		snprintf(text, sizeof(text), VM_HEAD "autostart\t=\t%s\t\n", off[i]);
		accept(text);
		assert_false(c.vms[0].autostart);
	}
	for (unsigned i = CONSOLE_SERIAL; i <= CONSOLE_NONE; i++) {
		snprintf(text, sizeof(text), VM_HEAD "console = %s\n",
			 config_console_word((enum console_kind)i));
		accept(text);
		assert_int_equal(c.vms[0].console, i);
	}
	refuse(VM_HEAD "console = hvc0\n", 4, "console",
	       "bad value \"hvc0\": expected serial, virtio or none");
	accept(VM_HEAD);
	assert_false(c.vms[0].rng);
	accept(VM_HEAD "rng = yes\n");
	assert_true(c.vms[0].rng);
	assert_false(c.vms[0].hpet);
	accept(VM_HEAD "hpet = yes\n");
	assert_true(c.vms[0].hpet);
	refuse(VM_HEAD "rng = /dev/urandom\n", 4, "rng", "bad value \"/dev/urandom\": expected on or off");
	for (unsigned i = 0; i < ARRAY_SIZE(levels); i++) {
		snprintf(text, sizeof(text), "[socle]\nlog_level=%s\n" VM_HEAD, levels[i]);
		accept(text);
		assert_int_equal(c.socle.log_level, i);
	}
}

static void test_memory(void **state)
{
	static const struct {
		const char *text;
		u64 bytes;
	} good[] = {{"2", 2ull << 20},      {"256", 256ull << 20},     {"4096K", 4096ull << 10},
		    {"8192kb", 8ull << 20}, {"2052KiB", 2052 << 10},   {"64m", 64ull << 20},
		    {"64MB", 64ull << 20},  {"64 MiB", 64ull << 20},   {"1G", 1ull << 30},
		    {"3GB", 3ull << 30},    {"16384GiB", 16ull << 40}, {"\"64M\"", 64ull << 20}};
	static const char *const bad[] = {"0",
					  "1",
					  "1M",
					  "2047K",
					  "16385G",
					  "99999999999999999999",
					  "-1",
					  "0x100",
					  "M",
					  "1.5G",
					  "64Q",
					  "64 M M",
					  "64MM",
					  "18446744073709551615",
					  "18446744073709551616G",
					  "2049K",
					  "64M,"};
	char text[256];
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
		snprintf(text, sizeof(text), "[vm a]\nkernel=k\nmemory=%s", good[i].text);
		accept(text);
		assert_int_equal(c.vms[0].memory, good[i].bytes);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "[vm a]\nkernel=k\nmemory=%s", bad[i]);
		refuse(text, 3, "memory", "expected");
	}
	refuse("[vm a]\nkernel=k\nmemory=2049K\n", 3, "memory", "a size, for example 256M or 1G");
}

static void test_bad_values(void **state)
{
	(void)state;
	refuse("[socle]\nvid = maybe\n", 2, "vid", "bad value \"maybe\": expected auto, on or off");
	refuse("[socle]\nvid = \x01\n", 2, "", "control character 0x01 in column 7");
	refuse("[socle]\nvid = \xc3\xbc\n", 2, "vid", "bad value \"\?\?\": expected auto, on or off");
	refuse("[socle]\non_idle = sleep\n", 2, "on_idle", "expected poweroff or wait");
	refuse("[socle]\nuplink = \n", 2, "uplink", "value missing: expected the name of a bridge");
	refuse("[socle]\nuplink = a b\n", 2, "uplink", "bad value \"a b\": expected the name of a bridge");
	refuse("[socle]\nuplink = sixteencharacters\n", 2, "uplink", "expected the name of a bridge");
	accept("[socle]\nuplink = lan-2.x\n" VM_HEAD);
	assert_string_equal(c.socle.uplink, "lan-2.x");
	refuse("[socle]\nlog_level = 3\n", 2, "log_level", "expected error, warn, info or debug");
	refuse(VM_HEAD "pages = 8k\n", 4, "pages", "bad value \"8k\": expected 4k, 2M or 1G");
	refuse(VM_HEAD "console = vga\n", 4, "console", "expected serial, virtio or none");
	refuse(VM_HEAD "on_crash = coredump\n", 4, "on_crash", "expected destroy, restart or preserve");
	refuse(VM_HEAD "vcpus = 0\n", 4, "vcpus", "expected a number from 1 to 16");
	refuse(VM_HEAD "vcpus = 17\n", 4, "vcpus", "expected a number from 1 to 16");
	refuse(VM_HEAD "vcpus = one\n", 4, "vcpus", "bad value \"one\"");
	refuse(VM_HEAD "firmware = OVMF.fd\n", 4, "firmware", "not supported by this version");
	refuse(VM_HEAD "testdev =\n", 4, "testdev", "value missing: expected on or off");
	refuse(VM_HEAD "testdev = # on\n", 4, "testdev", "value missing");
	refuse(VM_HEAD "testdev = \"on\n", 4, "testdev", "quote without its end");
	refuse(VM_HEAD "initrd = \"\"\n", 4, "initrd", "value missing");
	refuse("[socle]\nvid = on\ntpr_shadow = off\n" VM_HEAD, 2, "vid", "needs tpr_shadow");
}

static void test_feature_default_gives_way(void **state)
{
	(void)state;
	accept("[socle]\ntpr_shadow = off\n" VM_HEAD);
	assert_false(c.socle.features.vid);
	accept("[socle]\nvid = auto\ntpr_shadow = off\n" VM_HEAD);
	assert_false(c.socle.features.vid);
	accept("[socle]\nvid = on\n" VM_HEAD);
	assert_true(c.socle.features.vid && !c.socle.features.vid_auto);
	accept("[socle]\nvid = AUTO\n" VM_HEAD);
	assert_true(c.socle.features.vid && c.socle.features.vid_auto);
	assert_true(c.socle.features.vpid);
}

static void test_paths(void **state)
{
	char text[512], longest[CONFIG_PATH_MAX + 1];
	(void)state;
	refuse(VM_HEAD "initrd = ../x\n", 4, "initrd", "\"..\" in a path");
	refuse(VM_HEAD "initrd = a/..\n", 4, "initrd", "\"..\" in a path");
	refuse(VM_HEAD "initrd = /\n", 4, "initrd", "empty path");
	refuse(VM_HEAD "initrd = ./\\.\n", 4, "initrd", "empty path");
	refuse(VM_HEAD "initrd = a:b\n", 4, "initrd", "character 2 cannot stand in a path");
	refuse(VM_HEAD "initrd = \xc3\xbc\n", 4, "initrd", "character 1 cannot stand in a path");
	memset(longest, 'x', sizeof(longest));
	longest[CONFIG_PATH_MAX - 1] = '\0';
	snprintf(text, sizeof(text), VM_HEAD "initrd = /%s\n", longest);
	accept(text);
	assert_string_equal(c.vms[0].initrd, longest);
	snprintf(text, sizeof(text), VM_HEAD "initrd = y%s\n", longest);
	refuse(text, 4, "initrd", "path longer than 127 characters");
	snprintf(text, sizeof(text), VM_HEAD "initrd = d/%s\n", longest + 1);
	refuse(text, 4, "initrd", "path longer than 127 characters");
	accept(VM_HEAD "initrd = a/b..c/...\n");
	assert_string_equal(c.vms[0].initrd, "a/b..c/...");
}

static void test_modules(void **state)
{
	char text[2048] = VM_HEAD;
	(void)state;
	for (unsigned i = 0; i < CONFIG_MAX_MODULES; i++)
		strcat(text, "module = m x\n");
	accept(text);
	assert_int_equal(c.vms[0].nr_modules, CONFIG_MAX_MODULES);
	strcat(text, "module = m\n");
	refuse(text, 12, "module", "more than 8 modules");
	snprintf(text, sizeof(text), VM_HEAD "module = m %0126d\n", 0);
	refuse(text, 4, "module", "path and arguments longer than 127 characters");
	snprintf(text, sizeof(text), VM_HEAD "module = m %0125d\n", 0);
	accept(text);
	assert_int_equal(strlen(c.vms[0].modules[0]), 127);
	refuse(VM_HEAD "module = / x\n", 4, "module", "empty path");
	refuse(VM_HEAD "initrd = i\nmodule = m\n", 5, "module", "not both");
}

static void test_cmdline(void **state)
{
	char text[4096];
	(void)state;
	static const struct {
		const char *text, *value;
	} rows[] = {
	    {"", ""},
	    {"\"\"", ""},
	    {"  a  b  ", "a  b"},
	    {"\"a = b\"", "a = b"},
	    {"'a \"q\" b'", "a \"q\" b"},
	    {"\" a \"  # why", " a "},
	    {"\"a\" b", "\"a\" b"},
	    {"a=\"x y\" ; z", "a=\"x y\" ; z"},
	    {"aba ; aba", "aba ; aba"},
	    {"# no comment", "# no comment"},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(text, sizeof(text), VM_HEAD "cmdline = %s\n", rows[i].text);
		accept(text);
		assert_string_equal(c.vms[0].cmdline, rows[i].value);
	}
	refuse(VM_HEAD "cmdline = \"a\n", 4, "cmdline", "quote without its end");
	snprintf(text, sizeof(text), VM_HEAD "cmdline = %01023d\n", 0);
	accept(text);
	assert_int_equal(strlen(c.vms[0].cmdline), 1023);
	snprintf(text, sizeof(text), VM_HEAD "cmdline = %01024d\n", 0);
	refuse(text, 4, "cmdline", "longer than 1023 characters");
}

static void test_unknown(void **state)
{
	(void)state;
	refuse(VM_HEAD "memroy = 1\n", 4, "memroy", "did you mean \"memory\"?");
	refuse(VM_HEAD "Kernel = 1\n", 4, "Kernel", "did you mean \"kernel\"?");
	refuse(VM_HEAD "modules = 1\n", 4, "modules", "did you mean \"module\"?");
	refuse(VM_HEAD "on_power = destroy\n", 4, "on_power", "did you mean \"on_poweroff\"?");
	refuse(VM_HEAD "floppy = x\n", 4, "floppy", "unknown key; expected one of count vcpus");
	refuse(VM_HEAD "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz = x\n", 4,
	       "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "on_crash");
	refuse(VM_HEAD "= x\n", 4, "", "unknown key");
	refuse(VM_HEAD "log_level = info\n", 4, "log_level", "belongs into the [socle] section");
	refuse("[socle]\nmemory = 1\n", 2, "memory", "belongs into a [vm NAME] section");
	refuse("[socle]\nlog = 1\n", 2, "log", "unknown key; expected one of vid");
	refuse("[socle]\nloglevel = 1\n", 2, "loglevel", "did you mean \"log_level\"?");
	refuse("[xen]\n", 1, "", "unknown section [xen]: expected [socle], [vm NAME] or [tenant NAME]");
	refuse("[vms a]\n", 1, "", "unknown section [vms a]");
	refuse("[]\n", 1, "", "unknown section []");
	refuse("[\n", 1, "", "section header without ']'");
	refuse("[vm a\n", 1, "", "section header without ']'");
	refuse("[vm a] x\n", 1, "", "section header without ']'");
	refuse("memory = 1\n", 1, "", "key outside a section");
	refuse(VM_HEAD "what\n", 4, "", "expected \"key = value\"");
}

static void test_vm_names(void **state)
{
	(void)state;
	refuse("[vm]\n", 1, "", "bad VM name");
	refuse("[vm ]\n", 1, "", "bad VM name");
	refuse("[vm a b]\n", 1, "", "bad VM name");
	refuse("[vm -a]\n", 1, "", "bad VM name");
	refuse("[vm a/b]\n", 1, "", "bad VM name");
	/* The monitor takes a number for the one that list shows. */
	refuse("[vm 2]\n", 1, "",
	       "bad VM name: expected [vm NAME], NAME of 1 to 31 letters, digits, '-', '_', "
	       "'.', not digits alone");
	refuse("[vm 00000000000000000017]\n", 1, "", "not digits alone");
	accept("[vm 2b]\nmemory = 64\nkernel = k\n[vm 3-1]\nmemory = 64\nkernel = k\n");
	refuse("[vm abcdefghijklmnopqrstuvwxyz012345]\n", 1, "", "bad VM name");
	accept("[vm abcdefghijklmnopqrstuvwxyz01234]\nkernel=k\nmemory=64\n");
}

static void test_duplicates(void **state)
{
	(void)state;
	refuse(VM_HEAD "[vm b]\n[vm a]\n", 5, "", "duplicate VM \"a\", first on line 1");
	refuse(VM_HEAD "memory = 64M\n", 4, "memory", "duplicate key, first on line 3");
	refuse("[socle]\nvid=on\nvid=on\n", 3, "vid", "duplicate key, first on line 2");
	refuse("[socle]\n[socle]\n", 2, "", "duplicate section [socle], first on line 1");
	accept(VM_HEAD "[vm b]\nkernel=k\nmemory=64\n");
}

static void test_missing(void **state)
{
	(void)state;
	refuse("", 0, "", "nothing to run");
	refuse("\n# only\n", 0, "", "nothing to run");
	refuse("[socle]\nvid = on\n", 0, "", "nothing to run");
	refuse("\n[vm a]\nmemory = 64\n", 2, "kernel", "missing in [vm a]");
	refuse("\n[vm a]\nkernel = k\n", 2, "memory", "missing in [vm a]");
	refuse(VM_HEAD "[vm b]\nkernel = k\n", 4, "memory", "missing in [vm b]");
}

static void test_file_forms(void **state)
{
	static const char with_nul[] = "[vm a]\nker\0nel = k\n";
	char text[4200];
	(void)state;
	accept("\xef\xbb\xbf[vm a]\r\nkernel = k\r\nmemory = 64\r\n");
	assert_string_equal(c.vms[0].kernel, "k");
	accept("[vm a]\nkernel = k\nmemory = 64");
	accept("[vm a]\nkernel = k\r\nmemory = 64\r");
	refuse_bytes(with_nul, sizeof(with_nul) - 1, 2, "", "control character 0x00 in column 4");
	refuse("[vm a]\nker\rnel = k\n", 2, "", "control character 0x0d in column 4");
	refuse("[vm a]\n\x7f", 2, "", "control character 0x7f");
	refuse("\xff\xfe[\0v", 0, "", "UTF-16");
	refuse("\xfe\xff", 0, "", "UTF-16");
	snprintf(text, sizeof(text), VM_HEAD "#%02047d\n", 0);
	accept(text);
	snprintf(text, sizeof(text), VM_HEAD "#%02048d\n", 0);
	refuse(text, 4, "", "line longer than 2048 bytes");
}

struct seen {
	char text[512];
	unsigned stop_after, calls;
};

static int note_file(void *opaque, const struct config_vm *vm, const char *key, const char *path)
{
	struct seen *s = opaque;
	snprintf(s->text + strlen(s->text), 64, "%s.%s=%s;", vm->name, key, path);
	return ++s->calls == s->stop_after ? 42 : 0;
}

static void test_for_each_file(void **state)
{
	static const char text[] = "[vm a]\nkernel=/k\ninitrd=i\nmemory=64\n"
				   "[vm b]\nmemory=64\nmodule=\\d\\m arg arg\nmodule=n\nkernel=e\n"
				   "disk3=t,ro\ndisk1=r\n";
	struct seen s = {0};
	(void)state;
	accept(text);
	assert_int_equal(config_for_each_file(&c, note_file, &s), 0);
	assert_string_equal(s.text, "a.kernel=k;a.initrd=i;b.kernel=e;b.disk1=r;b.disk3=t;b.module=d/m;"
				    "b.module=n;");
	for (unsigned i = 1; i <= 7; i++) {
		struct seen t = {.stop_after = i};
		assert_int_equal(config_for_each_file(&c, note_file, &t), 42);
		assert_int_equal(t.calls, i);
	}
}

static void test_error_at(void **state)
{
	char line[256];
	(void)state;
	accept("[vm a]\nkernel=k\nmemory=64\nmodule=m\nmodule=m2 m\nmodule=d/m2\n");
	config_error_at(&e, &c.vms[0], "memory", NULL, "only %u MiB are free", 32u);
	config_format_error(line, sizeof(line), "socle.conf", &e);
	assert_string_equal(line, "socle.conf:3: memory: only 32 MiB are free");
	config_error_at(&e, &c.vms[0], "module", "m2", "file not found: %s", "m2");
	config_format_error(line, sizeof(line), "socle.conf", &e);
	assert_string_equal(line, "socle.conf:5: module: file not found: m2");
	config_error_at(&e, &c.vms[0], "module", "d/m2", "x");
	assert_int_equal(e.line, 6);
	config_error_at(&e, &c.vms[0], "initrd", NULL, "x");
	assert_int_equal(e.line, 1); /* the key is not there: the VM's header */
}

static void test_format_error(void **state)
{
	char line[64], tiny[8];
	(void)state;
	parse("[socle]\nvid = 7\n");
	config_format_error(line, sizeof(line), "f", &e);
	assert_string_equal(line, "f:2: vid: bad value \"7\": expected auto, on or off");
	parse("x\n");
	config_format_error(line, sizeof(line), "f", &e);
	assert_string_equal(line, "f:1: expected \"key = value\", a [section] or a comment");
	parse("");
	config_format_error(line, sizeof(line), "f", &e);
	assert_string_equal(line, "f: no [vm NAME] section: nothing to run");
	config_format_error(tiny, sizeof(tiny), "f", &e);
	assert_string_equal(tiny, "f: no [");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults),

	    cmocka_unit_test(test_every_key),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_memory),
	    cmocka_unit_test(test_bad_values),
	    cmocka_unit_test(test_feature_default_gives_way),
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_modules),
	    cmocka_unit_test(test_cmdline),
	    cmocka_unit_test(test_unknown),
	    cmocka_unit_test(test_vm_names),
	    cmocka_unit_test(test_duplicates),
	    cmocka_unit_test(test_missing),
	    cmocka_unit_test(test_file_forms),
	    cmocka_unit_test(test_for_each_file),
	    cmocka_unit_test(test_error_at),
	    cmocka_unit_test(test_format_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
