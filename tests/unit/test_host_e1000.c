/* SPDX-License-Identifier: Apache-2.0 */
/* host/e1000.c against a card that is an array of registers: rings that go round, frames in any order back, a
 * full ring each way, what is not a frame (M73). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "host.h"
#include "host/dma.h"
#include "host/e1000.h"
#include "include/fake_cpu.h"
#include "nic.h"
#include "shim.h"

/* ---- the card ---- */
static u32 *regs;
static u8 *arena;
static u32 arena_used, pci_address;
static irq_fn irq;
static u8 irq_vector, irq_line;
static const u8 mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
static u8 sent[256][2048];
static u32 sent_length[256], nr_sent;

#define REG(r) regs[(r) / 4]

void *mmio_map(hpa_t pa, size_t size)
{
	assert_int_equal(pa, 0xfeb00000);
	assert_int_equal(size, E1000_BAR_BYTES);
	return regs;
}

void *dma_alloc(unsigned order, u32 *address)
{
	void *p = arena + arena_used;

	arena_used += 4096u << order;
	*address = (u32)(uintptr_t)p;
	return p;
}

void dma_free(void *base, unsigned order)
{
	(void)base, (void)order;
}

void irq_register(u8 vector, irq_fn fn, void *opaque)
{
	assert_null(opaque);
	irq_vector = vector;
	irq = fn;
}

int irq_route_pci(unsigned line, u8 vector)
{
	assert_int_equal(vector, irq_vector);
	irq_line = (u8)line;
	return 0;
}

u64 tsc_now(void)
{
	return shim_tsc += 1000;
}

static u32 pci_in(u16 port, unsigned size)
{
	assert_int_equal(port, 0xcfc);
	assert_int_equal(size, 4);
	switch (pci_address) {
	case 0x80001800:
		return E1000_ID;
	case 0x80001808:
		return 0x02000003;
	case 0x80001810:
		return 0xfeb00000;
	case 0x8000183c:
		return 0x010b;
	case 0x80001804:
	case 0x8000180c:
		return 0;
	default:
		return ~0u;
	}
}

static void pci_out(u16 port, unsigned size, u32 value)
{
	(void)size;
	if (port == 0xcf8)
		pci_address = value;
	else if (pci_address == 0x80001804)
		assert_int_equal(value, 6); /* memory, bus master */
}

/* A frame from the wire. False: there is no descriptor for it. */
static bool card_receive(const void *frame, u32 length, u8 status, u8 errors)
{
	struct e1000_rx *ring = (void *)(uintptr_t)REG(E1000_RDBAL), *d = &ring[REG(E1000_RDH)];

	if (REG(E1000_RDH) == REG(E1000_RDT))
		return false;
	assert_int_equal(d->status, 0);
	assert_true(REG(E1000_RCTL) & E1000_RCTL_EN);
	memcpy((void *)(uintptr_t)d->address, frame, length);
	d->length = (u16)length;
	d->errors = errors;
	d->status = status;
	REG(E1000_RDH) = (REG(E1000_RDH) + 1) % (REG(E1000_RDLEN) / 16);
	return true;
}

static void card_interrupt(u32 causes)
{
	REG(E1000_ICR) = causes;
	irq(NULL);
	REG(E1000_ICR) = 0;
}

/* Sends up to n frames. */
static void card_send(unsigned n)
{
	struct e1000_tx *ring = (void *)(uintptr_t)REG(E1000_TDBAL);

	for (; n && REG(E1000_TDH) != REG(E1000_TDT); n--) {
		struct e1000_tx *d = &ring[REG(E1000_TDH)];
		assert_int_equal(d->command, E1000_TX_END | E1000_TX_IFCS | E1000_TX_REPORT);
		assert_int_equal(d->status, 0);
		memcpy(sent[nr_sent % 256], (void *)(uintptr_t)d->address, d->length);
		sent_length[nr_sent++ % 256] = d->length;
		d->status = E1000_TX_DONE;
		REG(E1000_TDH) = (REG(E1000_TDH) + 1) % (REG(E1000_TDLEN) / 16);
	}
}

/* ---- its user ---- */
static unsigned held[NIC_SLOTS], nr_held, pauses;
static u32 next_number;
static bool keep;

/* Frames are numbered by their first word, and are as long as it says. */
static void received(void *opaque, unsigned slot, u8 *frame, u32 length)
{
	u32 number;

	assert_ptr_equal(opaque, regs);
	memcpy(&number, frame, 4);
	assert_int_equal(number, next_number);
	assert_int_equal(length, 60 + number % 1400);
	next_number++;
	if (!keep)
		nic_give_back(slot);
	else
		held[nr_held++] = slot;
}

static void pause_(void *opaque)
{
	(void)opaque;
	pauses++;
}

static u32 arrived;
static bool arrive(void)
{
	u8 frame[2048] = {0};

	memcpy(frame, &arrived, 4);
	if (!card_receive(frame, 60 + arrived % 1400, E1000_RX_DONE | E1000_RX_END, 0))
		return false;
	arrived++;
	return true;
}

