/* SPDX-License-Identifier: Apache-2.0 */
/* A ticket lock: CPUs get it in the order in which they asked, so that no guest's vCPU can starve
 * another's. The hypervisor runs with interrupts off, hence no variant that disables them; NMI and
 * machine-check handlers take no locks. All zeros is an unlocked lock. Order where several are held:
 * ept, then the page allocator or the pool of zeroed pages, then the log. */
#pragma once

#include "lib.h"

struct spinlock {
	u32 next;    /* the next ticket to be drawn */
	u32 serving; /* the ticket that holds the lock */
};

static inline void cpu_relax(void)
{
	__builtin_ia32_pause();
}

static inline void spin_lock(struct spinlock *l)
{
	u32 ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (unlikely(__atomic_load_n(&l->serving, __ATOMIC_ACQUIRE) != ticket))
		cpu_relax();
}

/* True when it got the lock. */
static inline bool spin_trylock(struct spinlock *l)
{
	u32 ticket = __atomic_load_n(&l->serving, __ATOMIC_RELAXED);

	return __atomic_compare_exchange_n(&l->next, &ticket, ticket + 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

/* Only the holder writes `serving`, so a plain load and a releasing store are enough. */
static inline void spin_unlock(struct spinlock *l)
{
	__atomic_store_n(&l->serving, l->serving + 1, __ATOMIC_RELEASE);
}
