/* SPDX-License-Identifier: Apache-2.0 */
/* The HPET, register by register of its specification (M66). */
#include "hpet_board.h"

static void identity(void **state)
{
	(void)state;
	u64 id = in(ID);
	assert_int_not_equal(id & 0xff, 0);              /* revision */
	assert_int_equal(id >> 8 & 0x1f, 2);             /* the last of three timers */
	assert_true(id & BIT(13));                       /* 64 bits */
	assert_true(id & BIT(15));                       /* legacy replacement */
	assert_int_equal(id >> 16 & 0xffff, 0x8086);     /* vendor */
	assert_true(id >> 32 <= 0x05f5e100 && id >> 32); /* at most 100 ns */
	assert_int_equal((id >> 32) * HPET_HZ, 1000000000000000);
	out(ID, 0);
	assert_int_equal(in(ID), id);
	assert_int_equal(HPET_MIN_TICKS * TICK, HPET_MIN_INTERVAL_NS);
}

static void reset_values(void **state)
{
	(void)state;
	assert_int_equal(in(CONF), 0);
	assert_int_equal(in(STATUS), 0);
	assert_int_equal(in(COUNTER), 0);
	for (unsigned n = 0; n < 3; n++) {
		/* Periodic and 64 bits can be had, messages cannot; pins 20 to 23. */
		assert_int_equal(in(TN_CONF(n)), 0x00f0000000000030);
		assert_int_equal(in(TN_VALUE(n)), ~0ull);
		assert_int_equal(in(TN_FSB(n)), 0);
	}
	out(CONF, 3);
	out(TN_CONF(1), INT | ROUTE(21));
	out(TN_VALUE(1), 77);
	shim_tsc += 1000 * TICK;
	hpet_reset(&hpet);
	assert_int_equal(in(CONF) | in(STATUS) | in(COUNTER), 0);
	assert_int_equal(in(TN_CONF(1)), 0x00f0000000000030);
	assert_int_equal(in(TN_VALUE(1)), ~0ull);
}

/* What can be written reads back; what cannot stays. */
static void writable_bits(void **state)
{
	(void)state;
	out(CONF, ~0ull & ~(u64)ENABLE);
	assert_int_equal(in(CONF), LEGACY);
	out(CONF, 0);
	for (unsigned n = 0; n < 3; n++) {
		out(TN_CONF(n), ~0ull); /* route 31 is none of them: the old one, 0, stays */
		assert_int_equal(in(TN_CONF(n)), 0x00f0000000000030 | LEVEL | INT | PERIODIC | MODE32);
		for (unsigned pin = 0; pin < 32; pin++) {
			out(TN_CONF(n), ROUTE(20 + n));
			out(TN_CONF(n), ROUTE(pin));
			assert_int_equal(in(TN_CONF(n)) >> 9 & 0x1f, pin >= 20 && pin <= 23 ? pin : 20 + n);
		}
		out(TN_FSB(n), ~0ull);
		assert_int_equal(in(TN_FSB(n)), 0);
	}
	/* Behind the last timer, and between the registers, is nothing. */
	for (u64 reg = 0; reg < HPET_LENGTH; reg += 8) {
		if (reg == ID || reg == CONF || reg == STATUS || reg == COUNTER ||
		    (reg >= 0x100 && reg < 0x160))
			continue;
		out(reg, ~0ull);
		assert_int_equal(in(reg), 0);
	}
}

