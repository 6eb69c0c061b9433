/* SPDX-License-Identifier: Apache-2.0 */
/* A pool of zeroed pages for all guests: what idle CPUs cleared ahead, so that an EPT violation need
 * not. Each page links to the next through its first 8 bytes, which are cleared when it leaves. */
#include "zero.h"

#include "gmem.h"
#include "host.h"

/* The pool grows to a quarter of what is free beside it; not at all when that is less than 16 MiB. */
#define FREE_PER_POOL 4
#define FREE_MIN ((u64)4096) /* pages */

static struct {
	struct spinlock lock;
	u64 count;
	u64 begun; /* on their way; atomic, and fewer only under the lock */
	hpa_t first;
} pool;

static hpa_t pool_get(void)
{
	hpa_t page = PAGE_NONE;

	/* Read without the lock: a wrong answer costs only time. */
	if (!__atomic_load_n(&pool.count, __ATOMIC_RELAXED))
		return PAGE_NONE;
	spin_lock(&pool.lock);
	if (pool.count) {
		u64 *link = phys_to_virt(pool.first);

		page = pool.first;
		pool.first = *link;
		*link = 0;
		pool.count--;
	}
	spin_unlock(&pool.lock);
	return page;
}

hpa_t zero_page_get(void)
{
	hpa_t page = pool_get();

	return page == PAGE_NONE ? page_alloc_zeroed(0) : page;
}

u64 gmem_idle_pages(void)
{
	/* Not read one after the other: a page that is finished between would be counted twice. */
	spin_lock(&pool.lock);
	u64 n = pool.count + __atomic_load_n(&pool.begun, __ATOMIC_RELAXED);
	spin_unlock(&pool.lock);
	return n;
}

/* Interrupts may come between pieces, where the caller holds no lock: a UART's FIFO is full after a
 * millisecond. */
#define PIECE_ORDER 4u

static void (*on_wait)(void) = cpu_poll_interrupts;

void gmem_on_wait(void (*fn)(void))
{
	on_wait = fn;
}

hpa_t zero_block_get(unsigned order, bool patient)
{
	hpa_t block = page_alloc(order);

	for (u64 done = 0; block != PAGE_NONE && done < PAGE_SIZE << order;
	     done += PAGE_SIZE << PIECE_ORDER) {
		memset(phys_to_virt(block + done), 0, PAGE_SIZE << PIECE_ORDER);
		if (patient)
			on_wait();
	}
	return block;
}

bool gmem_idle_drain(void)
{
	bool any = false;
	hpa_t page;

	while ((page = pool_get()) != PAGE_NONE) {
		page_free(page, 0);
		any = true;
	}
	return any;
}

/* The page that a CPU is clearing. */
struct zero_cpu {
	hpa_t page;
	u32 done; /* bytes of it */
};

static struct zero_cpu begun[MAX_CPUS];

static bool page_begin(struct zero_cpu *z)
{
	u64 count = __atomic_load_n(&pool.count, __ATOMIC_RELAXED), free = page_count_free();

	if (free < FREE_MIN || count >= free / FREE_PER_POOL)
		return false;
	page_on_shortage(gmem_idle_drain);
	z->page = page_alloc(0);
	z->done = 0;
	if (z->page == PAGE_NONE)
		return false;
	__atomic_fetch_add(&pool.begun, 1, __ATOMIC_RELAXED);
	return true;
}

static void page_finish(struct zero_cpu *z)
{
	spin_lock(&pool.lock);
	*(u64 *)phys_to_virt(z->page) = pool.first;
	pool.first = z->page;
	pool.count++;
	__atomic_fetch_sub(&pool.begun, 1, __ATOMIC_RELAXED);
	spin_unlock(&pool.lock);
	z->page = PAGE_NONE;
}

/* In pieces: a task that is woken meanwhile does not wait for a whole page, nor even for the rest of a piece.
 */
#define IDLE_PIECE 2048u
#define IDLE_STEP 64u

static void step(u8 *at)
{
	for (unsigned i = 0; i < IDLE_STEP; i += 64) {
		u64 *line = (void *)(at + i);
		line[0] = line[1] = line[2] = line[3] = line[4] = line[5] = line[6] = line[7] = 0;
	}
}

bool gmem_idle_zero(void)
{
	struct zero_cpu *z = &begun[this_cpu()->index];

	if (z->page == PAGE_NONE && !page_begin(z))
		return false;
	u8 *page = phys_to_virt(z->page);
	do {
		step(page + z->done);
		z->done += IDLE_STEP;
	} while (z->done % IDLE_PIECE && !cpu_kicked());
	if (z->done == PAGE_SIZE)
		page_finish(z);
	return true;
}
