/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile guest against all legacy devices at once (M67): any access to any of their ports and
 * memory, in any order, with time passing in between, as many short steps or as one long absence.
 * Beyond what the sanitizers see: nothing may call back out of turn, arm timers without bound, or
 * keep the hypervisor busy.
 *
 * An input is a sequence of 8-byte steps: what, where (16 bits), value (32 bits), how long. */
#include "tests/unit/fake_board.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEP 8
#define MS 1000000ULL
/* PIT and three timers of the HPET at their minimum intervals, RTC at 8192 Hz, UART time-outs, and slack. */
#define FIRES_PER_MS 214

static u64 port_of(unsigned where)
{
	unsigned total = 0;
	if (where & 0x8000)
		return where & 0x7fff; /* any port, most are nobody's */
	for (unsigned i = 0; i < board_io.nr_ports; i++)
		total += (unsigned)board_io.port[i].length;
	where %= total;
	for (unsigned i = 0; i < board_io.nr_ports; i++) {
		if (where < board_io.port[i].length)
			return board_io.port[i].base + where;
		where -= (unsigned)board_io.port[i].length;
	}
	abort();
}

static u64 mem_of(unsigned where)
{
	const struct io_region *r = &board_io.mem[(where >> 12) % board_io.nr_mems];
	return r->base + (where & 0xfff) % r->length;
}

static void pass_time(u8 how_long)
{
	u64 span = how_long & 0x40 ? (u64)(how_long & 7) * MS : (u64)(how_long & 0x3f) * 500;
	fake_fired = 0;
	if (how_long & 0x80)
		fake_skip_to(shim_tsc + span * 1000);
	else
		fake_run_until(shim_tsc + span);
	MUST(fake_fired <= (span / MS + 1) * FIRES_PER_MS);
	MUST(fake_timers_armed() <= 5);
}

/* The INTA cycle, even when nothing is pending, or the EOI of a vector at the IOAPIC. */
static void interrupt_cycle(u32 value)
{
	if (value & 1)
		board.sinks.eoi(board.sinks.eoi_opaque, (u8)(value >> 8));
	else
		board.sinks.extint_ack(board.sinks.extint_opaque);
}

static void step(struct pc *pc, const uint8_t *s)
{
	unsigned where = s[1] | s[2] << 8, bytes = 1U << (s[0] >> 4 & 3);
	u32 value = s[3] | s[4] << 8 | s[5] << 16 | (u32)s[6] << 24;
	u8 text[40];

	switch (s[0] & 15) {
	case 0 ... 4:
		board_write(false, port_of(where), MIN(bytes, 4U), value);
		break;
	case 5 ... 8:
		board_read(false, port_of(where), MIN(bytes, 4U));
		break;
	case 9:
		board_write(true, mem_of(where), bytes, value | (u64)value << 32);
		break;
	case 10:
		board_read(true, mem_of(where), bytes);
		break;
	case 11 ... 12:
		interrupt_cycle(value);
		break;
	case 13:
		memset(text, (u8)value, sizeof(text));
		MUST(pc_console_input(pc, text, where % sizeof(text)) <= 16);
		break;
	case 14:
		pc_power_button(pc);
		break;
	default:
		if (value & 1)
			pc_reset(pc);
		else
			pc_bios_state(pc);
	}
	pass_time(s[7]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pc *pc;

	board_init();
	shim_tsc = 1000000;
	board.hpet = true;
	pc = board_create(true);
	MUST(pc);
	for (; size >= STEP; data += STEP, size -= STEP)
		step(pc, data);
	pc_destroy(pc);
	MUST(board.heap_blocks == 0 && board_io.nr_ports + board_io.nr_mems == 0);
	MUST(fake_timers_armed() == 0);
	return 0;
}
