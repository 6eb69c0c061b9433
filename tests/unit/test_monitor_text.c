/* SPDX-License-Identifier: Apache-2.0 */
/* What the monitor reads and writes beside words: VMs from text, of which those that cannot be made leave
 * nothing behind (M87), and JSON (M86). */
#include "monitor_board.h"

/* ---- VMs from text ---- */
static void text_refused(const char *text, const char *says)
{
	struct holdings before = holdings();
	char bytes[1024];
	snprintf(bytes, sizeof(bytes), "create\r%s", text);
	if (!strstr(typed(bytes), says))
		fail_msg("\"%s\" got \"%s\" instead of \"%s\"", text, said, says);
	assert_true(list_empty(&vm_host.vms));
	assert_held(before);
	assert_string_equal(ask("list"),
			    "Name                                ID   Mem VCPUs      State  Time(s)\n");
}

static void text_that_makes_no_vm(void **state)
{
	(void)state;
#define X "[vm x]\rmemory = 4\rkernel = k.elf\r"
	text_refused(".\r", "create: no [vm NAME] section: nothing to run");
	text_refused("[vm x]\rmemory = 1\r.\r", "create:2: memory: out of range: expected 2M to 16384G");
	text_refused("[vm 7]\r.\r", "create:1: bad VM name: expected [vm NAME]");
	text_refused(X "[vm y]\rmemory = 4\rkernel = k.elf\r.\r",
		     "create: 2 sections: expected one [vm NAME]");
	/* It would be read, and not obeyed. */
	text_refused("[socle]\rsched = rr\r" X ".\r",
		     "create:1: [socle] is for the whole machine: expected one [vm NAME]");
	text_refused(X "[socle]\r.\r", "create:4: [socle] is for the whole machine: expected one [vm NAME]");
	text_refused("[vm x]\rmemory = 4\rkernel = other.elf\r.\r", "x: other.elf was not loaded");
	text_refused(X "pin = 1\r.\r", "x: pin: none of these CPUs runs guests; expected some of 0 to 0");
	text_refused("[vm x]\rmemory = 8G\rkernel = k.elf\r.\r",
		     "x: not created: memory: 8192 MiB asked for");
	text_refused(X "\x03", "^C");
	text_refused("[vm x]\r\x04", "^C"); /* Ctrl-D on an empty line */
	text_refused("\x03", "^C");
	/* Another console comes to the front meanwhile. */
	typed("create\r" X);
	monitor_left();
	work_run(sched);
	monitor_open();
	text_refused("[vm x]\r\x03", "^C");
	fail_after = 0;
	text_refused("", "create: no memory");
	fail_after = -1;
}

static void text_that_is_too_long(void **state)
{
	struct holdings before = holdings();
	(void)state;
	typed("create\r");
	for (unsigned i = 0; i < 128 && !strstr(said, "too long"); i++)
		typed("# 45678901234567890123456789012345678901234567890123456789012345\r");
	assert_non_null(strstr(said, "create: the text is too long: expected at most 4096 characters"));
	assert_int_equal(blocks, before.blocks);
	assert_string_equal(ask("pause a"), "pause: no VM \"a\": there is none\n");
}

/* What stands behind create on its line waits for the text, or is dropped with it. */
static void commands_behind_create(void **state)
{
	struct holdings before = holdings();
	(void)state;
	typed("create; pause x; create; pause y\r" X ".\r[vm y]\rmemory = 4\rkernel = k.elf\r.\r");
	assert_non_null(strstr(ask("list"), "--p---"));
	assert_string_equal(vm_state_text(vm_find("x")), "paused");
	assert_string_equal(vm_state_text(vm_find("y")), "paused");
	typed("create; unpause x\r\x03");
	assert_string_equal(vm_state_text(vm_find("x")), "paused");
	typed("create; unpause x\r");
	monitor_left();
	work_run(sched);
	monitor_open();
	typed("");
	assert_string_equal(vm_state_text(vm_find("x")), "paused");
	nobody_left(before);
}

