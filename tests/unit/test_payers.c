/* SPDX-License-Identifier: Apache-2.0 */
/* Whose the bytes are that wait for the serial line (M31). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "host/payers.h"

static int a, b;

static void in_order(void **state)
{
	struct payers p = {0};
	(void)state;
	assert_null(payers_at(&p, 0));
	payers_put(&p, 10, &a);
	payers_put(&p, 15, &a);
	payers_put(&p, 16, &b);
	payers_put(&p, 30, NULL);
	assert_int_equal(p.count, 3);
	assert_ptr_equal(payers_at(&p, 0), &a);
	assert_ptr_equal(payers_at(&p, 14), &a);
	assert_ptr_equal(payers_at(&p, 15), &b);
	assert_null(payers_at(&p, 16));
	assert_null(payers_at(&p, 30));
	payers_put(&p, 31, &b);
	assert_ptr_equal(payers_at(&p, 30), &b);
	assert_ptr_equal(payers_at(&p, 31), &b); /* the interrupt after the last byte */
	assert_int_equal(p.count, 0);
}

static void round_the_end(void **state)
{
	struct payers p = {0};
	(void)state;
	payers_put(&p, 0xfffffff0u, &a);
	assert_ptr_equal(payers_at(&p, 0xfffffff0u), &a);
	payers_put(&p, 8, &b);
	payers_put(&p, 20, &a);
	assert_ptr_equal(payers_at(&p, 0xfffffff0u), &b);
	assert_ptr_equal(payers_at(&p, 7), &b);
	assert_ptr_equal(payers_at(&p, 8), &a);
}

static void too_many(void **state)
{
	struct payers p = {0};
	(void)state;
	for (u32 i = 0; i < PAYERS_RUNS + 3; i++)
		payers_put(&p, i + 1, i & 1 ? &a : &b);
	assert_int_equal(p.count, PAYERS_RUNS);
	assert_ptr_equal(payers_at(&p, PAYERS_RUNS - 2), &b);
	assert_null(payers_at(&p, PAYERS_RUNS - 1)); /* several */
	assert_null(payers_at(&p, PAYERS_RUNS + 2));
	assert_int_equal(p.count, 1);
}

static void who_is_no_more(void **state)
{
	struct payers p = {0};
	(void)state;
	payers_put(&p, 10, &a);
	payers_put(&p, 20, &b);
	payers_forget(&p, &b);
	assert_ptr_equal(payers_at(&p, 5), &a);
	assert_null(payers_at(&p, 10));
	payers_put(&p, 30, &a);
	assert_ptr_equal(payers_at(&p, 30), &a);
	payers_forget(&p, &a);
	assert_null(payers_at(&p, 30));
}

/* Against an array with a payer for each byte. */
static void random_runs(void **state)
{
	enum { N = 20000 };
	static void *of[N];
	struct payers p = {0};
	u32 head = 0, tail = 0;
	(void)state;
	srand(1);
	while (head + 50 < N) {
		void *who = rand() % 3 == 0 ? NULL : rand() % 2 ? &a : &b;
		u32 n = (u32)rand() % 8 + 1;
		for (u32 i = 0; i < n; i++)
			of[head + i] = who;
		head += n;
		payers_put(&p, head, who);
		tail += (u32)rand() % (head - tail + 1);
		void *said = payers_at(&p, tail);
		if (tail < head)
			assert_true(said == of[tail] || (!said && head - tail > PAYERS_RUNS));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(in_order),       cmocka_unit_test(round_the_end), cmocka_unit_test(too_many),
	    cmocka_unit_test(who_is_no_more), cmocka_unit_test(random_runs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
