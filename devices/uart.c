/* SPDX-License-Identifier: Apache-2.0 */
/* The 16550A universal asynchronous receiver and transmitter; see uart.h. */
#include "uart.h"

#include "host.h"
#include "irq.h"

enum uart_reg { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCRATCH };

#define IER_RX 0x01
#define IER_THRE 0x02
#define IER_LINE 0x04
#define IER_MODEM 0x08
#define IER_WRITABLE 0x0f

#define IIR_NONE 0x01
#define IIR_MODEM 0x00
#define IIR_THRE 0x02
#define IIR_RX 0x04
#define IIR_LINE 0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFO 0xc0

#define FCR_ENABLE 0x01
#define FCR_CLEAR_RX 0x02
#define FCR_KEPT 0xc9 /* trigger level, DMA mode, enable */

#define LCR_LENGTH 0x03
#define LCR_STOP 0x04
#define LCR_PARITY 0x08
#define LCR_DLAB 0x80

#define MCR_DTR 0x01
#define MCR_RTS 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_WRITABLE 0x1f

#define LSR_DATA 0x01
#define LSR_OVERRUN 0x02
#define LSR_THRE 0x20
#define LSR_TEMT 0x40

#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_RI 0x40
#define MSR_DCD 0x80
#define MSR_TERI 0x04 /* the delta of RI: only its trailing edge */

static bool uart_fifo_on(const struct uart *u)
{
	return u->fcr & FCR_ENABLE;
}

static u8 uart_depth(const struct uart *u)
{
	return uart_fifo_on(u) ? UART_FIFO : 1;
}

static u8 uart_trigger(const struct uart *u)
{
	static const u8 levels[] = {1, 4, 8, 14};

	return uart_fifo_on(u) ? levels[u->fcr >> 6] : 1;
}

/* The interrupt of highest priority (data sheet, table 4). */
static u8 uart_interrupt(const struct uart *u)
{
	if ((u->ier & IER_LINE) && u->overrun)
		return IIR_LINE;
	if ((u->ier & IER_RX) && u->count >= uart_trigger(u))
		return IIR_RX;
	if ((u->ier & IER_RX) && u->timed_out)
		return IIR_TIMEOUT;
	if ((u->ier & IER_THRE) && u->thre_pending)
		return IIR_THRE;
	if ((u->ier & IER_MODEM) && u->msr_delta)
		return IIR_MODEM;
	return IIR_NONE;
}

