/* SPDX-License-Identifier: Apache-2.0 */
/* The 16550A, register by register of its data sheet (M66), and hostile use (M67). */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/irq.h"
#include "devices/uart.h"
#include "fake_timer.h"
#include "host.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH };
#define FCR IIR

static struct uart uart;
static bool line;
static unsigned edges;
static char sent[256];
static unsigned nr_sent;
static const char *waiting; /* what the operator still wants to type */

void irq_set(struct irq_router *r, unsigned gsi, bool level)
{
	assert_ptr_equal(r, &uart);
	assert_int_equal(gsi, 4);
	assert_int_not_equal(level, line);
	edges += level;
	line = level;
}

static void output(void *opaque, const u8 *buf, size_t n)
{
	assert_ptr_equal(opaque, &line);
	assert_int_equal(n, 1);
	sent[nr_sent++ % sizeof(sent)] = (char)*buf;
}

static void type(const char *s)
{
	waiting = s + uart_input(&uart, (const u8 *)s, strlen(s));
}

static void room(void *opaque)
{
	assert_ptr_equal(opaque, &line);
	type(waiting);
}

static void out(unsigned reg, u8 value)
{
	uart_write(&uart, reg, 1, value);
}

static u8 in(unsigned reg)
{
	return (u8)uart_read(&uart, reg, 1);
}

static int setup(void **state)
{
	const struct uart_wiring wiring = {(void *)&uart, 4, output, room, &line};

	(void)state;
	shim_tsc = 1000;
	line = false;
	edges = nr_sent = 0;
	waiting = "";
	uart_init(&uart, &wiring);
	out(MCR, 0x0b); /* DTR, RTS, OUT2 */
	in(MSR);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	uart_fini(&uart);
	assert_int_equal(fake_timers_armed(), 0);
	return 0;
}

static void test_reset_values(void **state)
{
	(void)state;
	out(IER, 0x0f);
	out(LCR, 0x83);
	out(DATA, 1);
	out(IER, 0);
	out(LCR, 0x03);
	out(SCRATCH, 0x5a);
	type("x");
	uart_reset(&uart);
	assert_int_equal(in(IER), 0);
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(in(LCR), 0);
	assert_int_equal(in(MCR), 0);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(MSR), 0xb0);
	assert_int_equal(in(SCRATCH), 0x5a); /* not affected */
	out(LCR, 0x80);
	assert_int_equal(in(DATA), 1);
	assert_false(line);
}

static void test_divisor_latch(void **state)
{
	(void)state;
	out(LCR, 0x83);
	out(DATA, 0x34);
	out(IER, 0x12);
	assert_int_equal(in(DATA), 0x34);
	assert_int_equal(in(IER), 0x12);
	out(LCR, 0x03);
	assert_int_equal(nr_sent, 0);
	assert_int_equal(in(IER), 0);
	out(IER, 0xf0); /* bits 7:4 are 0, which tells an 8250 from later chips */
	assert_int_equal(in(IER), 0);
	out(MCR, 0xff);
	assert_int_equal(in(MCR), 0x1f);
	out(LSR, 0xff);
	assert_int_equal(in(LSR), 0x60);
}

static void test_transmit(void **state)
{
	(void)state;
	for (const char *s = "hello"; *s; s++) {
		assert_int_equal(in(LSR)&0x60, 0x60);
		out(DATA, (u8)*s);
	}
	assert_int_equal(nr_sent, 5);
	assert_memory_equal(sent, "hello", 5);
}

static void test_thre_interrupt(void **state)
{
	(void)state;
	out(DATA, 'a');
	assert_false(line);
	out(IER, 0x02); /* enabling it while the holding register is empty raises it */
	assert_true(line);
	assert_int_equal(in(IIR), 0x02);
	assert_false(line); /* reading the IIR clears it */
	assert_int_equal(in(IIR), 0x01);
	out(DATA, 'b');
	assert_true(line);
	unsigned before = edges;
	out(DATA, 'c'); /* writing clears and raises it: a new edge */
	assert_int_equal(edges, before + 1);
	out(IER, 0);
	assert_false(line);
	out(IER, 0x02); /* Linux's test for chips that forget: again */
	assert_int_equal(in(IIR), 0x02);
	out(IER, 0x02);
	assert_int_equal(in(IIR), 0x01); /* no transition, no interrupt */
}

