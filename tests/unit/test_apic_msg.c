/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets an interrupt message, and what it does there: SDM volume 3, 11.6, 11.11 and 11.12 (M17,
 * M25), and messages that a hostile guest makes up (M67). */
#include "lapic_board.h"

#define ASSERT_BIT 0x4000u
#define LEVEL_BIT 0x8000u
#define LOGICAL 0x800u
#define SELF (1u << 18)
#define ALL (2u << 18)
#define OTHERS (3u << 18)

static void ipi(unsigned from, u32 dest, u32 icr)
{
	lapic_write(apic(from), LAPIC_ICR_HIGH, dest << 24);
	lapic_write(apic(from), LAPIC_ICR, icr);
}

static void ipi_x2(unsigned from, u32 dest, u32 icr)
{
	assert_int_equal(lapic_msr_write(apic(from), MSR_X2APIC_FIRST + 0x30, (u64)dest << 32 | icr), 0);
}

/* Bit i: vCPU i got this vector; all others must have got nothing. */
static unsigned receivers(int vector)
{
	unsigned mask = 0;
	for (unsigned i = 0; i < BOARD_VCPUS; i++) {
		int got = posted(i);
		if (got < 0)
			continue;
		assert_int_equal(got, vector);
		mask |= 1u << i;
	}
	return mask;
}

static unsigned requested(u32 bit)
{
	unsigned mask = 0;
	for (unsigned i = 0; i < BOARD_VCPUS; i++) {
		u32 r = requests(i);
		assert_int_equal(r & ~bit, 0);
		mask |= r ? 1u << i : 0;
	}
	return mask;
}

static unsigned deliver(u32 dest, bool logical, u8 delivery, u8 vector)
{
	const struct apic_msg msg = {
	    .dest = dest, .logical = logical, .delivery = delivery, .vector = vector};
	return apic_deliver(&board, &msg);
}

/* ---- destinations: 11.6.2 ---- */
static void physical_destination(void **state)
{
	(void)state;
	for (u32 dest = 0; dest < 256; dest++) {
		unsigned expected = dest < BOARD_VCPUS ? 1u << dest : dest == 0xff ? 0xf : 0;
		assert_int_equal(deliver(dest, false, APIC_FIXED, 0x30),
				 (unsigned)__builtin_popcount(expected));
		assert_int_equal(receivers(0x30), expected);
	}
}

static void ids_need_not_be_indices(void **state)
{
	(void)state;
	apic(1)->id = 9;
	assert_int_equal(deliver(1, false, APIC_FIXED, 0x30), 0);
	assert_int_equal(deliver(9, false, APIC_FIXED, 0x30), 1);
	assert_int_equal(receivers(0x30), 2);
}

static void logical_flat(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BOARD_VCPUS; i++)
		lapic_write(apic(i), LAPIC_LDR, 1u << (24 + i));
	for (u32 dest = 0; dest < 256; dest++) {
		unsigned expected = dest & 0xf;
		deliver(dest, true, APIC_FIXED, 0x31);
		assert_int_equal(receivers(0x31), expected);
	}
}

static void logical_cluster(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BOARD_VCPUS; i++) {
		lapic_write(apic(i), LAPIC_DFR, 0);
		lapic_write(apic(i), LAPIC_LDR, (i / 2) << 28 | 1u << (24 + i % 2));
	}
	for (u32 dest = 0; dest < 256; dest++) {
		unsigned expected = dest == 0xff ? 0xf : dest >> 4 < 2 ? (dest & 3) << (dest >> 4) * 2 : 0;
		deliver(dest, true, APIC_FIXED, 0x32);
		assert_int_equal(receivers(0x32), expected);
	}
	lapic_write(apic(0), LAPIC_DFR, 0x50000000); /* no model: matches nothing */
	assert_int_equal(deliver(0x01, true, APIC_FIXED, 0x32), 0);
}

