/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory: slots, frames on first touch, copies (M43, M44: the guest sees contiguous memory,
 * the frames are scattered; M51: memory on demand). */
#include "frames.h"

#include "gmem.h"

/* A PC in small: low memory, ROM below 1 MiB, memory to 3 MiB + 12 KiB, and some above 4 GiB. */
#define LOW_END 0xa0000ull
#define ROM 0xe0000ull
#define TOP (0x300000ull + 0x3000)
#define HIGH (4ull << 30)
#define HIGH_SIZE (4 * PAGE_SIZE_2M)

static struct ept ept;
static struct gmem mem;

static void machine_create(unsigned order)
{
	static const struct ept_options opt = {.pages_1g = true, .pages_2m = true};

	assert_int_equal(frames_in_use, 0);
	assert_int_equal(ept_init(&ept, &opt), 0);
	gmem_init(&mem, &ept, order, ~0ull >> 1);
	assert_int_equal(gmem_add_slot(&mem, 0, LOW_END, 0), 0);
	assert_int_equal(gmem_add_slot(&mem, ROM, 0x100000 - ROM, GMEM_READONLY), 0);
	assert_int_equal(gmem_add_slot(&mem, 0x100000, TOP - 0x100000, 0), 0);
	assert_int_equal(gmem_add_slot(&mem, HIGH, HIGH_SIZE, 0), 0);
}

struct tally {
	u64 pages, contiguous;
	hpa_t next;
};

static void count_leaf(void *opaque, gpa_t gpa, const struct ept_leaf *leaf)
{
	struct tally *n = opaque;

	assert_non_null(gmem_slot_of(&mem, gpa));
	assert_ptr_equal(gmem_slot_of(&mem, gpa), gmem_slot_of(&mem, gpa + leaf->size - 1));
	assert_int_equal(leaf->memtype, EPT_WB);
	for (hpa_t f = leaf->hpa; f < leaf->hpa + leaf->size; f += PAGE_SIZE)
		assert_int_equal(frame_used[((u8 *)phys_to_virt(f) - frames_base) / PAGE_SIZE], 1);
	n->contiguous += leaf->hpa == n->next;
	n->next = leaf->hpa + leaf->size;
	n->pages += leaf->size / PAGE_SIZE;
}

/* Every frame of the machine is a table or mapped, and the books agree. */
static struct tally machine_check(void)
{
	struct tally n = {0};

	ept_for_each(&ept, count_leaf, &n);
	assert_int_equal(n.pages, mem.populated_pages);
	assert_int_equal(n.pages + ept.table_pages, frames_in_use);
	return n;
}

static void machine_destroy(void)
{
	machine_check();
	gmem_destroy(&mem);
	ept_destroy(&ept);
	assert_int_equal(frames_in_use, 0);
}

static u64 leaf_size(gpa_t gpa)
{
	struct ept_leaf leaf;

	return ept_lookup(&ept, gpa, &leaf) ? 0 : leaf.size;
}

static void test_slots(void **state)
{
	(void)state;
	machine_create(0);
	assert_int_equal(gmem_add_slot(&mem, 0x9f000, 0x2000, 0), ERR_EXIST);
	assert_int_equal(gmem_add_slot(&mem, 0, HIGH, 0), ERR_EXIST);
	assert_int_equal(gmem_add_slot(&mem, HIGH + HIGH_SIZE - 0x1000, 0x1000, 0), ERR_EXIST);
	assert_int_equal(gmem_add_slot(&mem, 0xb0000, 0, 0), ERR_INVAL);
	assert_int_equal(gmem_add_slot(&mem, 0xb0800, 0x1000, 0), ERR_INVAL);
	assert_int_equal(gmem_add_slot(&mem, 0xb0000, 0x800, 0), ERR_INVAL);
	assert_int_equal(gmem_add_slot(&mem, 1ull << 48, 0x1000, 0), ERR_RANGE);
	assert_int_equal(gmem_add_slot(&mem, HIGH * 2, 0 - HIGH, 0), ERR_RANGE);
	for (unsigned i = mem.nr_slots; i < GMEM_MAX_SLOTS; i++)
		assert_int_equal(gmem_add_slot(&mem, HIGH * (i + 1), 0x1000, 0), 0);
	assert_int_equal(gmem_add_slot(&mem, HIGH * 100, 0x1000, 0), ERR_NOMEM);
	assert_null(gmem_slot_of(&mem, LOW_END));
	assert_null(gmem_slot_of(&mem, ~0ull));
	assert_null(gmem_slot_of(&mem, TOP));
	assert_int_equal(gmem_slot_of(&mem, TOP - 1)->base, 0x100000);
	assert_int_equal(gmem_slot_of(&mem, ROM)->flags, GMEM_READONLY);
	machine_destroy();
}