static void test_out2_gates(void **state)
{
	(void)state;
	out(MCR, 0x03);
	out(IER, 0x02);
	assert_false(line);
	assert_int_equal(uart.line, false);
	out(MCR, 0x0b);
	assert_true(line);
	out(MCR, 0x1b); /* loopback switches the pin off */
	assert_false(line);
}

static void test_receive_16450(void **state)
{
	(void)state;
	type("ab");
	assert_false(line);
	assert_int_equal(in(IIR), 0x01);
	out(IER, 0x01);
	assert_int_equal(in(IIR), 0x04); /* no FIFO bits */
	assert_true(line);
	assert_int_equal(in(LSR)&1, 1);
	assert_int_equal(in(DATA), 'a'); /* room: the next byte comes in at once */
	assert_int_equal(in(LSR)&1, 1);
	assert_int_equal(in(DATA), 'b');
	assert_int_equal(in(LSR), 0x60);
	assert_false(line);
	assert_int_equal(in(DATA), 'b'); /* the register keeps it */
}

static void test_receive_trigger(void **state)
{
	static const u8 levels[] = {1, 4, 8, 14};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		out(FCR, (u8)(i << 6 | 0x07));
		out(IER, 0x01);
		for (unsigned n = 1; n <= 16; n++) {
			type("x");
			assert_int_equal(line, n >= levels[i]);
		}
		assert_int_equal(in(IIR), 0xc4);
		for (unsigned n = 16; n > 0; n--) {
			assert_int_equal(line, n >= levels[i]);
			assert_int_equal(in(DATA), 'x');
		}
		assert_false(line);
		assert_int_equal(in(IIR), 0xc1);
		out(IER, 0);
	}
}

static void test_fifo_control(void **state)
{
	(void)state;
	out(FCR, 0xc6); /* without bit 0 nothing else is taken */
	assert_int_equal(in(IIR), 0x01);
	out(FCR, 0x01);
	assert_int_equal(in(IIR), 0xc1);
	type("abc");
	out(FCR, 0x05); /* transmitter only */
	assert_int_equal(in(LSR)&1, 1);
	out(FCR, 0x03); /* receiver */
	assert_int_equal(in(LSR)&1, 0);
	type("abc");
	out(FCR, 0x00); /* switching the FIFOs clears them */
	assert_int_equal(in(LSR)&1, 0);
	assert_int_equal(in(IIR), 0x01);
}

/* Four characters' time after the last byte came or was read. */
static void test_timeout(void **state)
{
	const u64 four = 4ULL * 10 * 16 * 1000000000 / UART_CLOCK_HZ; /* 8N1, 115200 baud */

	(void)state;
	out(LCR, 0x83);
	out(DATA, 1);
	out(IER, 0);
	out(LCR, 0x03);
	out(FCR, 0x81);
	out(IER, 0x01);
	type("ab");
	assert_int_equal(in(IIR), 0xc1);
	fake_run_until(shim_tsc + four / 2);
	type("c"); /* starts it again */
	fake_run_until(shim_tsc + four - 1);
	assert_false(line);
	fake_run_until(shim_tsc + 1);
	assert_true(line);
	assert_int_equal(in(IIR), 0xcc);
	assert_int_equal(in(IIR), 0xcc); /* only a read of the data ends it */
	assert_int_equal(in(DATA), 'a');
	assert_false(line);
	fake_run_until(shim_tsc + four); /* two are left */
	assert_int_equal(in(IIR), 0xcc);
	assert_int_equal(in(DATA), 'b');
	assert_int_equal(in(DATA), 'c');
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(in(IIR), 0xc1);
	/* 7E2 at 9600 baud: 11 bits of 12 times the length. */
	out(LCR, 0x9e);
	out(DATA, 12);
	out(IER, 0);
	out(LCR, 0x1e);
	type("x");
	assert_int_equal(fake_timer_first()->deadline - shim_tsc,
			 mul_div(4 * 11 * 16 * 12, 1000000000, 1843200));
	/* Reaching the trigger level ends the wait. */
	type("1234567");
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(in(IIR), 0xc4);
	out(FCR, 0x83);
	/* No interrupt wanted, no timer. */
	out(IER, 0);
	type("x");
	assert_int_equal(fake_timers_armed(), 0);
	out(IER, 1);
	assert_int_equal(fake_timers_armed(), 1);
}

