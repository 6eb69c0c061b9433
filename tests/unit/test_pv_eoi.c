/* SPDX-License-Identifier: Apache-2.0 */
/* The end of an interrupt by KVM's word: offered where nothing waits behind it, noticed late, withdrawn
 * in time (M19). */
#include "lapic_board.h"

#define GPA BOARD_WORD
#define HIGH 0x71
#define LOW 0x41

static struct lapic *setup(void)
{
	struct lapic *l = &board_vcpus[0].lapic;
	for (unsigned i = 0; i < GMEM_TLB_ENTRIES; i++)
		board_vcpus[0].tlb.entry[i].page = BIT(63);
	board_word = 0;
	board_word_gone = false;
	assert_int_equal(lapic_pv_eoi_write(l, GPA | 1), 0);
	return l;
}

static void take(struct lapic *l, u8 vector)
{
	lapic_sync(l);
	assert_int_equal(lapic_deliverable(l), vector);
	lapic_accept(l, vector);
}

static void guest_ends_it_by_the_word(void **state)
{
	struct lapic *l = setup();
	(void)state;
	lapic_post(l, LOW, false);
	take(l, LOW);
	assert_int_equal(board_word, 1);
	assert_int_equal(lapic_highest_isr(l), LOW);
	board_word = 0; /* what the guest does */
	board_requests[0] = 0;
	lapic_post(l, LOW, false);
	assert_int_equal(board_requests[0], VCPU_REQ_EVENT);
	take(l, LOW); /* the same vector: it was noticed that the first one is over */
	assert_int_equal(board_word, 1);
	assert_int_equal(board_nr_eois, 0);
}

static void what_waits_behind_makes_it_exit(void **state)
{
	struct lapic *l = setup();
	(void)state;
	/* Known when it begins. */
	lapic_post(l, HIGH, false);
	lapic_post(l, LOW, false);
	take(l, HIGH);
	assert_int_equal(board_word, 0);
	lapic_eoi(l);
	take(l, LOW);
	assert_int_equal(board_word, 1);
	/* Comes meanwhile. */
	lapic_post(l, 0x31, false);
	lapic_sync(l);
	assert_int_equal(lapic_deliverable(l), -1);
	assert_int_equal(board_word, 0);
	board_requests[0] = 0;
	lapic_eoi(l);
	assert_int_equal(board_requests[0], VCPU_REQ_EVENT);
	take(l, 0x31);
	/* Of higher priority: nested, and both by writes. */
	lapic_post(l, HIGH, false);
	take(l, HIGH);
	assert_int_equal(board_word, 0);
	lapic_eoi(l);
	assert_int_equal(lapic_highest_isr(l), 0x31);
	lapic_eoi(l);
	assert_int_equal(lapic_highest_isr(l), -1);
}

static void level_needs_its_write(void **state)
{
	struct lapic *l = setup();
	(void)state;
	lapic_post(l, LOW, true);
	take(l, LOW);
	assert_int_equal(board_word, 0);
	lapic_eoi(l);
	assert_int_equal(board_nr_eois, 1);
	assert_int_equal(board_eois[0], LOW);
}

/* A guest that was offered the word may write all the same; and registers show what is so. */
static void writes_and_reads_count_as_well(void **state)
{
	struct lapic *l = setup();
	(void)state;
	lapic_post(l, LOW, false);
	take(l, LOW);
	lapic_eoi(l);
	assert_int_equal(board_word, 0);
	assert_int_equal(lapic_highest_isr(l), -1);
	lapic_post(l, LOW, false);
	take(l, LOW);
	assert_int_equal(lapic_read(l, LAPIC_ISR + 0x20), 1u << (LOW - 64 + 0));
	board_word = 0;
	assert_int_equal(lapic_read(l, LAPIC_ISR + 0x20), 0);
	/* By the word and then by a write, of an interrupt that is not there. */
	lapic_post(l, LOW, false);
	take(l, LOW);
	board_word = 0;
	lapic_eoi(l);
	assert_int_equal(lapic_highest_isr(l), -1);
	assert_false(l->eoi_offered);
}

static void turned_off_in_the_middle(void **state)
{
	struct lapic *l = setup();
	(void)state;
	lapic_post(l, LOW, false);
	take(l, LOW);
	assert_int_equal(lapic_pv_eoi_write(l, GPA), 0);
	assert_int_equal(board_word, 0);
	assert_int_equal(lapic_highest_isr(l), LOW);
	lapic_eoi(l);
	lapic_post(l, LOW, false);
	take(l, LOW);
	assert_int_equal(board_word, 0); /* it is off */
	lapic_eoi(l);
	assert_int_equal(lapic_pv_eoi_write(l, GPA | 1), 0);
	lapic_post(l, LOW, false);
	take(l, LOW);
	assert_int_equal(board_word, 1);
	lapic_init_signal(l);
	assert_false(l->eoi_offered);
	assert_int_equal(l->pv_eoi, 0);
}

static void wrong_values(void **state)
{
	struct lapic *l = setup();
	(void)state;
	assert_int_equal(lapic_pv_eoi_write(l, GPA | 3), ERR_INVAL);
	assert_int_equal(lapic_pv_eoi_write(l, GPA | 2), ERR_INVAL);
	assert_int_equal(lapic_pv_eoi_write(l, 0x5000 | 1), ERR_FAULT);
	assert_int_equal(lapic_pv_eoi_write(l, ~(u64)0 & ~(u64)2), ERR_FAULT);
	assert_int_equal(l->pv_eoi, GPA | 1);
	/* No memory for its page: as if it had none. */
	board_word_gone = true;
	lapic_post(l, LOW, false);
	take(l, LOW);
	assert_false(l->eoi_offered);
	lapic_eoi(l);
	assert_int_equal(lapic_highest_isr(l), -1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, board_setup, board_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(guest_ends_it_by_the_word),      T(what_waits_behind_makes_it_exit), T(level_needs_its_write),
	    T(writes_and_reads_count_as_well), T(turned_off_in_the_middle),        T(wrong_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
