/* SPDX-License-Identifier: Apache-2.0 */
/* A driver for the Intel 82540EM (PCI/PCI-X Family of Gigabit Ethernet Controllers, Software Developer's
 * Manual: 3.2, 3.3, 13.4) with as few accesses to its registers as there can be: one for a burst to send, one
 * for so many buffers as BUFFERS_BACK, one for an interrupt. */
#include "../lib/interrupts.h"
#include "../lib/pci.h"
#include "apic.h"
#include "irqchip.h"
#include "net.h"
#include "page.h"
#include "trap.h"

#define VECTOR 0x70
#define SIZE NET_BUFFERS /* descriptors of each ring, of which one stays empty */
#define BUFFER 2048u
#define BUFFERS_BACK 32u
#define LONGEST 1514u

#define CTRL 0x0000
#define CTRL_RST BIT(26)
#define CTRL_SLU BIT(6)
#define ICR 0x00c0
#define IMS 0x00d0
#define INT_RECEIVE 0xd0u /* RXT0, RXO, RXDMT0 */
#define RCTL 0x0100
#define RCTL_VALUE 0x04008002u /* EN, BAM, buffers of 2048, SECRC */
#define TCTL 0x0400
#define TCTL_VALUE 0x0004010au /* EN, PSP, collision threshold and distance as 13.4.33 says */
#define RING_RX 0x2800         /* RDBAL; TDBAL: */
#define RING_TX 0x3800
#define BASE_HIGH 0x04
#define LENGTH 0x08
#define TAIL 0x18
#define MTA 0x5200
#define RAL 0x5400

#define DONE 0x01u       /* of both */
#define SEND 0x0b000000u /* EOP, IFCS, RS, above the length */

struct desc {
	u64 address;
	u32 length; /* and what is above it */
	u32 status;
};

static struct {
	volatile u8 *registers;
	volatile struct desc *rx, *tx;
	u8 *buffers;
	u32 taken, returned; /* of the receive ring, free-running */
	u32 put, told, sent; /* of the transmit ring */
} n;

static u32 get32(unsigned at)
{
	return *(volatile u32 *)(n.registers + at);
}

static void set32(unsigned at, u32 v)
{
	*(volatile u32 *)(n.registers + at) = v;
}

/* Reading the causes takes the line down. */
static void interrupt(struct regs *r)
{
	(void)r;
	get32(ICR);
	interrupts_seen++;
	apic_eoi();
}

static bool find(void)
{
	int devfn = pci_find(0x8086, 0x100e);
	u32 slot = (u32)devfn >> 3, pin;

	if (devfn < 0)
		return false;
	pci_write(devfn, 4, 7); /* ports, memory, master of the bus */
	n.registers = (volatile u8 *)(u64)(pci_read(devfn, 0x10) & ~15u);
	pin = (pci_read(devfn, 0x3c) >> 8 & 0xff) - 1;
	trap_handler(VECTOR, interrupt);
	ioapic_route(16 + (slot + pin) % 8, (u64)apic_id() << 56 | IOAPIC_LEVEL | IOAPIC_ACTIVE_LOW | VECTOR);
	return true;
}

static volatile struct desc *ring_open(unsigned at)
{
	volatile struct desc *ring = mem_alloc(SIZE * sizeof(struct desc) / PAGE_SIZE);

	set32(at, (u32)(u64)ring);
	set32(at + BASE_HIGH, 0);
	set32(at + LENGTH, SIZE * sizeof(struct desc));
	return ring;
}

static bool open(u8 address[6])
{
	memset(&n, 0, sizeof(n));
	if (!find())
		return false;
	set32(CTRL, CTRL_RST);
	while (get32(CTRL) & CTRL_RST)
		cpu_pause();
	set32(CTRL, CTRL_SLU);
	for (u32 i = 0; i < 128; i++)
		set32(MTA + 4 * i, 0);
	for (u32 i = 0; i < 6; i++)
		address[i] = (u8)(get32(RAL + (i & 4)) >> (8 * (i & 3)));
	n.rx = ring_open(RING_RX);
	n.tx = ring_open(RING_TX);
	n.buffers = mem_alloc(SIZE * BUFFER / PAGE_SIZE);
	if (!n.rx || !n.tx || !n.buffers)
		return false;
	for (u32 i = 0; i < SIZE; i++)
		n.rx[i].address = (u64)(n.buffers + i * BUFFER);
	set32(RING_RX + TAIL, SIZE - 1);
	set32(IMS, INT_RECEIVE);
	set32(RCTL, RCTL_VALUE);
	set32(TCTL, TCTL_VALUE);
	return true;
}

/* ---- receiving ---- */
static const u8 *get(u32 *bytes)
{
	volatile struct desc *d = &n.rx[n.taken % SIZE];

	if (!(__atomic_load_n(&d->status, __ATOMIC_ACQUIRE) & DONE))
		return NULL;
	*bytes = d->length & 0xffff;
	return n.buffers + n.taken % SIZE * BUFFER;
}

static void release(void)
{
	n.rx[n.taken++ % SIZE].status = 0;
	if (n.taken - n.returned < BUFFERS_BACK)
		return;
	n.returned = n.taken;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	set32(RING_RX + TAIL, (n.taken + SIZE - 1) % SIZE);
}

/* ---- sending ---- */
static bool put(const void *frame, u32 bytes, u16 cut)
{
	volatile struct desc *d = &n.tx[n.put % SIZE];

	while (n.sent != n.told && n.tx[n.sent % SIZE].status & DONE)
		n.sent++;
	if (cut || bytes > LONGEST || n.put - n.sent == SIZE - 1)
		return false;
	d->address = (u64)frame;
	d->length = SEND | bytes;
	d->status = 0;
	n.put++;
	return true;
}

static void kick(void)
{
	if (n.told == n.put)
		return;
	n.told = n.put;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	set32(RING_TX + TAIL, n.put % SIZE);
}

const struct net_driver net_e1000 = {"e1000", open, put, kick, get, release};