static void counter(void **state)
{
	(void)state;
	shim_tsc += 1000 * TICK;
	assert_int_equal(in(COUNTER), 0); /* it stands */
	start();
	at(5);
	assert_int_equal(in(COUNTER), 5);
	out(COUNTER, 99); /* not while it runs */
	assert_int_equal(in(COUNTER), 5);
	at(12500000);
	assert_int_equal(in(COUNTER), 12500000); /* a second */
	at(3600 * 12500000ull);
	assert_int_equal(in(COUNTER), 3600 * 12500000ull);
	out(CONF, 0);
	shim_tsc += 1000 * TICK;
	assert_int_equal(in(COUNTER), 3600 * 12500000ull);
	start(); /* it goes on */
	at(1);
	assert_int_equal(in(COUNTER), 3600 * 12500000ull + 1);
	out(CONF, 0);
	out(COUNTER, ~0ull - 1); /* 64 bits, which wrap */
	start();
	at(1);
	assert_int_equal(in(COUNTER), ~0ull);
	at(2);
	assert_int_equal(in(COUNTER), 0);
	/* The TSC of another CPU may be a moment behind. */
	shim_tsc = origin - 1;
	assert_int_equal(in(COUNTER), ~0ull - 1);
}

/* Halves are registers, too; other sizes and places read what is there and write nothing. */
static void widths(void **state)
{
	(void)state;
	out32(COUNTER, 0x11223344);
	out32(COUNTER + 4, 0x55667788);
	assert_int_equal(in(COUNTER), 0x5566778811223344);
	assert_int_equal(in32(COUNTER), 0x11223344);
	assert_int_equal(in32(COUNTER + 4), 0x55667788);
	assert_int_equal(hpet_read(&hpet, COUNTER + 2, 2), 0x1122);
	assert_int_equal(hpet_read(&hpet, COUNTER + 7, 1), 0x55);
	assert_int_equal(hpet_read(&hpet, COUNTER + 6, 4), 0x5566);
	hpet_write(&hpet, COUNTER, 1, 0xff);
	hpet_write(&hpet, COUNTER + 2, 2, 0xffff);
	hpet_write(&hpet, COUNTER + 2, 4, 0xffffffff);
	hpet_write(&hpet, COUNTER + 4, 8, ~0ull);
	assert_int_equal(in(COUNTER), 0x5566778811223344);
	assert_int_equal(in32(ID + 4), HPET_PERIOD_FS);
	out32(TN_VALUE(2), 0xaaaaaaaa);
	assert_int_equal(in(TN_VALUE(2)), 0xffffffffaaaaaaaa);
	out32(TN_VALUE(2) + 4, 0xbbbbbbbb);
	assert_int_equal(in(TN_VALUE(2)), 0xbbbbbbbbaaaaaaaa);
	out32(TN_CONF(2), INT | ROUTE(22));
	out32(TN_CONF(2) + 4, 0);
	assert_int_equal(in(TN_CONF(2)), 0x00f0000000000030 | INT | ROUTE(22));
	out32(CONF, ENABLE);
	out32(CONF + 4, 0);
	assert_int_equal(in32(CONF), ENABLE);
}

static void one_shot(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		out(TN_CONF(n), INT | ROUTE(20 + n));
		out(TN_VALUE(n), 1000 * (n + 1));
	}
	assert_int_equal(fake_timers_armed(), 0); /* it does not run */
	start();
	for (unsigned n = 0; n < 3; n++) {
		at(1000 * (n + 1) - 1);
		assert_int_equal(edges[20 + n], 0);
		at(1000 * (n + 1));
		assert_int_equal(edges[20 + n], 1);
		assert_int_equal(in(TN_VALUE(n)), 1000 * (n + 1));
	}
	assert_int_equal(in(STATUS), 0); /* edges leave nothing there */
	fake_fired = 0;
	at(100000000);
	assert_int_equal(edges[20] + edges[21] + edges[22], 3);
	assert_int_equal(fake_fired, 0);
	assert_int_equal(wires, 0);
	out(TN_VALUE(0), in(COUNTER)); /* now */
	assert_int_equal(edges[20], 2);
	out(TN_VALUE(0), in(COUNTER)-1); /* too late: after 2^64 ticks */
	at(200000000);
	assert_int_equal(edges[20], 2);
	/* Disabled, and without a route: nothing. */
	out(TN_CONF(0), ROUTE(20));
	out(TN_VALUE(0), in(COUNTER) + 10);
	at(200000020);
	assert_int_equal(edges[20], 2);
	out(TN_CONF(0), INT | ROUTE(20)); /* it has been: no edge afterwards */
	assert_int_equal(edges[20], 2);
	out(CONF, 0);
	out(TN_VALUE(0), in(COUNTER)); /* standing: when it starts */
	assert_int_equal(edges[20], 2);
	start();
	assert_int_equal(edges[20], 3);
	out(CONF, 0);
	start();
	assert_int_equal(edges[20], 3); /* once */
}