static void test_populate_sizes(void **state)
{
	(void)state;
	machine_create(9);
	/* No 2 MiB page may reach into a hole or another slot, before it or behind it. */
	assert_int_equal(gmem_populate(&mem, 0x1ff000), 0);
	assert_int_equal(leaf_size(0x1ff000), PAGE_SIZE);
	assert_int_equal(gmem_populate(&mem, LOW_END - 1), 0);
	assert_int_equal(leaf_size(LOW_END - 1), PAGE_SIZE);
	assert_int_equal(leaf_size(LOW_END), 0);
	assert_int_equal(gmem_populate(&mem, LOW_END), ERR_FAULT);
	assert_int_equal(gmem_populate(&mem, TOP - 1), 0);
	assert_int_equal(leaf_size(TOP - 1), PAGE_SIZE);
	shim_polls = 0;
	assert_int_equal(gmem_populate(&mem, HIGH + PAGE_SIZE_2M + 0x5678), 0);
	assert_int_equal(leaf_size(HIGH + PAGE_SIZE_2M), PAGE_SIZE_2M);
	assert_int_equal(shim_polls, 0); /* the caller may hold a lock that an interrupt handler takes */
	assert_int_equal(leaf_size(HIGH), 0);
	assert_int_equal(mem.populated_pages, 3 + 512);
	assert_int_equal(gmem_populate(&mem, HIGH + PAGE_SIZE_2M), 0); /* again: nothing to do */
	assert_int_equal(mem.populated_pages, 3 + 512);
	assert_int_equal(ept.flush_gen, 0);
	/* A hole in a table of 4 KiB pages is filled with a 4 KiB page. */
	mem.page_order = 0;
	assert_int_equal(gmem_populate(&mem, HIGH), 0);
	mem.page_order = 18;
	assert_int_equal(gmem_populate(&mem, HIGH + 0x1000), 0);
	assert_int_equal(leaf_size(HIGH + 0x1000), PAGE_SIZE);
	machine_destroy();
}

static void test_populate_1g(void **state)
{
	(void)state;
	machine_create(18);
	assert_int_equal(gmem_add_slot(&mem, 2 * HIGH, 2 * PAGE_SIZE_1G, 0), 0);
	assert_int_equal(gmem_fault(&mem, 2 * HIGH + PAGE_SIZE_1G + 77, EPT_R), 0);
	assert_int_equal(leaf_size(2 * HIGH + PAGE_SIZE_1G), PAGE_SIZE_1G);
	assert_int_equal(shim_polls, 16384); /* interrupts come through while it is zeroed */
	assert_int_equal(gmem_fault(&mem, HIGH, EPT_R), 0);
	assert_int_equal(leaf_size(HIGH), PAGE_SIZE_2M); /* the slot is too small for 1 GiB */
	ept.opt.pages_1g = false;
	assert_int_equal(gmem_fault(&mem, 2 * HIGH + PAGE_SIZE_2M, EPT_R), 0);
	assert_int_equal(leaf_size(2 * HIGH + PAGE_SIZE_2M), PAGE_SIZE_2M);
	ept.opt.pages_2m = false;
	assert_int_equal(gmem_populate(&mem, HIGH + PAGE_SIZE_2M), 0);
	assert_int_equal(leaf_size(HIGH + PAGE_SIZE_2M), PAGE_SIZE);
	machine_destroy();
}

static void test_limit(void **state)
{
	(void)state;
	machine_create(9);
	mem.limit_pages = 514;
	assert_int_equal(gmem_populate(&mem, HIGH), 0);
	assert_int_equal(gmem_populate(&mem, HIGH + PAGE_SIZE_2M), 0); /* 4 KiB: the rest is too small */
	assert_int_equal(leaf_size(HIGH + PAGE_SIZE_2M), PAGE_SIZE);
	assert_int_equal(gmem_populate(&mem, 0), 0);
	assert_int_equal(gmem_populate(&mem, 0x1000), ERR_NOMEM);
	assert_int_equal(gmem_write(&mem, 0x1000, "x", 1), ERR_NOMEM);
	assert_int_equal(gmem_set(&mem, 0x1000, 1, 1), ERR_NOMEM);
	assert_null(gmem_ptr(&mem, 0x1000, 1));
	assert_int_equal(mem.populated_pages, 514);
	machine_destroy();
}

