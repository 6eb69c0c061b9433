/* SPDX-License-Identifier: Apache-2.0 */
/* Text output to COM1 (16550), polled. */
#include "print.h"
#include "cpu.h"

enum {
	COM1 = 0x3f8,
	COM1_IER = COM1 + 1,
	COM1_FCR = COM1 + 2,
	COM1_LCR = COM1 + 3,
	COM1_MCR = COM1 + 4,
	COM1_LSR = COM1 + 5,
};
#define LSR_THR_EMPTY 0x20
#define SERIAL_PATIENCE 1000000U /* polls before a byte is sent regardless */

void serial_init(void)
{
	outb(COM1_IER, 0);
	outb(COM1_LCR, 0x80); /* divisor latch */
	outb(COM1, 1);        /* 115200 baud */
	outb(COM1_IER, 0);
	outb(COM1_LCR, 0x03); /* 8N1 */
	outb(COM1_FCR, 0x07); /* FIFOs on and empty */
	outb(COM1_MCR, 0x03);
}

static void serial_put(char c)
{
	unsigned patience = SERIAL_PATIENCE;

	while (!(inb(COM1_LSR) & LSR_THR_EMPTY) && --patience)
		;
	outb(COM1, (u8)c);
}

void print_char(char c)
{
	if (c == '\n')
		serial_put('\r');
	serial_put(c);
}

static void print_number(u64 n, unsigned base, unsigned width, char fill, bool negative)
{
	char buf[24];
	unsigned len = 0;

	do {
		buf[len++] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n);
	if (negative)
		buf[len++] = '-';
	for (; width > len; width--)
		print_char(fill);
	while (len)
		print_char(buf[--len]);
}

static void print_string(const char *s, unsigned width)
{
	size_t len;

	if (!s)
		s = "(null)";
	for (len = strlen(s); *s; s++)
		print_char(*s);
	for (; width > len; width--)
		print_char(' ');
}

static void print_integer(char conv, u64 n, unsigned longs, unsigned width, char fill)
{
	i64 sn = longs ? (i64)n : (i32)n;

	if (conv == 'd')
		print_number(sn < 0 ? 0 - (u64)sn : (u64)sn, 10, width, fill, sn < 0);
	else
		print_number(longs ? n : (u32)n, conv == 'x' ? 16 : 10, width, fill, false);
}

void print_va(const char *fmt, va_list ap)
{
	for (; *fmt; fmt++) {
		unsigned width = 0, longs = 0;
		char fill = ' ';

		if (*fmt != '%') {
			print_char(*fmt);
			continue;
		}
		if (*++fmt == '0')
			fill = '0';
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + (unsigned)(*fmt - '0');
		for (; *fmt == 'l'; fmt++)
			longs++;
		if (!*fmt)
			return;
		if (*fmt == 's')
			print_string(va_arg(ap, const char *), width);
		else if (*fmt == 'c')
			print_char((char)va_arg(ap, int));
		else if (*fmt == '%')
			print_char('%');
		else
			print_integer(*fmt, longs ? va_arg(ap, u64) : va_arg(ap, u32), longs, width, fill);
	}
}

void print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_va(fmt, ap);
	va_end(ap);
}
