/* SPDX-License-Identifier: Apache-2.0 */
/* The 16550A universal asynchronous receiver and transmitter. Its line has no speed: what the guest
 * sends has left at once, what is offered to it waits outside until there is room, so nothing is lost
 * and the transmitter is always empty. Baud rate and frame format only set the receive time-out.
 * Source: National Semiconductor PC16550D data sheet (RRD-B30M75). */
#pragma once

#include "sched.h"
#include "spinlock.h"

struct irq_router;

#define UART_COM1 0x3f8
#define UART_COM1_GSI 4
#define UART_PORTS 8
#define UART_FIFO 16
#define UART_CLOCK_HZ 1843200

struct uart_wiring {
	struct irq_router *irq;
	unsigned gsi;
	/* The other end of the cable. room() may call uart_input(), output() may not. */
	void (*output)(void *opaque, const u8 *buf, size_t n);
	void (*room)(void *opaque); /* after uart_input() took less than it was given */
	void *opaque;
};

struct uart {
	struct uart_wiring wiring;
	struct spinlock lock; /* everything below; output() runs inside, room() does not */
	u8 ier, fcr, lcr, mcr, scratch;
	u16 divisor;
	u8 msr_delta;      /* MSR bits 3:0 */
	bool overrun;      /* LSR bit 1; other errors do not happen on this line */
	bool thre_pending; /* the transmitter-empty interrupt was not yet seen */
	bool timed_out;    /* bytes below the trigger level have waited for four characters' time */
	bool refused;      /* input waits outside */
	bool line;         /* level of the interrupt line */
	u8 head, count;
	u8 fifo[UART_FIFO]; /* received bytes; one of them in 16450 mode */
	struct timer timeout;
};

void uart_init(struct uart *u, const struct uart_wiring *wiring);
void uart_fini(struct uart *u);
/* The MR pin; divisor and scratch register stay. */
void uart_reset(struct uart *u);
/* Returns how many of the bytes it took. */
size_t uart_input(struct uart *u, const u8 *buf, size_t n);
u64 uart_read(void *opaque, u64 offset, unsigned size);
void uart_write(void *opaque, u64 offset, unsigned size, u64 value);
