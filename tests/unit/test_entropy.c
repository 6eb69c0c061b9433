/* SPDX-License-Identifier: Apache-2.0 */
/* Random words from the processor: where they come from, how long is tried, and that a source which does not
 * work is noticed and not used again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fake_cpu.h"
#include "host.h"
#include "x86.h"
#include "x86_ops.h"

#include "host/entropy.c" /* each case begins with a machine that was just switched on */

static bool has_seed, has_rand;
static unsigned seeds, rands; /* attempts */
static unsigned seed_fails, rand_fails;
static u64 counter;

static struct cpuid_regs processor(u32 leaf, u32 subleaf)
{
	(void)subleaf;
	return (struct cpuid_regs){.ebx = leaf == 7 && has_seed ? 1u << 18 : 0,
				   .ecx = leaf == 1 && has_rand ? 1u << 30 : 0};
}

static u64 good(u64 n)
{
	n *= 0x9e3779b97f4a7c15u;
	n ^= n >> 32;
	n *= 0xd6e8feb86659fd93u;
	return n ^ n >> 32;
}

static bool words(bool seed, u64 *word)
{
	assert_true(seed ? has_seed : has_rand);
	*(seed ? &seeds : &rands) += 1;
	*word = good(++counter);
	if (*(seed ? &seed_fails : &rand_fails) == 0)
		return true;
	*(seed ? &seed_fails : &rand_fails) -= 1;
	return false;
}

static int setup(void **state)
{
	(void)state;
	memset(&entropy, 0, sizeof(entropy));
	fake_cpuid = processor;
	fake_random = words;
	has_seed = has_rand = true;
	seed_fails = rand_fails = 0;
	counter = 0;
	return 0;
}

static void which_source(void **state)
{
	u64 word;

	(void)state;
	for (unsigned have = 0; have < 4; have++) {
		has_seed = have & 1;
		has_rand = have & 2;
		seeds = rands = 0;
		if (!have) {
			assert_string_equal(entropy_test(), "this processor has neither RDSEED nor RDRAND");
			continue;
		}
		assert_null(entropy_test());
		assert_int_equal(entropy_get(&word), 0);
		assert_int_equal(word, good(counter));
		assert_int_equal(seeds, has_seed ? 65 : 0);
		assert_int_equal(rands, has_seed ? 0 : 65);
	}
}

/* RDSEED has none: RDRAND; that has none either: not now, and later again. */
static void tries_are_bounded(void **state)
{
	u64 word;

	(void)state;
	assert_null(entropy_test());
	seeds = rands = 0;
	seed_fails = 5;
	assert_int_equal(entropy_get(&word), 0);
	assert_int_equal(seeds, 6);
	assert_int_equal(rands, 0);
	seeds = 0;
	seed_fails = ~0u;
	rand_fails = 3;
	assert_int_equal(entropy_get(&word), 0);
	assert_int_equal(seeds, 32);
	assert_int_equal(rands, 4);
	rands = 0;
	rand_fails = ~0u;
	for (unsigned i = 1; i <= 50; i++) {
		assert_int_equal(entropy_get(&word), ERR_AGAIN);
		assert_int_equal(rands, 10 * i);
	}
	assert_string_equal(entropy_test(), "the processor gives no random numbers");
	seed_fails = rand_fails = 0;
	assert_int_equal(entropy_get(&word), 0);
	assert_null(entropy_test());
}

static bool bad(bool seed, u64 *word)
{
	static const u64 repeating[] = {0, ~0ull, 0x123456789abcdef0};
	unsigned which = (unsigned)(counter >> 32), n = (unsigned)counter++;

	(void)seed;
	if (which < ARRAY_SIZE(repeating))
		*word = repeating[which]; /* from the beginning */
	else if (which == 3)
		*word = n < 10 ? good(n) : 5; /* it stops in the middle */
	else if (which == 4)
		*word = n + 1; /* never twice the same, and mostly zeros */
	else
		*word = ~(u64)(n + 1);
	return true;
}

static void a_broken_source_stays_broken(void **state)
{
	u64 word;

	for (u64 which = 0; which < 6; which++) {
		setup(state);
		fake_random = bad;
		counter = which << 32;
		assert_string_equal(entropy_test(), "the processor's random numbers are not random");
		fake_random = words;
		assert_int_equal(entropy_get(&word), ERR_NOTSUP);
		assert_string_equal(entropy_test(), "the processor's random numbers are not random");
	}
}

/* What was good at first repeats a word: nobody gets it. */
static void breaks_while_it_runs(void **state)
{
	u64 word = 1;

	assert_null(entropy_test());
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(entropy_get(&word), 0);
	counter--;
	assert_int_equal(entropy_get(&word), ERR_NOTSUP);
	assert_int_equal(word, 0);
	assert_int_equal(entropy_get(&word), ERR_NOTSUP);
	/* All zeros or all ones, once. */
	for (u64 which = 0; which < 2; which++) {
		setup(state);
		assert_null(entropy_test());
		fake_random = bad;
		counter = which << 32;
		assert_int_equal(entropy_get(&word), ERR_NOTSUP);
		assert_int_equal(word, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(which_source, setup),
	    cmocka_unit_test_setup(tries_are_bounded, setup),
	    cmocka_unit_test_setup(a_broken_source_stays_broken, setup),
	    cmocka_unit_test_setup(breaks_while_it_runs, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
