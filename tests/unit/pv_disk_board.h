/* SPDX-License-Identifier: Apache-2.0 */
/* A disk behind a Socle ring, with the guest's side of it. Defines functions, so one file of a program
 * includes it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/pv_disk.h"
#include "fake_ringmem.h"
#include "guest.h"
#include "sched.h"
#include "shim.h"

#define RING_GPA PAGE_SIZE /* the guest sees its ring in one piece: so a page at most */
#define RING_SIZE 64u
#define DATA 8u /* first page for data */
#define EVENT 7u

static struct pv_bus bus;
static struct pv_disk *pv;
static struct socle_ring *shared;
static struct socle_driver driver;
static unsigned events; /* atomic */

/* ---- the one timer ---- */
static struct timer *armed; /* atomic */

void timer_init(struct timer *t, void (*fire)(void *opaque), void *opaque, struct spinlock *lock)
{
	*t = (struct timer){.fire = fire, .opaque = opaque, .lock = lock};
}

void timer_set(struct timer *t, u64 deadline)
{
	(void)deadline;
	__atomic_store_n(&armed, t, __ATOMIC_RELEASE);
}

void timer_destroy(struct timer *t)
{
	(void)t;
	armed = NULL;
}

u64 sched_go_on(struct sched_group *g, u64 ticks, u64 now)
{
	(void)g, (void)ticks;
	return now;
}

u64 sched_rests_until(struct sched_group *g, u64 now)
{
	(void)g;
	return now;
}

/* Some CPU comes by. */
static inline bool timer_poll(void)
{
	struct timer *t = __atomic_exchange_n(&armed, NULL, __ATOMIC_ACQUIRE);

	if (!t)
		return false;
	spin_lock(t->lock);
	t->fire(t->opaque);
	spin_unlock(t->lock);
	return true;
}

struct gmem *guest_mem(struct guest *g)
{
	(void)g;
	return &ram;
}

const char *guest_name(const struct guest *g)
{
	(void)g;
	return "test";
}

static void event(void *opaque, u32 number)
{
	assert_ptr_equal(opaque, &bus);
	assert_int_equal(number, EVENT);
	__atomic_fetch_add(&events, 1, __ATOMIC_SEQ_CST);
}

static inline void open_ring(void)
{
	memset(shared, 0, PAGE_SIZE);
	assert_int_equal(pv_open(&bus, 0, 0, RING_GPA, RING_SIZE, EVENT), 0);
	socle_driver_init(&driver, shared, RING_SIZE);
}

static inline void pv_board(struct block *disk)
{
	const struct pv_disk_setup setup = {
	    .disk = disk, .id = "disk1", .event = event, .opaque = &bus, .polled = shim_polling};

	ram_init();
	memset(&bus, 0, sizeof(bus));
	events = 0;
	armed = NULL;
	pv = pv_disk_create((struct guest *)&bus, &bus, &setup);
	assert_non_null(pv);
	shared = (struct socle_ring *)ram_page[1];
	open_ring();
}

static inline void pv_board_off(void)
{
	pv_disk_destroy(pv);
	assert_int_equal(ram.pinned_pages, 0);
	for (unsigned i = 0; i < GMEM_PIN_BUCKETS; i++)
		assert_int_equal(ram.pins[i], 0);
	ram_free();
}

/* ---- requests ---- */
static inline int put(u8 op, u8 flags, u64 sector, u32 length, gpa_t address)
{
	const struct socle_request r = {
	    .operation = op, .flags = flags, .sector = sector, .length = length, .address = address};

	return socle_driver_put(&driver, &r);
}

static inline void ring(void)
{
	if (socle_driver_push(&driver))
		assert_int_equal(pv_doorbell(&bus, 0, 0), 0);
}

/* The next response's status; its id, where one is wanted. */
static inline int get(int *id)
{
	struct socle_response r;

	assert_int_equal(socle_driver_get(&driver, &r), 1);
	if (id)
		*id = (int)r.id;
	return r.status;
}
