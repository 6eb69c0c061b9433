/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory: slots, and frames for them when they are first touched. */
#include "gmem.h"

#include "entry.h"
#include "zero.h"

void gmem_init(struct gmem *m, struct ept *ept, unsigned page_order, u64 limit_pages)
{
	*m = (struct gmem){.ept = ept,
			   .page_order = page_order,
			   .limit_pages = limit_pages,
			   .pinned_limit = GMEM_PINNED_MAX};
}

int gmem_add_slot(struct gmem *m, gpa_t base, u64 length, u32 flags)
{
	if (!length || !IS_ALIGNED(base | length, PAGE_SIZE))
		return ERR_INVAL;
	if (base >= BIT(EPT_GPA_BITS) || length > BIT(EPT_GPA_BITS) - base)
		return ERR_RANGE;
	for (unsigned i = 0; i < m->nr_slots; i++) {
		const struct gmem_slot *s = &m->slots[i];

		if (base < s->base + s->length && s->base < base + length)
			return ERR_EXIST;
	}
	if (m->nr_slots == GMEM_MAX_SLOTS)
		return ERR_NOMEM;
	m->slots[m->nr_slots++] = (struct gmem_slot){.base = base, .length = length, .flags = flags};
	return 0;
}

const struct gmem_slot *gmem_slot_of(const struct gmem *m, gpa_t gpa)
{
	for (const struct gmem_slot *s = m->slots; s < m->slots + m->nr_slots; s++) {
		if (gpa - s->base < s->length)
			return s;
	}
	return NULL;
}

static u32 slot_perms(const struct gmem_slot *s)
{
	return s->flags & GMEM_READONLY ? EPT_R | EPT_X : EPT_RWX;
}

int gmem_check(const struct gmem *m, gpa_t gpa, u64 n, u64 align)
{
	const struct gmem_slot *s;

	if (gpa & (align - 1))
		return ERR_INVAL;
	if (n > PAGE_SIZE - gpa % PAGE_SIZE)
		return ERR_FAULT;
	s = gmem_slot_of(m, gpa);
	return s && !(s->flags & GMEM_READONLY) ? 0 : ERR_FAULT;
}

/* The size of page to try first: what page_order allows, the slot holds whole, and no table is in
 * the way of. Around 0xa0000, where slots end within 2 MiB, that is 4 KiB. */
static unsigned first_level(const struct gmem *m, const struct gmem_slot *s, gpa_t gpa, unsigned hole)
{
	unsigned level = hole;

	for (; level > 1; level--) {
		u64 size = level_size(level);
		gpa_t base = ALIGN_DOWN(gpa, size);
		bool allowed = level == 3 ? m->ept->opt.pages_1g : m->ept->opt.pages_2m;

		if (m->page_order >= 9 * (level - 1) && allowed && level < EPT_LEVELS && base >= s->base &&
		    base + size <= s->base + s->length)
			break;
	}
	return level;
}

/* Asked without the lock to spare work, and with it for the answer that counts. */
static bool within_limit(const struct gmem *m, unsigned level)
{
	u64 pages = __atomic_load_n(&m->populated_pages, __ATOMIC_RELAXED);

	return pages + (level_size(level) >> PAGE_SHIFT) <= m->limit_pages;
}

/* What is to be populated, and what a walk without the lock found there. */
struct hole {
	gpa_t gpa;
	const struct gmem_slot *slot;
	u64 flush_gen; /* before the walk */
	struct epte_walk walk;
};

/* Puts a frame where nothing is; the lock is held. ERR_EXIST: there is a leaf already, another CPU
 * was faster; ERR_AGAIN: it made a table, so that only smaller pages fit. */
static int frame_install(struct gmem *m, const struct hole *h, unsigned level, hpa_t frame)
{
	u64 *entry = h->walk.entry;

	if (!within_limit(m, level))
		return ERR_NOMEM;
	/* Unlinking a table changes flush_gen: the same value means that the entry is still in use. */
	if (h->walk.level != level || h->flush_gen != m->ept->flush_gen)
		entry = epte_reach(m->ept, h->gpa, level);
	if (!entry)
		return ERR_NOMEM;
	if (*entry)
		return epte_is_leaf(*entry) ? ERR_EXIST : ERR_AGAIN;
	/* Not present before, so no CPU has anything to flush. */
	__atomic_store_n(entry, epte_leaf(level, frame, slot_perms(h->slot), EPT_WB), __ATOMIC_RELEASE);
	__atomic_store_n(&m->populated_pages, m->populated_pages + (level_size(level) >> PAGE_SHIFT),
			 __ATOMIC_RELAXED);
	return 0;
}

