/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's side of ATA commands: interrupts, errors, IDENTIFY, data by PIO. Defines functions, so one
 * file of a program includes it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ata_board.h"

static u8 buf[256 * 512];

static inline bool irq(void)
{
	return board.wires >> 14 & 1;
}

/* Reading the status takes the interrupt back; the alternate status does not. */
static inline void expect_irq(u8 status)
{
	assert_true(irq());
	assert_int_equal(status_of(), status);
	assert_true(irq());
	assert_int_equal(inb(CMD + 7), status);
	assert_false(irq());
}

static inline void expect_error(u8 error)
{
	expect_irq(IDLE | ERR);
	assert_int_equal(inb(CMD + 1), error);
}

static inline u16 word(unsigned n)
{
	return (u16)(buf[2 * n] | buf[2 * n + 1] << 8);
}

static inline void identify(u8 device)
{
	outb(CMD + 6, device);
	outb(CMD + 7, 0xec);
	assert_int_equal(inb(CMD + 7), IDLE | DRQ);
	string_io(2, true, buf, 256);
	assert_int_equal(inb(CMD + 7), IDLE);
}

/* A block of DRQ at a time, each with its interrupt. */
static inline void read_pio(u64 lba, u32 count, u32 block, unsigned size)
{
	memset(buf, 0, sizeof(buf));
	for (u32 i = 0; i < count; i += block) {
		u32 n = MIN(block, count - i);
		expect_irq(IDLE | DRQ);
		string_io(size, true, buf + i * 512, n * 512 / size);
	}
	assert_false(irq());
	assert_int_equal(status_of(), IDLE);
	assert_memory_equal(buf, disks[0].media + lba * 512, count * 512);
}