static void logical_x2apic(void **state)
{
	(void)state;
	apic(3)->id = 0x25;
	for (unsigned i = 0; i < BOARD_VCPUS; i++)
		enter_x2apic(i);
	ipi_x2(0, 0x00000005, LOGICAL | 0x33);
	assert_int_equal(receivers(0x33), 0x5);
	ipi_x2(0, 0x00020020, LOGICAL | 0x33);
	assert_int_equal(receivers(0x33), 0x8);
	ipi_x2(0, 0x00010020, LOGICAL | 0x33);
	assert_int_equal(receivers(0x33), 0);
	ipi_x2(0, 0xffffffff, LOGICAL | 0x33);
	assert_int_equal(receivers(0x33), 0xf);
	deliver(0xff, true, APIC_FIXED, 0x34); /* a device's broadcast has 8 bits */
	assert_int_equal(receivers(0x34), 0xf);
}

static void physical_x2apic(void **state)
{
	(void)state;
	enter_x2apic(1);
	ipi_x2(1, 2, 0x35);
	assert_int_equal(receivers(0x35), 4);
	ipi_x2(1, 0xff, 0x35); /* an id, not a broadcast */
	assert_int_equal(receivers(0x35), 0);
	ipi_x2(1, 0xffffffff, 0x35);
	assert_int_equal(receivers(0x35), 0xf);
	ipi(0, 0xff, 0x36); /* from xAPIC mode it reaches x2APICs as well */
	assert_int_equal(receivers(0x36), 0xf);
}

static void shorthands(void **state)
{
	(void)state;
	ipi(1, 0, SELF | 0x37);
	assert_int_equal(receivers(0x37), 2);
	ipi(1, 0, ALL | 0x37);
	assert_int_equal(receivers(0x37), 0xf);
	ipi(1, 1, OTHERS | 0x37);
	assert_int_equal(receivers(0x37), 0xd);
	ipi(1, 1, OTHERS | LOGICAL | 0x37);
	assert_int_equal(receivers(0x37), 0xd);
}

/* ---- delivery modes: table 11-3 ---- */
static void modes_without_a_vector(void **state)
{
	(void)state;
	ipi(0, 2, APIC_NMI << 8 | 5);
	assert_int_equal(requested(VCPU_REQ_NMI), 4);
	ipi(0, 0, APIC_NMI << 8 | SELF);
	assert_int_equal(requested(VCPU_REQ_NMI), 1);
	ipi(0, 3, APIC_INIT << 8 | ASSERT_BIT | LEVEL_BIT);
	assert_int_equal(requested(VCPU_REQ_INIT), 8);
	ipi(0, 3, APIC_INIT << 8 | LEVEL_BIT); /* level de-assert: nothing since the Pentium 4 */
	assert_int_equal(requested(VCPU_REQ_INIT), 0);
	ipi(0, 3, APIC_INIT << 8); /* an edge */
	assert_int_equal(requested(VCPU_REQ_INIT), 8);
	ipi(0, 0, APIC_INIT << 8 | ASSERT_BIT | OTHERS);
	assert_int_equal(requested(VCPU_REQ_INIT), 0xe);
	ipi(0, 0, APIC_SIPI << 8 | OTHERS | 0x9a);
	assert_int_equal(requested(VCPU_REQ_SIPI), 0); /* nobody waits for one */
	board_vcpus[1].attention = VCPU_REQ_INIT | VCPU_REQ_SIPI;
	board_vcpus[2].attention = board_vcpus[3].attention = VCPU_WAIT_SIPI;
	ipi(0, 1, APIC_INIT << 8); /* makes an older SIPI void */
	assert_int_equal(board_vcpus[1].attention & VCPU_REQ_SIPI, 0);
	assert_int_equal(requested(VCPU_REQ_INIT), 2);
	ipi(0, 0, APIC_SIPI << 8 | OTHERS | 0x9a);
	assert_int_equal(requested(VCPU_REQ_SIPI), 0xe);
	assert_int_equal(apic(3)->sipi_vector, 0x9a);
	ipi(0, 1, APIC_SMI << 8);
	ipi(0, 1, 3u << 8 | 0x40); /* reserved */
	ipi(0, 1, APIC_EXTINT << 8 | 0x40);
	assert_int_equal(requested(0), 0);
	assert_int_equal(receivers(0), 0);
	assert_false(lapic_extint_pending(apic(1)));
}