/* The frame is allocated and zeroed before the lock is taken, for 2 MiB take a while. Who is not patient may
 * hold a device's lock, which an interrupt handler takes as well: none comes in. */
static int populate_at(struct gmem *m, const struct hole *h, unsigned level, bool patient)
{
	unsigned order = 9 * (level - 1);
	hpa_t frame;
	int rc;

	if (!within_limit(m, level))
		return ERR_NOMEM;
	frame = order ? zero_block_get(order, patient) : zero_page_get();
	if (frame == PAGE_NONE)
		return ERR_NOMEM;
	spin_lock(&m->ept->lock);
	rc = frame_install(m, h, level, frame);
	spin_unlock(&m->ept->lock);
	if (rc)
		page_free(frame, order);
	return rc == ERR_EXIST ? 0 : rc;
}

/* Gives a page that gmem_hide() hid its permissions back. */
static int unhide(struct gmem *m, const struct hole *h)
{
	u64 size = level_size(h->walk.level);

	return ept_protect(m->ept, ALIGN_DOWN(h->gpa, size), size, slot_perms(h->slot));
}

static int slot_populate(struct gmem *m, const struct gmem_slot *s, gpa_t gpa, bool patient)
{
	struct hole h = {.gpa = gpa, .slot = s};
	int rc = ERR_NOMEM;

	h.flush_gen = __atomic_load_n(&m->ept->flush_gen, __ATOMIC_ACQUIRE);
	h.walk = epte_walk(m->ept, gpa);
	if (h.walk.value & EPTE_RWX)
		return 0;
	if (epte_is_leaf(h.walk.value))
		return unhide(m, &h);
	unsigned level = first_level(m, s, gpa, h.walk.level);
	/* A page of 1 GiB would keep interrupts out for a tenth of a second. */
	for (level = patient ? level : MIN(level, 2u); level && rc; level--)
		rc = populate_at(m, &h, level, patient);
	return rc;
}

int gmem_populate(struct gmem *m, gpa_t gpa)
{
	const struct gmem_slot *s = gmem_slot_of(m, gpa);

	return s ? slot_populate(m, s, gpa, false) : ERR_FAULT;
}

int gmem_fault(struct gmem *m, gpa_t gpa, u32 access)
{
	const struct gmem_slot *s = gmem_slot_of(m, gpa);

	if (!s || (access & EPT_W && s->flags & GMEM_READONLY))
		return ERR_FAULT;
	return slot_populate(m, s, gpa, true);
}

int gmem_hide(struct gmem *m, gpa_t gpa)
{
	struct epte_walk w;
	const u8 *host;
	int rc;

	if (!gmem_slot_of(m, gpa))
		return ERR_FAULT;
	w = epte_walk(m->ept, gpa);
	if (!epte_is_leaf(w.value))
		return 0;
	host = (u8 *)phys_to_virt(w.value & EPTE_ADDR) + (gpa & (level_size(w.level) - 1));
	if (gmem_freeze(m, host))
		return ERR_AGAIN;
	rc = ept_protect(m->ept, ALIGN_DOWN(gpa, PAGE_SIZE), PAGE_SIZE, 0);
	gmem_thaw(m, host);
	return rc;
}

/* Frames were allocated a leaf at a time, or in larger blocks of which a split left pieces. */
static void frame_free(void *opaque, gpa_t gpa, const struct ept_leaf *leaf)
{
	struct gmem *m = opaque;

	if (gmem_slot_of(m, gpa))
		page_free(leaf->hpa, bit_first(leaf->size) - PAGE_SHIFT);
}

void gmem_destroy(struct gmem *m)
{
	/* Acquire: who unpinned the last page is through with it. */
	while (__atomic_load_n(&m->pinned_pages, __ATOMIC_ACQUIRE))
		cpu_poll_interrupts();
	ept_for_each(m->ept, frame_free, m);
	for (unsigned i = 0; i < m->nr_slots; i++)
		(void)ept_unmap(m->ept, m->slots[i].base, m->slots[i].length);
	m->populated_pages = 0;
	m->nr_slots = 0;
}