static void no_route(void **state)
{
	(void)state;
	out(TN_CONF(0), INT); /* 0 is no pin of ours */
	out(TN_VALUE(0), 100);
	start();
	at(200);
	out(TN_CONF(1), INT | LEVEL);
	out(TN_VALUE(1), 300);
	at(400);
	assert_int_equal(in(STATUS), 2);
	assert_int_equal(fake_fired + fake_timers_armed(), 0);
}

/* 2^32 ticks are 343.6 s. */
static void wraps_at_32_bits(void **state)
{
	(void)state;
	out(COUNTER, 0x7fffffff0);
	out(TN_CONF(0), INT | MODE32 | ROUTE(20));
	assert_int_equal(in(TN_VALUE(0)), 0xffffffff);
	out(TN_VALUE(0), 0x1234500000010);
	assert_int_equal(in(TN_VALUE(0)), 0x10); /* the upper half is not there */
	out(TN_CONF(1), INT | ROUTE(21));
	out(TN_VALUE(1), 0x10);
	start();
	at(0x1f);
	assert_int_equal(edges[20], 0);
	at(0x20);
	assert_int_equal(edges[20], 1);
	at(0x20 + BIT(32) - 1);
	assert_int_equal(edges[20], 1);
	at(0x20 + BIT(32)); /* 2.3.9.2.1: another after each turn */
	assert_int_equal(edges[20], 2);
	at(0x20 + 5 * BIT(32));
	assert_int_equal(edges[20], 6);
	assert_int_equal(edges[21], 0); /* of 64 bits: not in a life */
	/* A change to 32 bits takes the upper half, for good. */
	out(TN_VALUE(1), 0xabcdef0123456789);
	out(TN_CONF(1), MODE32);
	out(TN_CONF(1), 0);
	assert_int_equal(in(TN_VALUE(1)), 0x23456789);
}

static void wraps_at_64_bits(void **state)
{
	(void)state;
	out(COUNTER, ~0ull - 99);
	out(TN_CONF(0), INT | ROUTE(20));
	out(TN_VALUE(0), 50);
	out(TN_CONF(1), INT | PERIODIC | VAL_SET | ROUTE(21));
	out(TN_VALUE(1), ~0ull - 9); /* 90 ticks on; the same is its period, but for now */
	out(TN_VALUE(1), 1000);
	start();
	at(89);
	assert_int_equal(edges[20] + edges[21], 0);
	at(90);
	assert_int_equal(edges[21], 1);
	assert_int_equal(in(TN_VALUE(1)), 990);
	at(149);
	assert_int_equal(edges[20], 0);
	at(150);
	assert_int_equal(edges[20], 1);
	at(1090);
	assert_int_equal(edges[21], 2);
}