static void test_priorities(void **state)
{
	(void)state;
	out(FCR, 0x01);
	out(MCR, 0x1b);
	for (unsigned i = 0; i < 17; i++)
		out(DATA, (u8)(0x40 + i)); /* the 17th overruns */
	in(MSR);
	out(MCR, 0x0b); /* CTS and DSR stay, RI too, DCD too: no delta */
	out(MCR, 0x1b);
	out(MCR, 0x18); /* RTS and DTR fall */
	out(MCR, 0x0b); /* the terminal's lines again */
	out(LCR, 0x03);
	out(IER, 0x0f);
	assert_int_equal(in(IIR), 0xc6);
	assert_int_equal(in(LSR), 0x63);
	assert_int_equal(in(LSR), 0x61); /* the error is gone after one read */
	assert_int_equal(in(IIR), 0xc4);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(in(DATA), i); /* five data bits in loopback; the FIFO kept its 16 */
	assert_int_equal(in(IIR), 0xc2);
	assert_int_equal(in(IIR), 0xc0);
	assert_int_equal(in(MSR), 0xb3);
	assert_int_equal(in(IIR), 0xc1);
	assert_false(line);
}

static void test_loopback_modem(void **state)
{
	static const struct {
		u8 mcr, msr;
	} rows[] = {
	    {0x10, 0x0b},                             /* all off: CTS, DSR, DCD fell */
	    {0x11, 0x22}, {0x12, 0x13}, {0x14, 0x41}, /* RI rises: no delta for it */
	    {0x10, 0x04},                             /* the trailing edge of RI */
	    {0x18, 0x88}, {0x1f, 0xf3}, {0x00, 0xb4},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		out(MCR, rows[i].mcr);
		assert_int_equal(in(MSR), rows[i].msr);
		assert_int_equal(in(MSR)&0x0f, 0);
	}
	/* Linux's presence test. */
	out(MCR, 0x1a);
	assert_int_equal(in(MSR)&0xf0, 0x90);
}

static void test_loopback_data(void **state)
{
	static const u8 masks[] = {0x1f, 0x3f, 0x7f, 0xff};

	(void)state;
	out(MCR, 0x10);
	for (u8 length = 0; length < 4; length++) {
		out(LCR, length);
		out(DATA, 0xff);
		assert_int_equal(in(DATA), masks[length]);
	}
	assert_int_equal(nr_sent, 0);
	out(DATA, 1);
	out(DATA, 2); /* a single register takes the new byte and says so */
	assert_int_equal(in(LSR), 0x63);
	assert_int_equal(in(DATA), 2);
	type("outside"); /* the pin is cut off */
	assert_int_equal(in(LSR)&1, 0);
	assert_string_equal(waiting, "outside");
	out(MCR, 0x0b); /* and connected again */
	assert_int_equal(in(DATA), 'o');
	assert_string_equal(waiting, "tside");
}

/* Ten kilobytes pasted at once arrive whole and in order, interrupt by interrupt. */
static void test_paste(void **state)
{
	static char text[10241];
	unsigned n = 0, interrupts = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)('!' + i % 90);
	out(FCR, 0x87);
	out(IER, 0x01);
	type(text);
	while (n < sizeof(text) - 1) {
		if (!line)
			fake_run_until(fake_timer_first()->deadline);
		assert_true(line);
		interrupts++;
		while (in(LSR)&1)
			assert_int_equal(in(DATA), text[n++]);
	}
	assert_int_equal(n, 10240);
	assert_string_equal(waiting, "");
	assert_false(line);
}

/* M67: any register writes; the FIFO indices stay inside, the line agrees with the IIR. */
static void test_hostile(void **state)
{
	u32 seed = 5;

	(void)state;
	for (unsigned i = 0; i < 300000; i++) {
		seed = seed * 1664525 + 1013904223;
		if (seed >> 30 == 0)
			type("0123456789abcdefghij");
		else if (seed >> 31)
			out(seed >> 8 & 7, (u8)(seed >> 16));
		else
			in(seed >> 8 & 7);
		if (seed >> 28 == 3)
			fake_run_until(shim_tsc + 1000000);
		assert_true(uart.count <= 16 && uart.head < 16 && fake_timers_armed() <= 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_reset_values, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_divisor_latch, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_transmit, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_thre_interrupt, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_out2_gates, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_receive_16450, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_receive_trigger, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_fifo_control, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_timeout, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_priorities, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_loopback_modem, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_loopback_data, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_paste, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
	};
	return cmocka_run_group_tests_name("M66 uart", tests, NULL, NULL);
}