static void a_disabled_apic_takes_nothing(void **state)
{
	(void)state;
	assert_false(msr_faults(2, MSR_APIC_BASE, LAPIC_BASE_DEFAULT));
	requests(2);
	for (unsigned delivery = 0; delivery < 8; delivery++)
		assert_int_equal(deliver(2, false, (u8)delivery, 0x40), 0);
	assert_int_equal(requested(0), 0);
}

static void a_software_disabled_apic_takes_all_but_vectors(void **state)
{
	(void)state;
	lapic_write(apic(2), LAPIC_SVR, 0xff);
	assert_int_equal(deliver(2, false, APIC_FIXED, 0x40), 0);
	assert_int_equal(deliver(2, false, APIC_LOWEST, 0x40), 0);
	assert_int_equal(deliver(2, false, APIC_NMI, 0), 1);
	assert_int_equal(requested(VCPU_REQ_NMI), 4);
	assert_int_equal(deliver(2, false, APIC_INIT, 0), 1);
	assert_int_equal(requested(VCPU_REQ_INIT), 4);
	board_vcpus[2].attention = VCPU_WAIT_SIPI;
	assert_int_equal(deliver(2, false, APIC_SIPI, 8), 1);
	assert_int_equal(requested(VCPU_REQ_SIPI), 4);
	/* It can still send. */
	ipi(2, 1, 0x41);
	assert_int_equal(receivers(0x41), 2);
}

static void lowest_priority_arbitration(void **state)
{
	unsigned seen = 0;
	(void)state;
	for (unsigned i = 0; i < BOARD_VCPUS; i++) {
		lapic_write(apic(i), LAPIC_LDR, 1u << (24 + i));
		lapic_write(apic(i), LAPIC_TPR, 0x50);
	}
	for (unsigned v = 0x60; v < 0x70; v++) {
		assert_int_equal(deliver(0x0f, true, APIC_LOWEST, (u8)v), 1);
		unsigned who = receivers((int)v);
		assert_int_equal(__builtin_popcount(who), 1);
		seen |= who;
	}
	assert_int_equal(seen, 0xf); /* equals share */
	lapic_write(apic(2), LAPIC_TPR, 0x40);
	for (unsigned v = 0x60; v < 0x70; v++) {
		deliver(0x0f, true, APIC_LOWEST, (u8)v);
		assert_int_equal(receivers((int)v), 4);
	}
	assert_int_equal(deliver(0x0b, true, APIC_LOWEST, 0x61), 1); /* vCPU 2 is not meant */
	assert_int_equal(receivers(0x61) & 4, 0);
	ipi(2, 0, APIC_LOWEST << 8 | OTHERS | 0x62);
	assert_int_equal(receivers(0x62) & 4, 0);
	assert_int_equal(deliver(0x00, true, APIC_LOWEST, 0x61), 0);
}

static void level_messages_are_remembered_as_such(void **state)
{
	const struct apic_msg msg = {.dest = 1, .vector = 0x66, .level = true};
	(void)state;
	assert_int_equal(apic_deliver(&board, &msg), 1);
	lapic_sync(apic(1));
	assert_true(bitmap(1, LAPIC_TMR, 0x66));
	ipi(0, 2, LEVEL_BIT | ASSERT_BIT | 0x66); /* an IPI is an edge whatever it says */
	lapic_sync(apic(2));
	assert_false(bitmap(2, LAPIC_TMR, 0x66));
}

/* ---- errors: 11.5.3 ---- */
static void illegal_vectors_are_errors_on_both_sides(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 16; v++) {
		ipi(0, 1, v);
		for (unsigned i = 0; i < 2; i++) {
			lapic_write(apic(i), LAPIC_ESR, 0);
			assert_int_equal(lapic_read(apic(i), LAPIC_ESR),
					 i ? ESR_RECEIVE_ILLEGAL_VECTOR : ESR_SEND_ILLEGAL_VECTOR);
		}
		ipi(0, 0, SELF | v);
		lapic_write(apic(0), LAPIC_ESR, 0);
		assert_int_equal(lapic_read(apic(0), LAPIC_ESR),
				 ESR_SEND_ILLEGAL_VECTOR | ESR_RECEIVE_ILLEGAL_VECTOR);
	}
	assert_int_equal(receivers(0), 0);
	enter_x2apic(0);
	assert_int_equal(lapic_msr_write(apic(0), MSR_X2APIC_FIRST + 0x3f, 4), 0);
	assert_int_equal(lapic_msr_write(apic(0), MSR_X2APIC_FIRST + 0x28, 0), 0);
	assert_int_equal(msr_read(0, MSR_X2APIC_FIRST + 0x28),
			 ESR_SEND_ILLEGAL_VECTOR | ESR_RECEIVE_ILLEGAL_VECTOR);
}