static int setup(void **state)
{
	const struct nic_user user = {received, pause_, NULL};
	struct nic_user mine = user;
	u8 address[6];
	(void)state;

	arena = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	regs = calloc(1, E1000_BAR_BYTES);
	REG(E1000_RAL) = 0x12005452;
	REG(E1000_RAH) = 0x5634;
	REG(E1000_STATUS) = E1000_STATUS_LU;
	mine.opaque = regs;
	assert_int_equal(nic_open(&mine, address), ERR_NOENT); /* no ports answer: there is nothing on PCI */
	assert_string_equal(shim_last_log, "there is no network card that Socle has a driver for");
	fake_in = pci_in;
	fake_out = pci_out;
	assert_int_equal(nic_open(&mine, address), 0);
	assert_memory_equal(address, mac, 6);
	assert_int_equal(REG(E1000_RCTL) | REG(E1000_IMS), 0);
	assert_int_equal(nic_start(), 0);
	assert_int_equal(irq_line, 11);
	assert_int_equal(REG(E1000_RAH), 0x80005634);
	assert_int_equal(REG(E1000_CTRL) & (E1000_CTRL_RST | E1000_CTRL_SLU), E1000_CTRL_SLU);
	assert_int_equal(nic_open(&mine, address), ERR_EXIST);
	return 0;
}

static void receives(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 1000; round++) {
		unsigned n = 1 + round % (NIC_SLOTS - 1);
		pauses = 0;
		for (unsigned i = 0; i < n; i++)
			assert_true(arrive());
		card_interrupt(E1000_INT_RXT0);
		assert_int_equal(next_number, arrived);
		assert_int_equal(pauses, 1);
	}
	card_interrupt(E1000_INT_RXT0);
	assert_int_equal(pauses, 1); /* nothing came */
}

static void gives_back_in_any_order(void **state)
{
	u64 seed = 1;
	(void)state;

	keep = true;
	for (unsigned round = 0; round < 2000; round++) {
		unsigned n = 0;
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		while (n < seed >> 58 && arrive())
			n++;
		card_interrupt(E1000_INT_RXT0);
		assert_int_equal(next_number, arrived);
		for (unsigned i = (unsigned)(seed >> 40) % 64; i && nr_held; i--) {
			unsigned k = (unsigned)(seed >> (i % 30)) % nr_held;
			nic_give_back(held[k]);
			held[k] = held[--nr_held];
		}
	}
	/* The user has all but one: what comes then has no room, and nothing else happens. */
	while (arrive())
		card_interrupt(E1000_INT_RXT0);
	card_interrupt(E1000_INT_RXO);
	assert_int_equal(nr_held, NIC_SLOTS - 1);
	assert_int_equal(REG(E1000_RDH), REG(E1000_RDT));
	while (nr_held)
		nic_give_back(held[--nr_held]);
	keep = false;
	assert_true(arrive());
	card_interrupt(E1000_INT_RXT0);
	assert_int_equal(next_number, arrived);
}

static void what_is_no_frame(void **state)
{
	u64 errors = nic_meters().errors;
	u8 junk[2048] = {0};
	(void)state;

	assert_true(card_receive(junk, 100, E1000_RX_DONE, 0));                 /* goes on elsewhere */
	assert_true(card_receive(junk, 100, E1000_RX_DONE | E1000_RX_END, 1));  /* bad checksum field */
	assert_true(card_receive(junk, 13, E1000_RX_DONE | E1000_RX_END, 0));   /* too short */
	assert_true(card_receive(junk, 1519, E1000_RX_DONE | E1000_RX_END, 0)); /* too long */
	assert_true(arrive());
	card_interrupt(E1000_INT_RXT0);
	assert_int_equal(next_number, arrived);
	assert_int_equal(nic_meters().errors, errors + 4);
}

static bool send(u32 number)
{
	u8 *room = nic_room();

	if (!room)
		return false;
	assert_ptr_equal(room, nic_room());
	memset(room, (int)number, 1514);
	nic_send(60 + number % 1455);
	return true;
}

static void sends(void **state)
{
	u32 number = 0;
	(void)state;

	nr_sent = 0;
	for (unsigned round = 0; round < 500; round++) {
		unsigned n = round % NIC_SLOTS;
		for (unsigned i = 0; i < n; i++)
			assert_true(send(number++));
		nic_flush();
		card_send(n);
	}
	/* The card is slow. */
	u64 full = nic_meters().full;
	for (unsigned i = 0; i < NIC_SLOTS - 2; i++)
		assert_true(send(number++));
	assert_false(nic_is_full());
	assert_true(send(number++));
	assert_false(send(0));
	nic_flush();
	assert_false(send(0));
	assert_int_equal(nic_meters().full, full + 2);
	assert_true(nic_is_full());
	assert_int_equal(nic_meters().full, full + 2);
	card_send(1);
	assert_false(nic_is_full());
	assert_true(send(number++));
	assert_false(send(0));
	nic_flush();
	card_send(NIC_SLOTS);
	assert_int_equal(nr_sent, number);
	for (u32 i = number - 200; i < number; i++) {
		assert_int_equal(sent_length[i % 256], 60 + i % 1455);
		assert_int_equal(sent[i % 256][59], (u8)i);
	}
}

static void link_changes(void **state)
{
	(void)state;
	REG(E1000_STATUS) = 0;
	card_interrupt(E1000_INT_LSC);
	assert_string_equal(shim_last_log, "network card: link down");
	REG(E1000_STATUS) = E1000_STATUS_LU;
	card_interrupt(E1000_INT_LSC);
	assert_string_equal(shim_last_log, "network card: link up");
}

static int teardown(void **state)
{
	(void)state;
	free(regs);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(receives),         cmocka_unit_test(gives_back_in_any_order),
	    cmocka_unit_test(what_is_no_frame), cmocka_unit_test(sends),
	    cmocka_unit_test(link_changes),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