/* 2.3.9.2.2: the first write sets both; without VAL_SET it is the period alone. */
static void periodic(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		out(TN_CONF(n), INT | PERIODIC | VAL_SET | ROUTE(20 + n));
		out(TN_VALUE(n), 1000 + 100 * n);
	}
	start();
	for (unsigned i = 1; i <= 10; i++) {
		at(1000 * i - 1);
		assert_int_equal(edges[20], i - 1);
		assert_int_equal(in(TN_VALUE(0)), 1000 * i); /* the accumulator: the next match */
		at(1000 * i);
		assert_int_equal(edges[20], i);
		assert_int_equal(in(TN_VALUE(0)), 1000 * (i + 1));
	}
	assert_int_equal(edges[21], 9);
	assert_int_equal(edges[22], 8);
	out(TN_VALUE(0), 500); /* from the next match on */
	assert_int_equal(in(TN_VALUE(0)), 11000);
	at(11000);
	assert_int_equal(edges[20], 11);
	assert_int_equal(in(TN_VALUE(0)), 11500);
	at(12000);
	assert_int_equal(edges[20], 13);
	/* VAL_SET is for one write, and reads 0. */
	out(TN_CONF(0), INT | PERIODIC | VAL_SET | ROUTE(20));
	assert_int_equal(in(TN_CONF(0)) & VAL_SET, 0);
	out(TN_VALUE(0), 20000);
	assert_int_equal(in(TN_VALUE(0)), 20000);
	out(TN_VALUE(0), 300);
	assert_int_equal(in(TN_VALUE(0)), 20000);
	at(20599);
	assert_int_equal(edges[20], 15);
	at(20600);
	assert_int_equal(edges[20], 16);
}

/* As the specification has 32-bit software do it: VAL_SET before each half. */
static void periodic_by_halves(void **state)
{
	(void)state;
	out32(TN_CONF(0), INT | PERIODIC | VAL_SET | ROUTE(20));
	out32(TN_VALUE(0), 5000);
	out32(TN_CONF(0), INT | PERIODIC | VAL_SET | ROUTE(20));
	out32(TN_VALUE(0) + 4, 0);
	out32(TN_VALUE(0), 2000);
	start();
	at(7000);
	assert_int_equal(edges[20], 2);
	assert_int_equal(in(TN_VALUE(0)), 9000);
}

/* A period of 0 is none, and the accumulator wraps with 32 bits. */
static void periodic_edges_of_range(void **state)
{
	(void)state;
	out(TN_CONF(0), INT | PERIODIC | MODE32 | VAL_SET | ROUTE(20));
	out(TN_VALUE(0), 1000);
	out(TN_VALUE(0), 0);
	out(TN_CONF(1), INT | PERIODIC | MODE32 | VAL_SET | ROUTE(21));
	out(TN_VALUE(1), 0xc0000000);
	start();
	at(100000);
	assert_int_equal(edges[20], 1);
	assert_int_equal(in(TN_VALUE(0)), 1000);
	at(0xc0000000);
	assert_int_equal(edges[21], 1);
	assert_int_equal(in(TN_VALUE(1)), 0x80000000);
	at(0x180000000 - 1);
	assert_int_equal(edges[21], 1);
	at(0x180000000);
	assert_int_equal(edges[21], 2);
	assert_int_equal(in(TN_VALUE(1)), 0x40000000);
	assert_int_equal(edges[20], 2); /* once a turn */
	/* A period that came with 64 bits loses the upper half, too. */
	out(CONF, 0);
	out(COUNTER, 0);
	out(TN_CONF(0), INT | PERIODIC | VAL_SET | ROUTE(20));
	out(TN_VALUE(0), 0x1000003e8);
	out(TN_CONF(0), INT | PERIODIC | MODE32 | ROUTE(20));
	start();
	fake_skip_to(origin + 10500 * TICK);
	assert_int_equal(in(TN_VALUE(0)), 11000);
	assert_int_equal(edges[20], 3);
}

