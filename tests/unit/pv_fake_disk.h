/* SPDX-License-Identifier: Apache-2.0 */
/* The disk behind a Socle ring in front of fake_disk.h. Defines functions, so one file of a program includes
 * it. */
#pragma once

#include "fake_disk.h"
#include "pv_disk_board.h"

#define SECTORS 512u

static struct fake_disk disk;

static inline void board(u32 flags)
{
	fake_disk_init(&disk, SECTORS, flags);
	pv_board(&disk.block);
}

static inline void off(void)
{
	while (fake_disk_step(&disk) || timer_poll())
		;
	pv_board_off();
	fake_disk_free(&disk);
}

/* The end of a VM waits for its disk. */
void cpu_poll_interrupts(void)
{
	shim_polls++;
	fake_disk_step(&disk);
}

static inline void run(void)
{
	while (fake_disk_step(&disk) || timer_poll())
		;
}

/* One request, to its end. */
static inline int ask(u8 op, u8 flags, u64 sector, u32 length, gpa_t address)
{
	int id = put(op, flags, sector, length, address), back;

	ring();
	run();
	int status = get(&back);
	assert_int_equal(id, back);
	return status;
}

static inline void fill(gpa_t at, u32 n, u8 seed)
{
	for (u32 i = 0; i < n; i++)
		((u8 *)gmem_ptr(&ram, at + i, 1))[0] = (u8)(seed + i / 512 * 31 + i);
}