static void fill(u8 *p, size_t n, unsigned salt)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (u8)(i * 31 + i / 256 + salt);
}

/* M44: only single frames, none beside the other, and still one memory. */
static void test_scattered_frames(void **state)
{
	const size_t size = TOP - 0x100000;
	u8 *out = malloc(size), *in = malloc(size);
	struct tally n;

	(void)state;
	machine_create(9);
	frames_max_order = 0;
	fill(out, size, 3);
	assert_int_equal(gmem_write(&mem, 0x100000, out, size), 0);
	assert_int_equal(gmem_read(&mem, 0x100000, in, size), 0);
	assert_memory_equal(in, out, size);
	n = machine_check();
	assert_int_equal(n.pages, size / PAGE_SIZE);
	assert_int_equal(n.contiguous, 0);
	frames_max_order = 18;
	machine_destroy();
	free(out);
	free(in);
}

static void test_copy(void **state)
{
	u8 out[3 * 4096], in[3 * 4096];

	(void)state;
	machine_create(0);
	/* Across pages, and from ROM to the RAM behind it. */
	fill(out, sizeof(out), 1);
	assert_int_equal(gmem_write(&mem, 0x100000 - 0x1234, out, sizeof(out)), 0);
	assert_int_equal(gmem_read(&mem, 0x100000 - 0x1234, in, sizeof(in)), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(mem.populated_pages, 4);
	assert_int_equal(gmem_dma_write(&mem, 0x100000 - 1, out, 2), ERR_FAULT);
	assert_int_equal(gmem_dma_write(&mem, 0x100000, out + 5, 2), 0);
	assert_int_equal(gmem_read(&mem, 0xfffff, in, 3), 0);
	assert_int_equal(in[0], out[0x1233]);
	assert_memory_equal(in + 1, out + 5, 2);
	/* What was never touched reads as zeros and stays unpopulated. */
	assert_int_equal(gmem_read(&mem, HIGH + 0xfff, in, 4098), 0);
	for (unsigned i = 0; i < 4098; i++)
		assert_int_equal(in[i], 0);
	assert_int_equal(gmem_set(&mem, HIGH, 0, HIGH_SIZE), 0);
	assert_int_equal(mem.populated_pages, 4);
	assert_int_equal(gmem_set(&mem, HIGH + 4095, 0x77, 4098), 0);
	assert_int_equal(mem.populated_pages, 7);
	assert_int_equal(gmem_set(&mem, HIGH + 4096, 0, 4096), 0);
	assert_int_equal(gmem_read(&mem, HIGH + 4094, in, 4100), 0);
	assert_int_equal(in[0], 0);
	assert_int_equal(in[1], 0x77);
	assert_int_equal(in[2], 0);
	assert_int_equal(in[4097], 0);
	assert_int_equal(in[4098], 0x77);
	assert_int_equal(in[4099], 0);
	assert_int_equal(gmem_read(&mem, 0x5000, NULL, 0), 0);
	machine_destroy();
}

/* Addresses of a hostile guest: nothing is copied when one byte is wrong. */
static void test_copy_outside(void **state)
{
	static const struct {
		gpa_t gpa;
		size_t n;
	} bad[] = {
	    {LOW_END - 1, 2},       {LOW_END, 1},    {TOP - 8, 9},        {HIGH - 1, 2},
	    {HIGH + HIGH_SIZE, 1},  {~0ull, 1},      {~0ull, 2},          {0, ~(size_t)0},
	    {HIGH, ~(size_t)0},     {1ull << 48, 8}, {0 - 4096ull, 8192}, {0x8000000000000000ull, 4096},
	    {LOW_END - 4096, 8192},
	};
	static u8 buffer[8192];

	(void)state;
	machine_create(0);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(buffer, 0x5a, sizeof(buffer));
		assert_int_equal(gmem_read(&mem, bad[i].gpa, buffer, bad[i].n), ERR_FAULT);
		assert_int_equal(buffer[0], 0x5a);
		assert_int_equal(gmem_write(&mem, bad[i].gpa, buffer, bad[i].n), ERR_FAULT);
		assert_int_equal(gmem_dma_write(&mem, bad[i].gpa, buffer, bad[i].n), ERR_FAULT);
		assert_int_equal(gmem_set(&mem, bad[i].gpa, 1, bad[i].n), ERR_FAULT);
	}
	assert_int_equal(gmem_populate(&mem, ~0ull), ERR_FAULT);
	assert_int_equal(gmem_fault(&mem, 1ull << 50, EPT_R), ERR_FAULT);
	assert_int_equal(gmem_hide(&mem, LOW_END), ERR_FAULT);
	assert_int_equal(mem.populated_pages, 0);
	machine_destroy();
}

