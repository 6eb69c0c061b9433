/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile guest against the IDE controller (M67): configuration space, all ports in all sizes, runs of
 * data, commands of any form, tables for the bus master that change meanwhile, resets in the middle; disks
 * that complete at once or much later. Beyond what the sanitizers see: the disks get requests as their
 * contract has them, each ends once, at most one timer is armed for each channel, no page stays pinned, and
 * after a reset the disks work.
 *
 * An input is a sequence of 8-byte steps: what, where (24 bits), value (32 bits). Bit 6 of the first one
 * chooses pages of 2 MiB. */
#define SECTORS 128u
#include "tests/unit/ata_board.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEP 8

/* A command that a driver might give, of those that are there and a few that are not. */
static void command(u32 w, u32 value)
{
	static const u8 known[] = {0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0x40,
				   0x42, 0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0xe0, 0xe6, 0xe7,
				   0xea, 0xec, 0xef, 0x90, 0x91, 0x70, 0x10, 0xf8};
	u64 base = w & 0x800000 ? 0x170 : CMD;

	board_write(true, base + 6, 1, (w & 0x10) | (w & 0x20 ? 0 : 0x40));
	board_write(true, base + 1, 1, w >> 8 & 0xff);
	for (unsigned i = 0; i < 2; i++) {
		board_write(true, base + 2, 1, i ? value : (value >> 8 & 3));
		board_write(true, base + 3, 1, i ? value >> 16 : 0);
		board_write(true, base + 4, 1, i ? value >> 24 & 0x1f : 0);
		board_write(true, base + 5, 1, 0);
	}
	board_write(true, base + 7, 1, known[w % ARRAY_SIZE(known)]);
}

static void move(u32 w, u32 value)
{
	static u8 data[8192];
	unsigned size = 1u << (w % 3);

	if (board_find(true, CMD))
		string_io(size, w & 0x100, data, MIN(value % 4096 + 1, (u32)sizeof(data) / size));
}

static void table(u32 w, u32 value)
{
	static const u32 bases[] = {DATA,       RAM_END - 512,   ROM_BASE, HOLE,
				    0xfffff000, HIGH_END - 4096, 0,        RAM_END - 2};

	prd(w & 0x3ff, bases[w >> 10 & 7] + (value & 0xfff), value >> 12 & 0xffff, value >> 31);
}

static void step(const uint8_t *s)
{
	u32 w = s[1] | s[2] << 8 | (u32)s[3] << 16, value = s[4] | s[5] << 8 | s[6] << 16 | (u32)s[7] << 24;
	static const u64 ports[] = {CMD, 0x170, CTL, 0x376, BM, BM + 8};
	u64 port = ports[w % 6] + (w >> 3 & 7);
	unsigned size = 1u << (s[0] >> 4 & 3) % 3;

	switch (s[0] & 15) {
	case 0 ... 2:
		command(w, value);
		break;
	case 3:
		move(w, value);
		break;
	case 4 ... 5:
		table(w, value);
		break;
	case 6 ... 7:
		bm_start(w & 1);
		break;
	case 8 ... 9:
		board_write(true, port, size, value);
		break;
	case 10:
		board_read(true, port, size);
		break;
	case 11:
		cfg_set(w & 0xff, size, value);
		break;
	case 12:
		hold = value & 1;
		guest_ram.pinned_limit = value & 2 ? value >> 2 & 7 : GMEM_PINNED_MAX;
		break;
	case 13:
		if (nr_held)
			let_go(value % nr_held);
		break;
	case 14:
		fake_skip_to(shim_tsc + tsc_hz() / 1000);
		break;
	default:
		while (w & 1 && nr_held) /* it would wait for them */
			let_go(0);
		if (w & 1)
			ata_reset(ata);
		else
			ata_bios_state(ata);
	}
	MUST(fake_timers_armed() <= 2 && nr_held <= 2);
}

/* Whatever was done to it, it can be used again. */
static void works_again(void)
{
	hold = false;
	guest_ram.pinned_limit = GMEM_PINNED_MAX;
	while (nr_held)
		let_go(0);
	ata_reset(ata);
	MUST(guest_ram.pinned_pages == 0 && fake_timers_armed() == 0 && board.wires == 0);
	cfg_set(PCI_BAR0 + 16, 4, BM);
	cfg_set(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	ata_bios_state(ata);
	memset(at(DATA, 4096), 0, 4096);
	prd(0, DATA, 1024, true);
	MUST(dma(0xc8, 9, 2) == 0x24 && inb(CMD + 7) == IDLE);
	MUST(memcmp(at(DATA, 4096), disks[0].media + 9 * 512, 1024) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ram_large = size && data[0] & 0x40;
	create(3, BLOCK_VOLATILE, 4);
	for (; size >= STEP; data += STEP, size -= STEP)
		step(data);
	works_again();
	destroy();
	return 0;
}