static void text_that_makes_some(void **state)
{
	struct holdings before = holdings();
	(void)state;
	typed("create -p\r" X "count = 3\r.\r");
	assert_non_null(strstr(ask("list"), "x-3 "));
	assert_non_null(strstr(ask("list -j x-2"), "\"state\":\"--p---\""));
	nobody_left(before);
}

/* ---- JSON (RFC 8259) ---- */
static bool json_value(const char **s);

static bool json_text(const char **s)
{
	if (*(*s)++ != '"')
		return false;
	for (; **s != '"'; (*s)++) {
		if ((u8) * *s < ' ')
			return false;
		if (**s == '\\' && !strchr("\"\\/bfnrtu", *++*s))
			return false;
	}
	(*s)++;
	return true;
}

static bool json_number_ok(const char **s)
{
	char *end;
	if (**s < '0' || **s > '9' || (**s == '0' && (*s)[1] >= '0' && (*s)[1] <= '9'))
		return false;
	(void)strtod(*s, &end);
	*s = end;
	return end[-1] != '.';
}

static bool json_rows(const char **s, char close)
{
	bool object = close == '}';
	(*s)++;
	if (**s == close)
		return (*s)++;
	for (;; (*s)++) {
		if (object && (!json_text(s) || *(*s)++ != ':'))
			return false;
		if (!json_value(s))
			return false;
		if (**s == close)
			return (*s)++;
		if (**s != ',')
			return false;
	}
}

static bool json_value(const char **s)
{
	switch (**s) {
	case '{':
		return json_rows(s, '}');
	case '[':
		return json_rows(s, ']');
	case '"':
		return json_text(s);
	default:
		return json_number_ok(s);
	}
}

static void assert_json(const char *line, const char *holds)
{
	const char *got = ask(line), *s = got;
	if (!json_value(&s) || strcmp(s, "\n") != 0 || !strstr(got, holds))
		fail_msg("\"%s\": no JSON on one line with %s: \"%s\"", line, holds, got);
}

static void json_is_json(void **state)
{
	char line[128], name[64];
	unsigned commands = 0;
	struct holdings before = holdings();
	(void)state;
	for (unsigned full = 0; full < 2; full++) {
		if (full)
			everybody();
		for (unsigned i = 0; i < monitor_nr_commands; i++) {
			const struct command *row = &monitor_commands[i];
			if (!strchr(row->options, 'j'))
				continue;
			commands++;
			snprintf(line, sizeof(line), "%s -j", row->name);
			if (!row->min)
				assert_json(line, "");
			list_for_each(n, &vm_host.vms)
			{
				const struct vm *vm = list_entry(n, struct vm, node);
				snprintf(line, sizeof(line), "%s -j %s", row->name, vm->name);
				snprintf(name, sizeof(name), "\"name\":\"%s\"", vm->name);
				if (row->kinds[0] == WORD_VM)
					assert_json(line, name);
			}
		}
	}
	assert_int_equal(commands, 20);
	/* More exits than are kept. */
	ask("trace -e a");
	struct vcpu_trace *t = vm_find("a")->guest.vcpus[1]->trace;
	for (t->count = 0; t->count < VCPU_TRACE_ENTRIES + 3; t->count++)
		t->entry[t->count % VCPU_TRACE_ENTRIES] =
		    (struct vcpu_trace_entry){.tsc = t->count, .rip = ~(u64)0, .reason = 12};
	assert_json("trace -j a 1", "\"vcpu\":1,\"recorded\":67,\"exits\":[{\"at_ns\":3,\"rip\":"
				    "\"0xffffffffffffffff\",\"reason\":\"HLT\",\"qualification\":\"0x0\"},");
	assert_json("trace -j a 0", "\"vcpu\":0,\"recorded\":0,\"exits\":[]}");
	assert_json("dmesg -j 5", "[{\"level\":\"info\",\"line\":\"a line of the log\"}]");
	nobody_left(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(text_that_makes_no_vm),  T(text_that_is_too_long), T(text_that_makes_some),
	    T(commands_behind_create), T(json_is_json),
	};
	return cmocka_run_group_tests(tests, once, NULL);
}