static void test_ptr(void **state)
{
	u8 *p;

	(void)state;
	machine_create(9);
	p = gmem_ptr(&mem, HIGH + 0x1ffc, 4);
	assert_non_null(p);
	memcpy(p, "abcd", 4);
	assert_ptr_equal(gmem_ptr(&mem, HIGH + 0x1000, 4096), p - 0xffc);
	assert_ptr_equal(gmem_ptr(&mem, HIGH + 0x2000, 1), p + 4); /* one 2 MiB page */
	assert_null(gmem_ptr(&mem, HIGH + 0x1ffc, 5));
	assert_null(gmem_ptr(&mem, HIGH, 4097));
	assert_null(gmem_ptr(&mem, HIGH + 1, 4096));
	assert_null(gmem_ptr(&mem, HIGH, 0));
	assert_null(gmem_ptr(&mem, HIGH + 8, ~(size_t)0));
	assert_null(gmem_ptr(&mem, LOW_END, 1));
	assert_null(gmem_ptr(&mem, ~0ull, 1));
	assert_non_null(gmem_ptr(&mem, ROM, 1));
	machine_destroy();
}

static void test_fault(void **state)
{
	struct ept_leaf leaf;

	(void)state;
	machine_create(9);
	assert_int_equal(gmem_fault(&mem, 0x3008, EPT_W), 0);
	assert_int_equal(ept_lookup(&ept, 0x3008, &leaf), 0);
	assert_int_equal(leaf.perms, EPT_RWX);
	assert_int_equal(gmem_fault(&mem, ROM, EPT_W), ERR_FAULT);
	assert_int_equal(gmem_fault(&mem, ROM, EPT_R | EPT_W), ERR_FAULT);
	assert_int_equal(mem.populated_pages, 1);
	assert_int_equal(gmem_fault(&mem, ROM, EPT_X), 0);
	assert_int_equal(ept_lookup(&ept, ROM, &leaf), 0);
	assert_int_equal(leaf.perms, EPT_R | EPT_X);
	machine_destroy();
}

static void test_hide(void **state)
{
	struct ept_leaf before, after;
	u64 gen;

	(void)state;
	machine_create(9);
	assert_int_equal(gmem_hide(&mem, 0x4000), 0); /* nothing there: nothing to do */
	assert_int_equal(gmem_write(&mem, HIGH + 0x3000, "kept", 5), 0);
	assert_int_equal(ept_lookup(&ept, HIGH + 0x3000, &before), 0);
	gen = ept.flush_gen;
	assert_int_equal(gmem_hide(&mem, HIGH + 0x3abc), 0);
	assert_true(ept.flush_gen > gen);
	assert_int_equal(ept_lookup(&ept, HIGH + 0x3000, &after), 0);
	assert_int_equal(after.perms, 0);
	assert_string_equal(gmem_ptr(&mem, HIGH + 0x3000, 5), "kept");
	assert_int_equal(gmem_fault(&mem, HIGH + 0x3010, EPT_R), 0);
	assert_int_equal(ept_lookup(&ept, HIGH + 0x3000, &after), 0);
	assert_int_equal(after.perms, EPT_RWX);
	assert_int_equal(after.hpa, before.hpa + 0x3000);
	assert_int_equal(mem.populated_pages, 512);
	assert_int_equal(gmem_populate(&mem, ROM), 0);
	assert_int_equal(gmem_hide(&mem, ROM), 0);
	assert_int_equal(gmem_fault(&mem, ROM, EPT_X), 0);
	assert_int_equal(ept_lookup(&ept, ROM, &after), 0);
	assert_int_equal(after.perms, EPT_R | EPT_X);
	machine_destroy(); /* the 2 MiB block goes back in 512 pieces */
}

