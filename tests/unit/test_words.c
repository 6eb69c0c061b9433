/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines of the monitor taken apart: every wrong one gets one line that says what was expected (M86).
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vm/json.h"
#include "vm/words.h"

static void nothing(struct call *c)
{
	(void)c;
}

static const struct command table[] = {
    {"list", "j", 0, 1, {WORD_VM}, nothing, "[-j] [VM]", "the VMs", "list"},
    {"pause", "", 1, 1, {WORD_VM}, nothing, "VM", "stop", "pause web"},
    {"trace", "ed", 1, 2, {WORD_VM, WORD_NUMBER}, nothing, "[-e|-d] VM [VCPU]", "exits", "trace web"},
};

static struct call c;
static char line[256], why[200];

static int parse(const char *text)
{
	snprintf(line, sizeof(line), "%s", text);
	why[0] = '\0';
	int rc = call_parse(&c, table, ARRAY_SIZE(table), line, why, sizeof(why));
	assert_true(rc <= 0 && (rc == 0 || rc == ERR_NOENT) == !why[0]);
	assert_null(strchr(why, '\n'));
	return rc;
}

static void refuse(const char *text, const char *says)
{
	assert_true(parse(text) < 0);
	if (!strstr(why, says))
		fail_msg("\"%s\" got \"%s\" instead of \"%s\"", text, why, says);
}

static void good_lines(void **state)
{
	(void)state;
	assert_int_equal(parse(""), ERR_NOENT);
	assert_int_equal(parse("   "), ERR_NOENT);
	assert_int_equal(parse("  list "), 0);
	assert_ptr_equal(c.command, &table[0]);
	assert_int_equal(c.nr_words, 0);
	assert_false(call_option(&c, 'j'));
	assert_int_equal(parse("list -j web"), 0);
	assert_true(call_option(&c, 'j'));
	assert_string_equal(c.words[0], "web");
	assert_int_equal(parse("trace web -e 3"), 0);
	assert_int_equal(c.nr_words, 2);
	assert_string_equal(c.words[1], "3");
	assert_int_equal(parse("trace -ed \"a b\" x\" y\"z"), 0);
	assert_string_equal(c.words[0], "a b");
	assert_string_equal(c.words[1], "x yz");
	assert_true(call_option(&c, 'e') && call_option(&c, 'd'));
	assert_int_equal(parse("pause -- -x"), 0);
	assert_string_equal(c.words[0], "-x");
	assert_int_equal(parse("pause -"), 0);
	assert_int_equal(parse("pause \"\""), 0);
	assert_string_equal(c.words[0], "");
}

static void bad_lines(void **state)
{
	(void)state;
	refuse("lits", "no command \"lits\": did you mean list?");
	refuse("lst", "did you mean list?");
	refuse("listt", "did you mean list?");
	refuse("mist", "did you mean list?");
	refuse("reboot", "no command \"reboot\": \"help\" shows what there is");
	refuse("pause", "pause: too few words: expected pause VM");
	refuse("pause a b", "pause: too many words: expected pause VM");
	refuse("list -x", "list: no option -x: expected list [-j] [VM]");
	refuse("list -jJ", "no option -J");
	refuse("trace -e", "too few words: expected trace [-e|-d] VM [VCPU]");
	refuse("list \"a", "a quote is opened and never closed");
	refuse("list 1 2 3 4 5 6 7 8 9 10 11 12 13", "more than 12 words");
	refuse("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	       "no command \"aaaa");
}

static void numbers(void **state)
{
	u64 n = 5;
	(void)state;
	assert_true(word_number("0", &n) && n == 0);
	assert_true(word_number("18446744073709551", &n) && n == 18446744073709551u);
	assert_false(word_number("", &n) || word_number("-1", &n) || word_number("1x", &n) ||
		     word_number("99999999999999999999", &n) || word_number(" 1", &n));
}

static char written[512];

static void out(const char *buf, size_t n)
{
	strncat(written, buf, n);
}

static void json(void **state)
{
	struct json j = {out, false};
	(void)state;
	json_open(&j, NULL, '[');
	for (unsigned i = 0; i < 2; i++) {
		json_open(&j, NULL, '{');
		json_string(&j, "na\"me", "a\\b\n\x7f");
		json_number(&j, "id", 1844674407370955161u);
		json_thousandths(&j, "t", 12034);
		json_open(&j, "none", '[');
		json_close(&j, ']');
		json_close(&j, '}');
	}
	json_close(&j, ']');
#define ROW "{\"na\\\"me\":\"a\\\\b\\u000a\\u007f\",\"id\":1844674407370955161,\"t\":12.034,\"none\":[]}"
	assert_string_equal(written, "[" ROW "," ROW "]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_lines),
	    cmocka_unit_test(bad_lines),
	    cmocka_unit_test(numbers),
	    cmocka_unit_test(json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