/* ---- MSI: 11.11 ---- */
static void msi_fields(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BOARD_VCPUS; i++)
		lapic_write(apic(i), LAPIC_LDR, 1u << (24 + i));
	assert_int_equal(apic_deliver_msi(&board, 0xfee02000, 0x4051), 1);
	assert_int_equal(receivers(0x51), 4);
	assert_int_equal(apic_deliver_msi(&board, 0xfee06004, 0x51), 2);
	assert_int_equal(receivers(0x51), 6);
	assert_int_equal(apic_deliver_msi(&board, 0xfee0600c, 0x51), 1); /* redirection hint */
	assert_int_equal(__builtin_popcount(receivers(0x51)), 1);
	assert_int_equal(apic_deliver_msi(&board, 0xfee03008, 0x51), 1); /* a hint on one CPU */
	assert_int_equal(receivers(0x51), 8);
	requested(VCPU_REQ_EVENT);
	assert_int_equal(apic_deliver_msi(&board, 0xfee01000, 0x0400), 1);
	assert_int_equal(requested(VCPU_REQ_NMI), 2);
	assert_int_equal(apic_deliver_msi(&board, 0xfee01000, 0xc052), 1);
	lapic_sync(apic(1));
	assert_true(bitmap(1, LAPIC_TMR, 0x52));
}

static void ill_formed_msis_are_dropped(void **state)
{
	(void)state;
	assert_int_equal(apic_deliver_msi(&board, 0xfed01000, 0x51), 0);
	assert_int_equal(apic_deliver_msi(&board, 0x1fee01000, 0x51), 0);
	assert_int_equal(apic_deliver_msi(&board, 0, 0x51), 0);
	assert_int_equal(apic_deliver_msi(&board, 0xfee01000, 0x8051), 0); /* level, de-asserted */
	assert_int_equal(apic_deliver_msi(&board, 0xfee01000, 0x0651), 0); /* SIPI */
	assert_int_equal(apic_deliver_msi(&board, 0xfee01000, 0x0351), 0);
	assert_int_equal(requested(0), 0);
}

static void extint_messages_take_their_vector_from_the_pic(void **state)
{
	(void)state;
	assert_int_equal(deliver(1, false, APIC_EXTINT, 0), 1);
	assert_int_equal(requested(VCPU_REQ_EVENT), 2);
	assert_true(lapic_extint_pending(apic(1)));
	board_pic_vector = 0x70;
	assert_int_equal(lapic_extint_ack(apic(1)), 0x70);
	assert_false(lapic_extint_pending(apic(1)));
	board.sinks.extint_ack = NULL; /* a guest without PIC */
	assert_int_equal(deliver(1, false, APIC_EXTINT, 0), 0);
	assert_false(lapic_extint_pending(apic(1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOARD_TEST(physical_destination),
	    BOARD_TEST(ids_need_not_be_indices),
	    BOARD_TEST(logical_flat),
	    BOARD_TEST(logical_cluster),
	    BOARD_TEST(logical_x2apic),
	    BOARD_TEST(physical_x2apic),
	    BOARD_TEST(shorthands),
	    BOARD_TEST(modes_without_a_vector),
	    BOARD_TEST(a_disabled_apic_takes_nothing),
	    BOARD_TEST(a_software_disabled_apic_takes_all_but_vectors),
	    BOARD_TEST(lowest_priority_arbitration),
	    BOARD_TEST(level_messages_are_remembered_as_such),
	    BOARD_TEST(illegal_vectors_are_errors_on_both_sides),
	    BOARD_TEST(msi_fields),
	    BOARD_TEST(ill_formed_msis_are_dropped),
	    BOARD_TEST(extint_messages_take_their_vector_from_the_pic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
