/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a vCPU that spins with PAUSE gives its place to. */
#include "vcpu_board.h"

#define VCPUS 4

static struct vcpu others[VCPUS - 1];
static bool waits[VCPUS]; /* for a CPU */
static int given_to;
static unsigned yields;

static struct vcpu *nth(unsigned i)
{
	return i ? &others[i - 1] : &board_vcpu;
}

bool task_give_place(struct task *t)
{
	for (unsigned i = 0; i < VCPUS; i++)
		if (t == &nth(i)->task) {
			if (waits[i])
				given_to = (int)i;
			return waits[i];
		}
	fail_msg("%p is no task", (void *)t);
	return false;
}

void vcpu_yield(struct vcpu *v)
{
	assert_true(v->spins); /* the others see it */
	yields++;
}

/* The vCPU spins; the number of the one that runs instead, -1: whoever is next. */
static int spin(struct vcpu *v)
{
	given_to = -1;
	exit_pause(v);
	assert_false(v->spins);
	return given_to;
}

static int setup(void **state)
{
	board_setup(state);
	memset(others, 0, sizeof(others));
	board_guest.nr_vcpus = VCPUS;
	board_guest.last_helped = 0;
	for (unsigned i = 0; i < VCPUS; i++) {
		nth(i)->guest = &board_guest;
		nth(i)->attention = 0;
		board_guest.vcpus[i] = nth(i);
		waits[i] = i != 0;
	}
	yields = 0;
	return 0;
}

static void they_come_in_turn(void **state)
{
	(void)state;
	for (int i = 0; i < 9; i++)
		assert_int_equal(spin(&board_vcpu), 1 + i % 3);
	assert_int_equal(yields, 9);
	waits[2] = false; /* it runs, or is blocked */
	assert_int_equal(spin(&board_vcpu), 1);
	assert_int_equal(spin(&board_vcpu), 3);
	waits[0] = true; /* another spins: it is in turn, too */
	assert_int_equal(spin(&others[1]), 0);
	assert_int_equal(spin(&others[1]), 1);
}

static void it_goes_on_behind_the_pause(void **state)
{
	(void)state;
	memset(waits, 0, sizeof(waits));
	fake(GUEST_RIP) = 0x100;
	fake(EXIT_INSTRUCTION_LENGTH) = 2;
	assert_int_equal(spin(&board_vcpu), -1);
	assert_int_equal(yields, 1);
	assert_int_equal(fake(GUEST_RIP), 0x102);
}

/* What computes for a user holds no lock of the kernel; but an interrupt may bring it there. */
static void users_are_passed_over(void **state)
{
	(void)state;
	others[0].left_user = others[1].left_user = true;
	assert_int_equal(spin(&board_vcpu), 3);
	assert_int_equal(spin(&board_vcpu), 3);
	others[1].attention = VCPU_REQ_EVENT;
	assert_int_equal(spin(&board_vcpu), 2);
	assert_int_equal(spin(&board_vcpu), 3);
}

/* One that spins as well has its turn every second time. */
static void spinners_wait_for_their_turn(void **state)
{
	(void)state;
	others[0].spins = others[1].spins = others[2].spins = true;
	assert_int_equal(spin(&board_vcpu), -1);
	assert_int_equal(spin(&board_vcpu), 1);
	assert_int_equal(spin(&board_vcpu), 2);
	others[0].passed = others[1].passed = false;
	others[2].spins = false;
	assert_int_equal(spin(&board_vcpu), 3);
	others[0].attention = VCPU_REQ_NMI; /* an answer that waits */
	assert_int_equal(spin(&board_vcpu), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, board_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(they_come_in_turn),
	    T(it_goes_on_behind_the_pause),
	    T(users_are_passed_over),
	    T(spinners_wait_for_their_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