static void test_tlb(void **state)
{
	struct gmem_tlb tlb;
	u8 *p, *q;

	(void)state;
	machine_create(0);
	gmem_tlb_reset(&tlb);
	p = gmem_tlb_ptr(&mem, &tlb, 0x3ff8, 8);
	assert_non_null(p);
	assert_ptr_equal(p, gmem_ptr(&mem, 0x3ff8, 8));
	assert_int_equal(tlb.entry[3].page, 0x3000);
	assert_ptr_equal(gmem_tlb_ptr(&mem, &tlb, 0x3000, 4096), p - 0xff8);
	assert_null(gmem_tlb_ptr(&mem, &tlb, 0x3ff9, 8));
	assert_null(gmem_tlb_ptr(&mem, &tlb, 0x3000, 0));
	assert_null(gmem_tlb_ptr(&mem, &tlb, 0x3000, 4097));
	assert_null(gmem_tlb_ptr(&mem, &tlb, 0x3000, ~(size_t)0));
	assert_null(gmem_tlb_ptr(&mem, &tlb, LOW_END, 1));
	for (u64 place = PAGE_SIZE; place; place <<= 1) /* whatever an empty entry looks like */
		assert_ptr_equal(gmem_tlb_ptr(&mem, &tlb, place + 8, 8), gmem_ptr(&mem, place + 8, 8));
	gmem_tlb_reset(&tlb);
	p = gmem_tlb_ptr(&mem, &tlb, 0x3ff8, 8);
	/* Same place in the cache, another page. */
	q = gmem_tlb_ptr(&mem, &tlb, 0x13ff8, 8);
	assert_ptr_not_equal(p, q);
	assert_ptr_equal(gmem_tlb_ptr(&mem, &tlb, 0x13ff8, 8), q);
	assert_ptr_equal(gmem_tlb_ptr(&mem, &tlb, 0x3ff8, 8), p);
	/* The page gets another frame: the old pointer is not handed out again, also when another page
	 * was the first to notice. */
	assert_non_null(gmem_tlb_ptr(&mem, &tlb, 0x6000, 8));
	p = gmem_tlb_ptr(&mem, &tlb, 0x5000, 8);
	q = phys_to_virt(page_alloc(0));
	assert_int_equal(ept_map(&ept, 0x5000, virt_to_phys(q), PAGE_SIZE, EPT_RWX, EPT_WB), 0);
	page_free(virt_to_phys(p), 0);
	assert_non_null(gmem_tlb_ptr(&mem, &tlb, 0x6000, 8));
	assert_ptr_equal(gmem_tlb_ptr(&mem, &tlb, 0x5000, 8), q);
	machine_destroy();
}

/* Of a large page every part is known after the first; when it is split, none is. */
static void test_tlb_large(void **state)
{
	struct gmem_tlb tlb;
	u8 *p, *q;

	(void)state;
	machine_create(9);
	gmem_tlb_reset(&tlb);
	p = gmem_tlb_ptr(&mem, &tlb, HIGH + 0x3ff8, 8);
	assert_non_null(p);
	assert_int_equal(tlb.large[HIGH / GMEM_LARGE % GMEM_TLB_LARGE].page, HIGH);
	assert_ptr_equal(gmem_tlb_ptr(&mem, &tlb, HIGH + 0x1ff000, 4096), p - 0x3ff8 + 0x1ff000);
	assert_ptr_equal(gmem_tlb_ptr(&mem, &tlb, HIGH + 0x100001, 1), p - 0x3ff8 + 0x100001);
	assert_null(gmem_tlb_ptr(&mem, &tlb, HIGH + 0x55ff9, 8));
	assert_null(gmem_tlb_ptr(&mem, &tlb, HIGH + 0x55000, 4097));
	assert_int_equal(gmem_tlb_span(&mem, &tlb, HIGH + 0x1001, GMEM_LARGE, &q), GMEM_LARGE - 0x1001);
	/* Another one in the same place, and back. */
	q = gmem_tlb_ptr(&mem, &tlb, HIGH + 4 * GMEM_LARGE, 8);
	assert_true(!q || q != p);
	assert_ptr_equal(gmem_tlb_ptr(&mem, &tlb, HIGH + 0x7000, 8), p - 0x3ff8 + 0x7000);
	/* One of its pages gets another frame. */
	q = phys_to_virt(page_alloc(0));
	assert_int_equal(ept_map(&ept, HIGH + 0x9000, virt_to_phys(q), PAGE_SIZE, EPT_RWX, EPT_WB), 0);
	assert_ptr_equal(gmem_tlb_ptr(&mem, &tlb, HIGH + 0x9008, 8), q + 8);
	assert_ptr_equal(gmem_tlb_ptr(&mem, &tlb, HIGH + 0x8008, 8), p - 0x3ff8 + 0x8008);
	assert_int_not_equal(tlb.large[HIGH / GMEM_LARGE % GMEM_TLB_LARGE].page, HIGH);
	assert_int_equal(gmem_tlb_span(&mem, &tlb, HIGH + 0x9ff0, 64, &q), 16);
	page_free(virt_to_phys(p - 0x3ff8 + 0x9000), 0);
	machine_destroy();
}

