/* SPDX-License-Identifier: Apache-2.0 */
/* Owns COM1: a 16550 UART (Universal Asynchronous Receiver/Transmitter) at 115200 baud, 8N1. A byte
 * takes 87 microseconds, so output goes through a ring that the transmitter's interrupts empty. */
#include "serial.h"

#include "payers.h"
#include "x86_ops.h"

#define COM1 0x3f8
#define REG_DATA (COM1 + 0) /* divisor low with LCR_DLAB */
#define REG_IER (COM1 + 1)  /* divisor high with LCR_DLAB */
#define REG_IIR (COM1 + 2)  /* write: FCR */
#define REG_LCR (COM1 + 3)
#define REG_MCR (COM1 + 4)
#define REG_LSR (COM1 + 5)
#define REG_SCRATCH (COM1 + 7)

#define IER_RX 0x01u
#define IER_TX 0x02u
#define IIR_NONE 0x01u
#define IIR_FIFO 0xc0u
#define FCR_ENABLE 0x01u
#define FCR_CLEAR 0x06u
#define FCR_TRIGGER_4 0x40u /* leaves 12 bytes, one millisecond, to the interrupt's latency */
#define LCR_8N1 0x03u
#define LCR_DLAB 0x80u
#define MCR_DTR_RTS 0x03u
#define MCR_OUT2 0x08u /* lets the interrupt line out of the chip */
#define LSR_DATA 0x01u
#define LSR_TX_FREE 0x20u /* transmitter FIFO empty */
#define LSR_TX_DONE 0x40u /* shift register empty, too */

#define FIFO_DEPTH 16
#define RING_SIZE 32768u
#define RX_RING_SIZE 1024u
/* Reads of the LSR without progress before the port counts as dead: seconds on any machine, and
 * many times what 16 bytes take. */
#define STUCK_READS 4000000u

static struct {
	bool present, by_irq, tx_irq_on;
	u32 fifo_depth;
	u32 head, tail;       /* of the ring: bytes put in, bytes taken out */
	u32 rx_head, rx_tail; /* of input read while waiting for the transmitter */
	struct payers payers;
	u8 rx_ring[RX_RING_SIZE];
	char ring[RING_SIZE];
} serial;

bool serial_present(void)
{
	return serial.present;
}

void serial_init(void)
{
	outb(REG_SCRATCH, 0x5a);
	if (inb(REG_SCRATCH) != 0x5a)
		return;
	outb(REG_SCRATCH, 0xa5);
	if (inb(REG_SCRATCH) != 0xa5)
		return;
	outb(REG_IER, 0);
	outb(REG_LCR, LCR_DLAB);
	outb(REG_DATA, 1); /* 115200 / 1 */
	outb(REG_IER, 0);
	outb(REG_LCR, LCR_8N1);
	outb(REG_IIR, FCR_ENABLE | FCR_CLEAR | FCR_TRIGGER_4);
	outb(REG_MCR, MCR_DTR_RTS | MCR_OUT2);
	serial.fifo_depth = (inb(REG_IIR) & IIR_FIFO) == IIR_FIFO ? FIFO_DEPTH : 1;
	serial.present = true;
}

/* Every reader of the line status takes input with it, so that none is lost while somebody waits for
 * the transmitter. */
static u8 status_read(void)
{
	u8 status = inb(REG_LSR);

	while (status & LSR_DATA && serial.rx_head - serial.rx_tail < RX_RING_SIZE) {
		serial.rx_ring[serial.rx_head++ % RX_RING_SIZE] = inb(REG_DATA);
		status = inb(REG_LSR);
	}
	return status;
}

/* Refills the transmitter when it is empty. */
static bool tx_service(void)
{
	if (!(status_read() & LSR_TX_FREE))
		return false;
	for (u32 i = 0; i < serial.fifo_depth && serial.tail != serial.head; i++)
		outb(REG_DATA, (u8)serial.ring[serial.tail++ % RING_SIZE]);
	return true;
}

static void tx_irq_set(bool on)
{
	if (serial.tx_irq_on == on || !serial.by_irq)
		return;
	serial.tx_irq_on = on;
	outb(REG_IER, on ? IER_RX | IER_TX : IER_RX);
}

/* Waits until at most `left` bytes remain in the ring. */
static void tx_wait(u32 left)
{
	u32 reads = 0;

	while (serial.head - serial.tail > left) {
		reads = tx_service() ? 0 : reads + 1;
		if (reads > STUCK_READS) {
			serial.present = false;
			return;
		}
		cpu_pause();
	}
}

void serial_write(const char *buf, size_t n, void *payer)
{
	if (!serial.present)
		return;
	for (size_t i = 0; i < n; i++) {
		if (serial.head - serial.tail == RING_SIZE)
			tx_wait(RING_SIZE - FIFO_DEPTH);
		serial.ring[serial.head++ % RING_SIZE] = buf[i];
	}
	payers_put(&serial.payers, serial.head, payer);
	if (!serial.by_irq) {
		tx_wait(0);
	} else if (n && !serial.tx_irq_on) {
		tx_service();
		tx_irq_set(true);
	}
}

void *serial_payer(void)
{
	return payers_at(&serial.payers, serial.tail);
}

void serial_forget(const void *payer)
{
	payers_forget(&serial.payers, payer);
}

bool serial_is_busy(void)
{
	return serial.present && serial.by_irq && serial.head != serial.tail;
}

void serial_start_irq(void)
{
	if (!serial.present)
		return;
	serial.by_irq = true;
	outb(REG_IER, IER_RX);
}

size_t serial_service(u8 *buf, size_t size)
{
	size_t n = 0;

	if (!serial.present)
		return 0;
	if (serial.tail == serial.head) {
		tx_irq_set(false);
		status_read();
	} else {
		tx_service();
	}
	while (n < size && serial.rx_tail != serial.rx_head)
		buf[n++] = serial.rx_ring[serial.rx_tail++ % RX_RING_SIZE];
	return n;
}

bool serial_has_input(void)
{
	return serial.rx_tail != serial.rx_head;
}

bool serial_irq_pending(void)
{
	return serial.present && !(inb(REG_IIR) & IIR_NONE);
}

void serial_shorten(u32 keep)
{
	u32 tail = serial.head - keep;

	if (serial.head - serial.tail <= keep)
		return;
	while (tail != serial.head && serial.ring[(tail - 1) % RING_SIZE] != '\n')
		tail++; /* to the start of a line */
	serial.tail = tail;
}

void serial_flush(void)
{
	u32 reads = 0;

	if (!serial.present)
		return;
	tx_wait(0);
	while (serial.present && !(status_read() & LSR_TX_DONE) && ++reads < STUCK_READS)
		cpu_pause();
}