/* A PC gates the interrupt pin with OUT2, which loopback turns off. */
static void uart_update(struct uart *u)
{
	bool level = uart_interrupt(u) != IIR_NONE && (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

	if (level == u->line)
		return;
	u->line = level;
	irq_set(u->wiring.irq, u->wiring.gsi, level);
}

/* Four times start, data, parity and stop bits, each 16 clocks of the divided clock long. */
static u64 uart_four_characters(const struct uart *u)
{
	unsigned bits =
	    1U + 5U + (u->lcr & LCR_LENGTH) + (u->lcr & LCR_PARITY ? 1U : 0U) + (u->lcr & LCR_STOP ? 2U : 1U);

	return mul_div(4U * bits * 16U * MAX(u->divisor, 1U), tsc_hz(), UART_CLOCK_HZ);
}

/* The time-out counts from the last byte that came or was read. */
static void uart_restart_timeout(struct uart *u)
{
	if (u->count && u->count < uart_trigger(u) && (u->ier & IER_RX) && !u->timed_out)
		timer_set(&u->timeout, tsc_now() + uart_four_characters(u));
	else
		timer_cancel(&u->timeout);
}

static void uart_fire(void *opaque)
{
	struct uart *u = opaque;

	u->timed_out = u->count > 0;
	uart_update(u);
}

static void uart_clear_rx(struct uart *u)
{
	u->head = u->count = 0;
	u->timed_out = false;
	uart_restart_timeout(u);
}

static void uart_receive(struct uart *u, u8 byte)
{
	if (u->count == uart_depth(u)) {
		u->overrun = true;
		if (uart_fifo_on(u))
			return; /* the FIFO keeps what it has, a single register does not */
		u->count = 0;
	}
	u->fifo[(u->head + u->count) % UART_FIFO] = byte;
	u->count++;
}

/* Ends every access. Whoever was refused may come back with uart_input() at once. */
static void uart_unlock(struct uart *u)
{
	bool tell = u->refused && u->count < uart_depth(u) && !(u->mcr & MCR_LOOP);

	if (tell)
		u->refused = false;
	spin_unlock(&u->lock);
	if (tell)
		u->wiring.room(u->wiring.opaque);
}

size_t uart_input(struct uart *u, const u8 *buf, size_t n)
{
	size_t taken = 0;

	spin_lock(&u->lock);
	while (taken < n && u->count < uart_depth(u) && !(u->mcr & MCR_LOOP))
		uart_receive(u, buf[taken++]);
	u->refused = taken < n;
	if (taken) {
		uart_restart_timeout(u);
		uart_update(u);
	}
	spin_unlock(&u->lock);
	return taken;
}

static u8 uart_read_data(struct uart *u)
{
	u8 byte = u->fifo[u->head];

	if (!u->count)
		return byte; /* what was there last */
	if (u->count > 1 || uart_fifo_on(u))
		u->head = (u8)((u->head + 1) % UART_FIFO);
	u->count--;
	u->timed_out = false;
	uart_restart_timeout(u);
	uart_update(u);
	return byte;
}

static void uart_write_data(struct uart *u, u8 byte)
{
	/* The interrupt line falls and rises again, also for those who never read the IIR. */
	u->thre_pending = false;
	uart_update(u);
	if (u->mcr & MCR_LOOP) {
		uart_receive(u, byte & (u8)(0xff >> (3 - (u->lcr & LCR_LENGTH))));
		uart_restart_timeout(u);
	} else {
		u->wiring.output(u->wiring.opaque, &byte, 1);
	}
	u->thre_pending = true;
	uart_update(u);
}

static u8 uart_read_iir(struct uart *u)
{
	u8 id = uart_interrupt(u);

	if (id == IIR_THRE) {
		u->thre_pending = false;
		uart_update(u);
	}
	return id | (uart_fifo_on(u) ? IIR_FIFO : 0);
}

static u8 uart_read_lsr(struct uart *u)
{
	u8 lsr = (u8)(LSR_THRE | LSR_TEMT | (u->count ? LSR_DATA : 0) | (u->overrun ? LSR_OVERRUN : 0));

	if (u->overrun) {
		u->overrun = false;
		uart_update(u);
	}
	return lsr;
}

/* MSR bits 7:4. A terminal is always connected and ready; loopback feeds the outputs back. */
static u8 uart_modem_lines(const struct uart *u)
{
	if (!(u->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (u8)((u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
		    (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static u8 uart_read_msr(struct uart *u)
{
	u8 msr = uart_modem_lines(u) | u->msr_delta;

	u->msr_delta = 0;
	uart_update(u);
	return msr;
}

static void uart_write_mcr(struct uart *u, u8 v)
{
	u8 before = uart_modem_lines(u), changed;

	u->mcr = v & MCR_WRITABLE;
	changed = before ^ uart_modem_lines(u);
	if (!(before & MSR_RI))
		changed &= (u8)~MSR_RI;
	u->msr_delta |= changed >> 4;
	uart_update(u);
}

static void uart_write_fcr(struct uart *u, u8 v)
{
	bool toggled = (v ^ u->fcr) & FCR_ENABLE;

	/* Other bits count only together with the enable bit. The transmitter's FIFO is empty anyway. */
	u->fcr = v & FCR_ENABLE ? v & FCR_KEPT : 0;
	if (toggled || (v & FCR_CLEAR_RX && uart_fifo_on(u)))
		uart_clear_rx(u);
	uart_restart_timeout(u);
	uart_update(u);
}

static void uart_write_ier(struct uart *u, u8 v)
{
	v &= IER_WRITABLE;
	if (v & ~u->ier & IER_THRE)
		u->thre_pending = true;
	u->ier = v;
	uart_restart_timeout(u);
	uart_update(u);
}

static u8 uart_read_reg(struct uart *u, enum uart_reg reg)
{
	bool dlab = u->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		return dlab ? (u8)u->divisor : uart_read_data(u);
	case REG_IER:
		return dlab ? (u8)(u->divisor >> 8) : u->ier;
	case REG_IIR_FCR:
		return uart_read_iir(u);
	case REG_LCR:
		return u->lcr;
	case REG_MCR:
		return u->mcr;
	case REG_LSR:
		return uart_read_lsr(u);
	case REG_MSR:
		return uart_read_msr(u);
	case REG_SCRATCH:
		break;
	}
	return u->scratch;
}

u64 uart_read(void *opaque, u64 offset, unsigned size)
{
	struct uart *u = opaque;
	u8 v;

	(void)size;
	spin_lock(&u->lock);
	v = uart_read_reg(u, offset & 7);
	uart_unlock(u);
	return v;
}

static void uart_write_reg(struct uart *u, enum uart_reg reg, u8 v)
{
	bool dlab = u->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		if (dlab)
			u->divisor = (u16)((u->divisor & 0xff00) | v);
		else
			uart_write_data(u, v);
		break;
	case REG_IER:
		if (dlab)
			u->divisor = (u16)((u->divisor & 0x00ff) | v << 8);
		else
			uart_write_ier(u, v);
		break;
	case REG_IIR_FCR:
		uart_write_fcr(u, v);
		break;
	case REG_LCR:
		u->lcr = v;
		break;
	case REG_MCR:
		uart_write_mcr(u, v);
		break;
	case REG_LSR: /* read only, as the data sheet recommends to treat them */
	case REG_MSR:
		break;
	case REG_SCRATCH:
		u->scratch = v;
		break;
	}
}

void uart_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct uart *u = opaque;

	(void)size;
	spin_lock(&u->lock);
	uart_write_reg(u, offset & 7, (u8)value);
	uart_unlock(u);
}

void uart_reset(struct uart *u)
{
	spin_lock(&u->lock);
	u->ier = u->fcr = u->lcr = u->mcr = 0;
	u->msr_delta = 0;
	u->overrun = u->thre_pending = false;
	uart_clear_rx(u);
	uart_update(u);
	uart_unlock(u);
}

void uart_init(struct uart *u, const struct uart_wiring *wiring)
{
	*u = (struct uart){.wiring = *wiring, .divisor = 12}; /* 9600 baud, as a BIOS sets it */
	timer_init(&u->timeout, uart_fire, u, &u->lock);
}

void uart_fini(struct uart *u)
{
	timer_destroy(&u->timeout);
}
