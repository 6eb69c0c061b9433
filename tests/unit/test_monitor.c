/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's commands on real VMs, as typed: a wrong word gets one line that says what was expected and
 * changes nothing, and whatever is typed leaves nothing behind (M33, M86, M87). */
#include <time.h>

#include "monitor_board.h"

/* ---- wrong words ---- */
static char state_before[2][16384];

static void note_state(char *into)
{
	size_t n = 0;
	static const char *const looks[] = {"sched -j", "list", "vcpu-list"};
	shim_tsc = 0; /* no time has passed */
	for (unsigned i = 0; i < ARRAY_SIZE(looks); i++)
		n += (size_t)snprintf(into + n, sizeof(state_before[0]) - n, "%s", ask(looks[i]));
	assert_true(n < sizeof(state_before[0]));
}

static void refuse(const char *line, const char *says)
{
	struct holdings before = holdings();
	u64 tsc = shim_tsc;
	note_state(state_before[0]);
	const char *got = ask(line), *end = strchr(got, '\n');
	if (!end || end[1] || !strstr(got, says))
		fail_msg("\"%s\" got \"%s\" instead of one line with \"%s\"", line, got, says);
	note_state(state_before[1]);
	assert_string_equal(state_before[0], state_before[1]);
	assert_held(before);
	shim_tsc = MAX(tsc, shim_tsc);
}

/* So many words, the first of which names a VM where that is wanted. */
static void words_of(const struct command *row, unsigned n, char *line, size_t size)
{
	snprintf(line, size, "%s", row->name);
	for (unsigned i = 0; i < n; i++)
		snprintf(line + strlen(line), size - strlen(line), " %s",
			 i == 0 && row->kinds[0] == WORD_VM ? "a" : "0");
}

static void each_command_refuses_what_is_wrong(void **state)
{
	char line[256];
	struct holdings before = holdings();
	(void)state;
	everybody();
	for (unsigned i = 0; i < monitor_nr_commands; i++) {
		const struct command *row = &monitor_commands[i];
		if (row->min) {
			words_of(row, row->min - 1, line, sizeof(line));
			refuse(line, "too few words: expected ");
		}
		words_of(row, row->max + 1, line, sizeof(line));
		refuse(line, "too many words: expected ");
		for (char letter = 'A'; letter <= 'z'; letter++) {
			if (strchr(row->options, letter))
				continue;
			words_of(row, row->min, line, sizeof(line));
			snprintf(line + strlen(line), 8, " -%c", letter);
			refuse(line, "expected ");
		}
		if (row->kinds[0] != WORD_VM)
			continue;
		words_of(row, row->min, line, sizeof(line));
		snprintf(line, sizeof(line), "%s%s%s", row->name, " nobody", row->min > 1 ? " 0 0" : "");
		refuse(line,
		       "no VM \"nobody\": expected a, 2b.c-d_e, abcdefghijklmnopqrstuvwxyz01234, kept, w-2");
	}
	nobody_left(before);
}

static const struct {
	const char *line, *says;
} wrong[] = {
    {"frobnicate", "no command \"frobnicate\": \"help\" shows what there is"},
    {"a b c d e f g h i j k l m", "more than 12 words"},
    {"list \"a", "expected a second \""},
    {"help me", "\"help\" shows what there is"},
    {"create nobody", "expected back, w-1, w-3, huge"},
    {"create w", "expected back, w-1, w-3, huge"},
    {"create a", "a: not created: there is a VM of that name: expected the name of one that is not there"},
    {"create huge", "huge: not created: memory: 6144 MiB asked for, "},
    {"pause abcdefghijklmnopqrstuvwxyz01234", "is paused: expected a running VM"},
    {"pause kept", "kept is crashed: expected a running VM"},
    {"unpause a", "a is running: expected a paused VM"},
    {"unpause kept", "kept is crashed: expected a paused VM"},
    {"shutdown kept", "kept is crashed: expected a running VM"},
    {"console 2b.c-d_e", "expected a VM with a console"},
    {"dmesg x", "\"x\": expected a number of lines"},
    {"dmesg 0", "\"0\": expected a number of lines"},
    {"dmesg 18446744073709551616", "expected a number of lines"},
    {"trace a", "nothing is recorded of a: expected trace -e a first"},
    {"trace a 2", "\"2\": expected a vCPU from 0 to 1"},
    {"trace -ed a", "expected one of -e, -d and -j"},
    {"trace -ej a", "expected one of -e, -d and -j"},
    {"date a yesterday", "\"yesterday\": expected host, or a date of 1970 to 2554"},
    {"vcpu-pin a 2 0", "\"2\": expected all, or a vCPU from 0 to 1"},
    {"vcpu-pin a -- -1 0", "\"-1\": expected all, or a vCPU from 0 to 1"},
    {"vcpu-pin a 0 1", "\"1\": expected all, or CPUs from 0 to 0"},
    {"vcpu-pin a all 0-64", "\"0-64\": expected all, or CPUs from 0 to 0"},
    {"vcpu-pin a all 0,", "\"0,\": expected all, or CPUs from 0 to 0"},
    {"sched a weight", "\"weight\": expected NAME=NUMBER"},
    {"sched a weight=", "\"weight=\": expected NAME=NUMBER"},
    {"sched a =1", "\"=1\": unknown parameter; expected weight, cap"},
    {"sched a speed=1", "\"speed=1\": unknown parameter; expected weight, cap"},
    {"sched a warp_limit_of_the_vm=1", "unknown parameter; expected weight, cap"},
    {"sched a weight=0", "\"weight=0\": expected 1 to 65535"},
    {"sched a cap=6401", "\"cap=6401\": expected percent of one CPU"},
    /* What stands before the wrong word is not done either. */
    {"sched a weight=512 cap=30 cap=6401", "\"cap=6401\": expected percent of one CPU"},
    {"sched a weight=512 warp=20000 speed=1", "\"speed=1\": unknown parameter"},
    {"sched a weight=512 cap", "\"cap\": expected NAME=NUMBER"},
};

