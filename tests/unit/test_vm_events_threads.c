/* SPDX-License-Identifier: Apache-2.0 */
/* M20: events of VMs on four CPUs at once, which must not lose a wake-up, and that are bound and closed
 * meanwhile. */
#include "events_board.h"

/* ---- four CPUs at once ---- */
#define ROUNDS 2000u
#define SENDERS 3
static u64 sender_event[SENDERS];             /* at the sender */
static u64 receiver_event[SENDERS];           /* at VM 1 */
static u32 asked[SENDERS], answered[SENDERS]; /* atomic */
static bool lost;

/* Rings, and rings again only when it was heard: one lost wake-up and this waits for ever. */
static void *sender(void *opaque)
{
	unsigned i = (unsigned)(uintptr_t)opaque;
	for (u32 round = 1; round <= ROUNDS && !__atomic_load_n(&lost, __ATOMIC_RELAXED); round++) {
		__atomic_store_n(&asked[i], round, __ATOMIC_RELEASE);
		if (call(i == 0 ? 0 : i == 1 ? 2 : 1, call_event_send, sender_event[i], 0))
			abort();
		while (__atomic_load_n(&answered[i], __ATOMIC_ACQUIRE) < round &&
		       !__atomic_load_n(&lost, __ATOMIC_RELAXED))
			sched_yield();
	}
	return NULL;
}

static void serve(unsigned n)
{
	for (unsigned i = 0; i < SENDERS; i++)
		if (receiver_event[i] == n)
			__atomic_store_n(&answered[i], __atomic_load_n(&asked[i], __ATOMIC_ACQUIRE),
					 __ATOMIC_RELEASE);
}

static void unmask(struct socle_event_page *p, unsigned n, unsigned way)
{
	if (way == 0)
		call(1, call_event_unmask, n, 0);
	else if (way == 1)
		call(1, call_event_unmask, SOCLE_EVENT_ALL, 0);
	else
		while (socle_event_unmask(p, n)) {
			socle_event_mask(p, n);
			__atomic_fetch_and(&p->pending[n / 64], ~BIT(n % 64), __ATOMIC_SEQ_CST);
			serve(n);
		}
}

/* The guest: sleeps until an upcall, serves what is pending with it masked, unmasks it in one of the three
 * ways as the last thing it does, and sleeps again. */
static void *receiver(void *opaque)
{
	struct socle_event_page *p = page(1);
	unsigned turn = 0;
	(void)opaque;
	while (answered[0] < ROUNDS || answered[1] < ROUNDS || answered[2] < ROUNDS) {
		unsigned served[SOCLE_EVENTS], nr = 0;
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 20;
		if (sem_timedwait(&interrupt, &until)) {
			__atomic_store_n(&lost, true, __ATOMIC_RELAXED);
			return NULL;
		}
		socle_event_begin(p, 0);
		while ((served[nr] = socle_event_next(p)) != 0) {
			socle_event_mask(p, served[nr]);
			serve(served[nr++]);
		}
		sched_yield(); /* time for the next to come while it is masked */
		while (nr)
			unmask(p, served[--nr], turn++ % 3);
	}
	return NULL;
}

static void four_threads_lose_nothing(void **state)
{
	pthread_t threads[SENDERS + 1];
	(void)state;
	lost = false;
	memset(asked, 0, sizeof(asked));
	memset(answered, 0, sizeof(answered));
	connect(0, 1, &sender_event[0], &receiver_event[0]);
	connect(1, 2, &receiver_event[1], &sender_event[1]);
	sender_event[2] = receiver_event[2] = (u64)call(1, call_event_alloc, SOCLE_SELF, 0);
	assert_int_equal(pthread_create(&threads[SENDERS], NULL, receiver, NULL), 0);
	for (uintptr_t i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sender, (void *)i), 0);
	for (unsigned i = 0; i <= SENDERS; i++)
		pthread_join(threads[i], NULL);
	assert_false(lost);
	for (unsigned i = 0; i < SENDERS; i++)
		assert_int_equal(answered[i], ROUNDS);
}

/* Bind, send, close and the end of VMs against each other: nothing is freed too early or never. */
static bool churn_over;
static void *churner(void *opaque)
{
	unsigned i = (unsigned)(uintptr_t)opaque, seed = i + 1;
	while (!__atomic_load_n(&churn_over, __ATOMIC_RELAXED)) {
		u64 n = (u64)rand_r(&seed) % 8, other = (u64)rand_r(&seed) % VMS + 1;
		static const hypercall_fn two[] = {call_event_alloc, call_event_bind};
		static const hypercall_fn one[] = {call_event_send, call_event_send, call_event_close,
						   call_event_unmask};
		call(i, two[rand_r(&seed) % 2], other, n);
		call(i, one[rand_r(&seed) % 4], n, 0);
	}
	return NULL;
}

static void binding_races(void **state)
{
	pthread_t threads[VMS];
	struct timespec while_they_run = {.tv_sec = 1};
	(void)state;
	churn_over = false;
	for (uintptr_t i = 0; i < VMS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churner, (void *)i), 0);
	nanosleep(&while_they_run, NULL);
	__atomic_store_n(&churn_over, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < VMS; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(four_threads_lose_nothing),
	    T(binding_races),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
