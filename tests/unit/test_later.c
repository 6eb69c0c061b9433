/* SPDX-License-Identifier: Apache-2.0 */
/* Work that devices put off (M42): when it goes on, and that nobody ends a device of which another CPU is
 * about to arm the timer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>

#include "devices/later.h"
#include "shim.h"

/* ---- a scheduler of one timer, whose lock is real ---- */
static struct timer *armed;
static pthread_mutex_t queue = PTHREAD_MUTEX_INITIALIZER;
static u64 rest, rested_for;

void timer_init(struct timer *t, void (*fire)(void *opaque), void *opaque, struct spinlock *lock)
{
	*t = (struct timer){.fire = fire, .opaque = opaque, .lock = lock};
}

void timer_set(struct timer *t, u64 deadline)
{
	pthread_mutex_lock(&queue);
	t->deadline = deadline;
	t->armed = true;
	armed = t;
	pthread_mutex_unlock(&queue);
}

void timer_destroy(struct timer *t)
{
	spin_lock(t->lock);
	pthread_mutex_lock(&queue);
	t->armed = false;
	armed = NULL;
	pthread_mutex_unlock(&queue);
	spin_unlock(t->lock);
}

u64 sched_go_on(struct sched_group *g, u64 ticks, u64 now)
{
	rested_for = ticks;
	return g ? now + rest : now;
}

static u64 rests;

u64 sched_rests_until(struct sched_group *g, u64 now)
{
	return g ? MAX(rests, now) : now;
}

static void fire(void)
{
	struct timer *t = armed;

	assert_non_null(t);
	armed = NULL;
	t->armed = false;
	spin_lock(t->lock);
	t->fire(t->opaque);
	spin_unlock(t->lock);
}

/* ---- when ---- */
static unsigned turns;
static u64 answer;

static u64 turn(void *opaque)
{
	assert_ptr_equal(opaque, &turns);
	turns++;
	shim_tsc += 300;
	return answer;
}

static void when_it_goes_on(void **state)
{
	struct sched_group group;
	struct later l;

	(void)state;
	shim_tsc = 1000;
	later_init(&l, turn, &turns, &group);
	assert_ptr_equal(l.timer.group, &group);
	later_promise(&l);
	assert_true(later_is_promised(&l));
	later_keep(&l, 0);
	assert_false(later_is_promised(&l));
	assert_true(l.timer.armed && l.timer.deadline <= shim_tsc + 10);
	/* There is more: after a rest as long as the share wants it, for what the turn took. */
	rest = 5000;
	answer = 0;
	fire();
	assert_int_equal(turns, 1);
	assert_true(l.timer.armed && l.timer.deadline == shim_tsc + rest);
	assert_in_range(rested_for, 300, 310);
	/* Somebody else puts work off meanwhile: no sooner for that. */
	later_promise(&l);
	later_keep(&l, shim_tsc);
	assert_int_equal(l.timer.deadline, shim_tsc + rest);
	/* It has a time of its own. */
	answer = shim_tsc + 50000;
	fire();
	assert_int_equal(l.timer.deadline, answer);
	answer = LATER_NEVER;
	rested_for = 0;
	fire();
	assert_false(l.timer.armed);
	assert_null(armed);
	/* It has done all, and that counts: what comes next waits as long, and longer if others did work. */
	assert_in_range(rested_for, 300, 310);
	rests = shim_tsc + 7000;
	later_promise(&l);
	later_keep(&l, 0);
	assert_int_equal(l.timer.deadline, rests);
	turns = 0;
	rests += 1000;
	fire();
	assert_int_equal(turns, 0);
	assert_true(l.timer.armed && l.timer.deadline == rests);
	shim_tsc = rests;
	fire();
	assert_int_equal(turns, 1);
	later_destroy(&l);
}

/* ---- the race: one CPU completes the last request and puts the rest off, another one ends the device ----
 */
#define ROUNDS 1000

struct device {
	struct spinlock lock;
	bool busy;
	struct later later;
};
static struct device *device; /* freed by who ends it: ASan looks on */
static pthread_barrier_t begin, ended;
static u64 looks;
static unsigned caught; /* the promise was seen, so that it made the difference */

static u64 nothing(void *opaque)
{
	(void)opaque;
	return LATER_NEVER;
}

static void *completes(void *opaque)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&begin);
		struct device *d = device;
		spin_lock(&d->lock);
		d->busy = false;
		later_promise(&d->later);
		spin_unlock(&d->lock);
		/* It tells the guest; so long that the other one looks. */
		u64 before = __atomic_load_n(&looks, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&looks, __ATOMIC_SEQ_CST) < before + 2)
			usleep(1);
		later_keep(&d->later, 0);
		pthread_barrier_wait(&ended);
	}
	return opaque;
}

static void a_promise_keeps_the_device(void **state)
{
	pthread_t other;

	(void)state;
	pthread_barrier_init(&begin, NULL, 2);
	pthread_barrier_init(&ended, NULL, 2);
	assert_int_equal(pthread_create(&other, NULL, completes, NULL), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct device *d = device = calloc(1, sizeof(*d));
		bool idle = false;
		d->busy = true;
		later_init(&d->later, nothing, d, NULL);
		pthread_barrier_wait(&begin);
		while (!idle) {
			spin_lock(&d->lock);
			idle = !d->busy && !later_is_promised(&d->later);
			caught += !d->busy && !idle;
			spin_unlock(&d->lock);
			__atomic_fetch_add(&looks, 1, __ATOMIC_SEQ_CST);
			if (!idle)
				usleep(1);
		}
		__atomic_fetch_add(&looks, 2, __ATOMIC_SEQ_CST);
		later_destroy(&d->later);
		assert_null(armed);
		free(d);
		pthread_barrier_wait(&ended);
	}
	pthread_join(other, NULL);
	assert_true(caught >= ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(when_it_goes_on),
	    cmocka_unit_test(a_promise_keeps_the_device),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