static void wrong_words_change_nothing(void **state)
{
	struct holdings before = holdings();
	(void)state;
	assert_string_equal(ask("pause a"), "pause: no VM \"a\": there is none\n");
	everybody();
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		refuse(wrong[i].line, wrong[i].says);
	assert_string_equal(ask("sched a weight=512 cap=30"), "");
	assert_non_null(strstr(ask("sched -j a"), "\"weight\":512,\"cap\":30,\"warp\":0,"));
	ask("sched a cap=0");
	nobody_left(before);
}

/* ---- a life ---- */
static void states(void **state)
{
	struct holdings before = holdings();
	(void)state;
	everybody();
	assert_non_null(strstr(ask("list kept"), "----c-"));
	assert_non_null(strstr(ask("debug-dump kept"), "kept: id 4, crashed, "));
	assert_string_equal(ask("trace -e a"), "");
	assert_non_null(strstr(ask("trace a 1"), "a vCPU 1: 0 exits recorded"));
	/* A crash while it is paused: what was paused is gone. */
	ask("reset kept; pause kept");
	crash("kept");
	assert_non_null(strstr(ask("list kept"), "----c-"));
	assert_string_equal(ask("unpause kept"), "unpause: kept is crashed: expected a paused VM\n");
	ask("reset kept");
	assert_non_null(strstr(ask("list kept"), "r-----"));
	/* Numbers are never used twice. */
	u32 id = vm_find("a")->id;
	ask("reset a");
	assert_true(vm_find("a")->id > id);
	ask("create back");
	id = vm_find("back")->id;
	crash("back");
	assert_true(vm_find("back")->id > id);
	/* In one line: it is shown until it is gone. */
	assert_non_null(strstr(ask("destroy -n a; list a"), "r----d"));
	assert_null(vm_find("a"));
	nobody_left(before);
}

/* make soak does the same in a machine. */
static void a_thousand_times(void **state)
{
	struct holdings before = holdings();
	(void)state;
	for (unsigned i = 0; i < 500; i++) {
		ask("create a; create -p w-3; create kept; destroy w-3; destroy a");
		crash("kept");
		ask("reset kept; destroy kept");
		assert_held(before);
	}
	assert_int_equal(vm_host.next_id, 2001);
	nobody_left(before);
}

static u64 seed;

static unsigned below(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 33) % n;
}

/* Any words, guests that end by themselves, and memory that runs out. */
static void anything_leaves_nothing(void **state)
{
	static const char *const words[] = {
	    "a",  "2b.c-d_e", "kept", "back",  "w-1",  "w-2", "huge", "3",  "17",
	    "0",  "all",      "host", "x",     "-j",   "-p",  "-n",   "-e", "-d",
	    "-w", "weight=9", "cap=", "cap=5", "\"\"", ";",   "--",   "-",  "create"};
	static const char *const lives[] = {"create", "create -p", "destroy", "destroy -n",
					    "reset",  "pause",     "unpause", "shutdown"};
	struct holdings before = holdings();
	const char *given = getenv("SEED");
	char line[256];
	(void)state;
	seed = (given ? strtoull(given, NULL, 0) : (u64)time(NULL)) | 1;
	print_message("SEED=%#lx\n", (unsigned long)seed);
	for (unsigned i = 0; i < 3000; i++) {
		const char *verb = below(2) ? lives[below(ARRAY_SIZE(lives))]
					    : monitor_commands[below(monitor_nr_commands)].name;
		if (!strcmp(verb, "quit") || !strcmp(verb, "exit") || !strcmp(verb, "console") ||
		    !strcmp(verb, "check") || !strcmp(verb, "top"))
			continue;
		snprintf(line, sizeof(line), "%s", verb);
		for (unsigned n = below(4); n; n--)
			snprintf(line + strlen(line), sizeof(line) - strlen(line), " %s",
				 words[below(ARRAY_SIZE(words))]);
		fail_after = below(4) ? -1 : (long)below(200);
		snprintf(line + strlen(line), 2, "\r");
		typed(line);
		if (!below(8) && !list_empty(&vm_host.vms)) {
			struct vm *vm = list_entry(vm_host.vms.next, struct vm, node);
			if (vm->state == VM_RUNNING)
				guest_stop(&vm->guest, GUEST_POWEROFF + below(5), 0);
		}
		typed("\x03"); /* out of a text */
		fail_after = -1;
		unsigned running = 0;
		list_for_each(n, &vm_host.vms) running += list_entry(n, struct vm, node)->state == VM_RUNNING;
		assert_int_equal(running, vm_host.nr_alive);
	}
	nobody_left(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(each_command_refuses_what_is_wrong),
	    T(wrong_words_change_nothing),
	    T(states),
	    T(a_thousand_times),
	    T(anything_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, once, NULL);
}
