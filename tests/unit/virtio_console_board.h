/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio console on a board, a terminal at its other end that remembers, and the driver's side of both
 * queues. Defines functions, so one file of a program includes it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "devices/virtio_console.h"
#include "virtio_board.h"

#define QUEUE 0x8000ull   /* of input */
#define QUEUE2 0x10000ull /* of output */
#define DATA BOARD_DATA
#define SHOWN_MAX (1u << 20)

static struct virtio_console *console;
static struct driver rx, tx;

/* ---- the other end ---- */
static u8 shown[SHOWN_MAX];
static u32 nr_shown, largest, outputs;
static u64 byte_ticks;   /* what one costs */
static u8 waiting[4096]; /* input outside */
static u32 nr_waiting, first_waiting, rooms;
static void (*meanwhile)(void); /* while bytes leave */

static inline void output(void *opaque, const u8 *buf, size_t n)
{
	assert_ptr_equal(opaque, &board);
	assert_true(n > 0 && nr_shown + n <= SHOWN_MAX);
	memcpy(shown + nr_shown, buf, n);
	nr_shown += (u32)n;
	largest = MAX(largest, (u32)n);
	outputs++;
	shim_tsc += n * byte_ticks;
	if (meanwhile)
		meanwhile();
}

static inline void drain(void)
{
	u32 n = (u32)virtio_console_input(console, waiting + first_waiting, nr_waiting - first_waiting);

	assert_true(first_waiting + n <= nr_waiting);
	first_waiting += n;
}

static inline void room(void *opaque)
{
	assert_ptr_equal(opaque, &board);
	rooms++;
	drain();
}

static inline void type(u32 n)
{
	assert_true(nr_waiting + n <= sizeof(waiting));
	for (u32 i = 0; i < n; i++, nr_waiting++)
		waiting[nr_waiting] = (u8)(nr_waiting * 7 + nr_waiting / 256);
	drain();
}

static inline void create(void)
{
	const struct virtio_console_setup setup = {.output = output, .room = room, .opaque = &board};

	shim_tsc = 1000;
	nr_shown = largest = outputs = nr_waiting = first_waiting = rooms = 0;
	byte_ticks = 10;
	meanwhile = NULL;
	board_init();
	console = virtio_console_create(BOARD_GUEST, &board.bus, BOARD_DEVFN, &setup);
	assert_non_null(console);
	board_start();
}

static inline void destroy(void)
{
	virtio_console_destroy(console);
	board_fini();
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(shim_pages_in_use, 0);
}

static inline void go(u16 size, u64 features)
{
	driver_init(&rx, size, features, QUEUE);
	driver_init(&tx, size, features, QUEUE2);
	cfg_set(seen.msix + 2, 2, 0);
	assert_true(negotiate(features));
	for (u16 q = 0; q < 2; q++) {
		queue_place(q, q ? &tx.s : &rx.s);
		common_set(0x1c, 2, 1);
		msix_on();
	}
	common_set(0x14, 1, 15);
	assert_int_equal(status(), 15);
	board.messages = 0;
}

static inline void kick(u16 queue)
{
	if (driver_kick(queue ? &tx : &rx))
		doorbell(queue);
}

static inline void send(gpa_t gpa, u32 bytes)
{
	const struct buffer b = {gpa, bytes, false};

	driver_add(&tx, &b, 1, false);
}

static inline void offer(gpa_t gpa, u32 bytes)
{
	const struct buffer b = {gpa, bytes, true};

	driver_add(&rx, &b, 1, false);
}

static inline void text_at(gpa_t gpa, u32 n, u32 from)
{
	for (u32 i = 0; i < n; i++) {
		u8 byte = (u8)((from + i) * 13 + (from + i) / 256);
		assert_int_equal(gmem_write(&guest_ram, gpa + i, &byte, 1), 0);
	}
}

static inline void check_shown(u32 n)
{
	assert_int_equal(nr_shown, n);
	for (u32 i = 0; i < n; i++)
		assert_int_equal(shown[i], (u8)(i * 13 + i / 256));
}