/* What another CPU does between the look without the lock and the change with it. */
static void other_cpu_same_page(void)
{
	assert_int_equal(gmem_populate(&mem, HIGH + 0x5000), 0);
}

static void other_cpu_small_page(void)
{
	mem.page_order = 0;
	assert_int_equal(gmem_populate(&mem, HIGH + 0x7000), 0);
	mem.page_order = 9;
}

static void other_cpu_unmaps_table(void)
{
	struct ept_leaf leaf;

	assert_int_equal(ept_lookup(&ept, HIGH + 0x7000, &leaf), 0);
	assert_int_equal(ept_unmap(&ept, HIGH, HIGH_SIZE), 0);
	page_free(leaf.hpa, 0);
	mem.populated_pages--;
}

static void test_races(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= 9; order += 9) {
		machine_create(order);
		frames_hook = other_cpu_same_page;
		assert_int_equal(gmem_populate(&mem, HIGH + 0x5000), 0);
		assert_int_equal(mem.populated_pages, 1 << order);
		machine_destroy();
	}
	machine_create(9);
	frames_hook = other_cpu_small_page;
	assert_int_equal(gmem_populate(&mem, HIGH + 0x5000), 0);
	assert_int_equal(leaf_size(HIGH + 0x5000), PAGE_SIZE);
	assert_int_equal(mem.populated_pages, 2);
	machine_destroy();

	machine_create(0);
	assert_int_equal(gmem_populate(&mem, HIGH + 0x7000), 0);
	frames_hook = other_cpu_unmaps_table;
	assert_int_equal(gmem_populate(&mem, HIGH + 0x5000), 0);
	assert_int_equal(leaf_size(HIGH + 0x5000), PAGE_SIZE);
	machine_destroy();
}

/* Each allocation of a populate fails once, in both sizes; then it works. */
static void test_no_memory(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= 9; order += 9) {
		unsigned failures = 0;

		machine_create(order);
		for (long after = 0;; after++) {
			int rc;

			frames_fail_after = after;
			rc = gmem_populate(&mem, HIGH + 0x5000);
			frames_fail_after = -1;
			machine_check();
			if (rc == 0)
				break;
			assert_int_equal(rc, ERR_NOMEM);
			assert_int_equal(mem.populated_pages, 0);
			failures++;
		}
		assert_true(failures >= 1 && failures <= 8);
		frames_fail_after = 0;
		assert_int_equal(gmem_hide(&mem, HIGH + 0x5000), order ? ERR_NOMEM : 0);
		assert_int_equal(gmem_write(&mem, 0x2000, "x", 1), ERR_NOMEM);
		frames_fail_after = -1;
		machine_destroy();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_slots),
	    cmocka_unit_test(test_populate_sizes),
	    cmocka_unit_test(test_populate_1g),
	    cmocka_unit_test(test_limit),
	    cmocka_unit_test(test_scattered_frames),
	    cmocka_unit_test(test_copy),
	    cmocka_unit_test(test_copy_outside),
	    cmocka_unit_test(test_ptr),
	    cmocka_unit_test(test_fault),
	    cmocka_unit_test(test_hide),
	    cmocka_unit_test(test_tlb),
	    cmocka_unit_test(test_tlb_large),
	    cmocka_unit_test(test_races),
	    cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests_name("gmem (M43, M44, M51)", tests, NULL, NULL);
}
