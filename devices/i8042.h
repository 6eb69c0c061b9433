/* SPDX-License-Identifier: Apache-2.0 */
/* The 8042 keyboard controller of a PC, ports 0x60 and 0x64, with nothing plugged in, and the system
 * control port 0x92. What drivers probe is answered at once, as a controller whose keyboard is
 * missing answers; reset works; the A20 line is always on and says so.
 * Source: IBM PS/2 Hardware Interface Technical Reference, keyboard and auxiliary device controller. */
#pragma once

#include "spinlock.h"

struct guest;
struct irq_router;

#define I8042_RAM 32

struct i8042 {
	struct guest *guest;
	struct irq_router *irq;
	struct spinlock lock; /* everything below */
	u8 ram[I8042_RAM];    /* byte 0 is the command byte */
	u8 status;            /* bits that last: system flag, command/data, auxiliary, time-out */
	u8 output;            /* output buffer, */
	bool full;            /* and whether it holds a byte */
	u8 command;           /* waits for its parameter at port 0x60; 0: none */
	bool line;
};

void i8042_init(struct i8042 *kbc, struct guest *g, struct irq_router *irq);
void i8042_reset(struct i8042 *kbc);
/* offset 0: port 0x60 */
u64 i8042_read_data(void *opaque, u64 offset, unsigned size);
void i8042_write_data(void *opaque, u64 offset, unsigned size, u64 value);
/* offset 0: port 0x64 */
u64 i8042_read_status(void *opaque, u64 offset, unsigned size);
void i8042_write_command(void *opaque, u64 offset, unsigned size, u64 value);
/* Port 0x92: bit 0 resets, bit 1 is A20. */
u64 i8042_read_port92(void *opaque, u64 offset, unsigned size);
void i8042_write_port92(void *opaque, u64 offset, unsigned size, u64 value);