static void level(void **state)
{
	(void)state;
	out(TN_CONF(0), INT | LEVEL | PERIODIC | VAL_SET | ROUTE(23));
	out(TN_VALUE(0), 1000);
	out(TN_CONF(1), INT | LEVEL | ROUTE(23)); /* they share the wire */
	out(TN_VALUE(1), 1500);
	out(TN_CONF(2), LEVEL | ROUTE(22));
	out(TN_VALUE(2), 100);
	start();
	at(999);
	assert_int_equal(wires, 0);
	assert_int_equal(in(STATUS), 4); /* shown, although it does not interrupt */
	at(1000);
	assert_int_equal(wires, BIT(23));
	at(1600);
	assert_int_equal(in(STATUS), 7);
	fake_fired = 0;
	at(10000000); /* it holds the wire: nothing to do */
	assert_int_equal(fake_fired, 0);
	assert_int_equal(in(TN_VALUE(0)), 10001000); /* and counts on */
	out(STATUS, 1);
	assert_int_equal(in(STATUS), 6);
	assert_int_equal(wires, BIT(23));
	out(STATUS, 0); /* no bit, no effect */
	assert_int_equal(in(STATUS), 6);
	out32(STATUS, 2);
	assert_int_equal(wires, 0);
	at(10001000);
	assert_int_equal(wires, BIT(23));
	/* Another pin, no interrupt, the counter stopped: the status stays. */
	out(TN_CONF(0), INT | LEVEL | PERIODIC | ROUTE(20));
	assert_int_equal(wires, BIT(20));
	out(TN_CONF(0), LEVEL | PERIODIC | ROUTE(20));
	assert_int_equal(wires, 0);
	out(TN_CONF(0), INT | LEVEL | PERIODIC | ROUTE(20));
	assert_int_equal(wires, BIT(20));
	out(CONF, 0);
	assert_int_equal(wires, 0);
	assert_int_equal(in(STATUS)&1, 1);
	start();
	assert_int_equal(wires, BIT(20));
	out(TN_CONF(0), INT | PERIODIC | ROUTE(20)); /* edges have no status */
	assert_int_equal(wires | (in(STATUS)&1), 0);
}

/* Timers 0 and 1 take the wires of the 8254 and the clock, whatever their routes; timer 2 keeps its own. */
static void legacy_replacement(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		out(TN_CONF(n), INT | PERIODIC | VAL_SET | ROUTE(21));
		out(TN_VALUE(n), 1000);
	}
	start();
	at(1000);
	assert_int_equal(edges[21], 3);
	out(CONF, ENABLE | LEGACY);
	assert_true(replaced);
	at(2000);
	assert_true(edges[0] == 1 && edges[8] == 1 && edges[21] == 4);
	assert_int_equal(wires, BIT(0) | BIT(8)); /* they stay high between the ticks */
	out(TN_CONF(0), PERIODIC | ROUTE(21));    /* and fall when none is to come */
	assert_int_equal(wires, BIT(8));
	at(3000);
	assert_true(edges[0] == 1 && edges[8] == 2 && edges[21] == 5);
	out(TN_CONF(1), INT | LEVEL | PERIODIC | ROUTE(21));
	assert_int_equal(wires, 0);
	at(4000);
	assert_int_equal(wires, BIT(8));
	assert_int_equal(in(STATUS), 2);
	assert_int_equal(told, 0);
	out(CONF, ENABLE);
	assert_false(replaced);
	assert_int_equal(told, 1); /* the others may tick again */
	assert_int_equal(wires, BIT(21));
	out(CONF, LEGACY);
	assert_true(replaced);
	hpet_reset(&hpet);
	assert_false(replaced);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(identity, setup, teardown),
	    cmocka_unit_test_setup_teardown(reset_values, setup, teardown),
	    cmocka_unit_test_setup_teardown(writable_bits, setup, teardown),
	    cmocka_unit_test_setup_teardown(counter, setup, teardown),
	    cmocka_unit_test_setup_teardown(widths, setup, teardown),
	    cmocka_unit_test_setup_teardown(one_shot, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_route, setup, teardown),
	    cmocka_unit_test_setup_teardown(wraps_at_32_bits, setup, teardown),
	    cmocka_unit_test_setup_teardown(wraps_at_64_bits, setup, teardown),
	    cmocka_unit_test_setup_teardown(periodic, setup, teardown),
	    cmocka_unit_test_setup_teardown(periodic_by_halves, setup, teardown),
	    cmocka_unit_test_setup_teardown(periodic_edges_of_range, setup, teardown),
	    cmocka_unit_test_setup_teardown(level, setup, teardown),
	    cmocka_unit_test_setup_teardown(legacy_replacement, setup, teardown),
	};
	return cmocka_run_group_tests_name("M66 hpet", tests, NULL, NULL);
}
