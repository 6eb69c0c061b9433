/* SPDX-License-Identifier: Apache-2.0 */
/* Owns small memory. A slab is one page: a header with a bitmap, then objects of one size. Objects never
 * begin at a page's start, so an address that does is a block of whole pages. */
#include "host.h"
#include "list.h"
#include "log.h"
#include "page.h"
#include "spinlock.h"

#define SLAB_MAGIC 0x62616c73u
#define SLAB_HEADER 64u
#define BITMAP_WORDS 4

struct slab {
	struct list node; /* in its class while it has a free object */
	u32 magic;
	u16 class, nr_free;
	u64 used[BITMAP_WORDS];
};

/* What a page holds 252, 126, 84, 63, ... 3, 2 times; multiples of 16. */
static const u16 sizes[] = {16,  32,  48,  64,  96,  128,  192,  256, 336,
			    400, 496, 576, 672, 800, 1008, 1344, 2016};
#define NR_CLASSES ARRAY_SIZE(sizes)
_Static_assert(sizeof(struct slab) <= SLAB_HEADER, "the header fits");
_Static_assert((PAGE_SIZE - SLAB_HEADER) / 16 <= BITMAP_WORDS * 64, "a bit for each of the smallest");

static struct {
	struct spinlock lock;
	struct list partial[NR_CLASSES];
} heap;

void heap_init(void)
{
	for (unsigned i = 0; i < NR_CLASSES; i++)
		list_init(&heap.partial[i]);
}

static char *slab_objects(struct slab *s)
{
	return (char *)s + SLAB_HEADER;
}

static unsigned slab_count(unsigned class)
{
	return (unsigned)((PAGE_SIZE - SLAB_HEADER) / sizes[class]);
}

static struct slab *slab_new(unsigned class)
{
	hpa_t pa = page_alloc(0);
	struct slab *s;

	if (pa == PAGE_NONE)
		return NULL;
	s = phys_to_virt(pa);
	memset(s, 0, sizeof(*s));
	s->magic = SLAB_MAGIC;
	s->class = (u16) class;
	s->nr_free = (u16)slab_count(class);
	return s;
}

static void *slab_take(struct slab *s)
{
	unsigned word = 0, index;

	while (!~s->used[word])
		word++;
	index = word * 64 + bit_first(~s->used[word]);
	s->used[word] |= BIT(index % 64);
	if (!--s->nr_free)
		list_remove(&s->node);
	return slab_objects(s) + index * sizes[s->class];
}

static void *small_alloc(unsigned class)
{
	struct list *l = &heap.partial[class];
	struct slab *s;
	void *p;

	spin_lock(&heap.lock);
	if (list_empty(l)) {
		spin_unlock(&heap.lock); /* page_alloc() may call others, who use the heap */
		s = slab_new(class);
		if (!s)
			return NULL;
		spin_lock(&heap.lock);
		list_insert(l, &s->node);
	}
	p = slab_take(list_entry(l->next, struct slab, node));
	spin_unlock(&heap.lock);
	return p;
}

static void small_free(void *p)
{
	struct slab *s = (struct slab *)ALIGN_DOWN((uintptr_t)p, PAGE_SIZE);
	u64 offset = (u64)((char *)p - slab_objects(s)), index;
	bool empty;

	ASSERT(s->magic == SLAB_MAGIC && s->class < NR_CLASSES);
	index = offset / sizes[s->class];
	spin_lock(&heap.lock);
	if (offset % sizes[s->class] || index >= slab_count(s->class) ||
	    !(s->used[index / 64] & BIT(index % 64)))
		panic("heap: freeing %p, which is not allocated", p);
	s->used[index / 64] &= ~BIT(index % 64);
	if (!s->nr_free++)
		list_insert(&heap.partial[s->class], &s->node);
	empty = s->nr_free == slab_count(s->class);
	if (empty) {
		list_remove(&s->node);
		s->magic = 0;
	}
	spin_unlock(&heap.lock);
	if (empty)
		page_free(virt_to_phys(s), 0);
}

static void *large_alloc(size_t size)
{
	unsigned order = 0;

	while (order <= 18 && PAGE_SIZE << order < size)
		order++;
	if (order > 18)
		return NULL;
	hpa_t pa = page_alloc_zeroed(order);
	return pa == PAGE_NONE ? NULL : phys_to_virt(pa);
}

void *heap_alloc(size_t size)
{
	void *p;

	for (unsigned i = 0; i < NR_CLASSES; i++)
		if (size <= sizes[i]) {
			p = small_alloc(i);
			if (p)
				memset(p, 0, sizes[i]);
			return p;
		}
	return large_alloc(size);
}

void heap_free(void *p)
{
	int order;

	if (!p)
		return;
	if (!IS_ALIGNED((uintptr_t)p, PAGE_SIZE)) {
		small_free(p);
		return;
	}
	order = page_order(virt_to_phys(p));
	ASSERT(order >= 0);
	page_free(virt_to_phys(p), (unsigned)order);
}

size_t heap_size(const void *p)
{
	if (!p)
		return 0;
	if (IS_ALIGNED((uintptr_t)p, PAGE_SIZE))
		return PAGE_SIZE << page_order(virt_to_phys(p));
	const struct slab *s = (const struct slab *)ALIGN_DOWN((uintptr_t)p, PAGE_SIZE);
	ASSERT(s->magic == SLAB_MAGIC && s->class < NR_CLASSES);
	return sizes[s->class];
}
