/* SPDX-License-Identifier: Apache-2.0 */
/* The walk of a guest's page tables: random tables of each paging mode against a plain reading of the
 * manual, accessed and dirty bits, hostile tables, the cache of walks. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gwalk.h"
#include "insn_gen.h"
#include "x86.h"

#define RAM_SIZE ((u64)64 * PAGE_SIZE)
#define ROM ((gpa_t)0xf0000000)

static struct ept ept;
static struct gmem mem;
static struct gmem_tlb tlb;
static struct gwalk_cache cache;
static struct gwalk_in in;
static struct gwalk_out out;

static int setup(void **state)
{
	static const struct ept_options opt = {.pages_2m = true};

	(void)state;
	assert_int_equal(ept_init(&ept, &opt), 0);
	gmem_init(&mem, &ept, 0, 1000);
	assert_int_equal(gmem_add_slot(&mem, 0, RAM_SIZE, 0), 0);
	assert_int_equal(gmem_add_slot(&mem, ROM, PAGE_SIZE, GMEM_READONLY), 0);
	gmem_tlb_reset(&tlb);
	gwalk_cache_init(&cache, &mem, &tlb);
	in = (struct gwalk_in){.cr0 = CR0_PG | CR0_PE | CR0_WP,
			       .cr3 = 0x1000,
			       .cr4 = CR4_PAE,
			       .efer = EFER_LMA | EFER_LME | EFER_NXE,
			       .phys_bits = 40,
			       .pages_1g = true};
	memset(&out, 0, sizeof(out));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gmem_destroy(&mem);
	ept_destroy(&ept);
	return 0;
}

static void put(gpa_t gpa, u64 value)
{
	assert_int_equal(gmem_write(&mem, gpa, &value, 8), 0);
}

static void put32(gpa_t gpa, u32 value)
{
	assert_int_equal(gmem_write(&mem, gpa, &value, 4), 0);
}

static u64 get(gpa_t gpa)
{
	u64 value;

	assert_int_equal(gmem_read(&mem, gpa, &value, 8), 0);
	return value;
}

static u32 get32(gpa_t gpa)
{
	return (u32)get(gpa);
}

static int walk(gva_t linear, u32 access)
{
	return gwalk(&mem, &tlb, &in, linear, access, &out);
}

#define RWU (PTE_P | PTE_W | PTE_U)

/* 0x1000 -> 0x2000 -> 0x3000 -> 0x4000: one page each of 4 KiB, 2 MiB, 1 GiB. */
static void plain_tables(void)
{
	put(0x1000 + 8 * 0x1a3, 0x2000 | RWU);
	put(0x2000 + 8 * 0x055, 0x3000 | RWU);
	put(0x2000 + 8 * 0x056, 0x1c0000000 | RWU | PTE_PS);
	put(0x3000 + 8 * 0x0f1, 0x4000 | RWU);
	put(0x3000 + 8 * 0x0f2, 0x40200000 | RWU | PTE_PS | PTE_PAT_LARGE);
	put(0x4000 + 8 * 0x1fe, 0x123456000 | RWU | PTE_PAT);
}
#define LINEAR(i4, i3, i2, i1, offset)                                                                       \
	((u64)((i64)((u64)(i4) << 55) >> 16) | (u64)(i3) << 30 | (u64)(i2) << 21 | (u64)(i1) << 12 | (offset))
#define PAGE_4K LINEAR(0x1a3, 0x055, 0x0f1, 0x1fe, 0xabc)
#define PAGE_2M LINEAR(0x1a3, 0x055, 0x0f2, 0x123, 0xabc)
#define PAGE_1G LINEAR(0x1a3, 0x056, 0x0f3, 0x123, 0xabc)

static void test_sizes(void **state)
{
	(void)state;
	plain_tables();
	assert_int_equal(PAGE_4K >> 47, 0x1ffff);
	assert_int_equal(walk(PAGE_4K, 0), 0);
	assert_int_equal(out.gpa, 0x123456abc);
	assert_int_equal(out.page_size, PAGE_SIZE);
	assert_int_equal(walk(PAGE_2M, 0), 0);
	assert_int_equal(out.gpa, 0x40200000 + 0x123abc);
	assert_int_equal(out.page_size, PAGE_SIZE_2M);
	assert_int_equal(walk(PAGE_1G, 0), 0);
	assert_int_equal(out.gpa, 0x1c0000000 + 0x1e723abc);
	assert_int_equal(out.page_size, PAGE_SIZE_1G);
	in.pages_1g = false; /* then PS is reserved there */
	assert_int_equal(walk(PAGE_1G, 0), ERR_FAULT);
	assert_int_equal(out.error_code, PF_P | PF_RSVD);
	in.cr0 = CR0_PE;
	assert_int_equal(walk(0xfedcba98, GWALK_WRITE), 0);
	assert_int_equal(out.gpa, 0xfedcba98);
}

/* Each entry used gets A, the last one D, and that only when the access is allowed. */
static void test_accessed_dirty(void **state)
{
	u64 *leaf;

	(void)state;
	plain_tables();
	in.cpl = 3;
	put(0x4000 + 8 * 0x1fe, 0x123456000 | PTE_P | PTE_U);
	assert_int_equal(walk(PAGE_4K, GWALK_WRITE), ERR_FAULT);
	assert_int_equal(out.error_code, PF_P | PF_W | PF_U);
	assert_int_equal(get(0x1000 + 8 * 0x1a3), 0x2000 | RWU);
	assert_int_equal(walk(PAGE_4K, 0), 0);
	assert_int_equal(get(0x1000 + 8 * 0x1a3), 0x2000 | RWU | PTE_A);
	assert_int_equal(get(0x2000 + 8 * 0x055), 0x3000 | RWU | PTE_A);
	assert_int_equal(get(0x3000 + 8 * 0x0f1), 0x4000 | RWU | PTE_A);
	assert_int_equal(get(0x4000 + 8 * 0x1fe), 0x123456000 | PTE_P | PTE_U | PTE_A);
	assert_int_equal(walk(PAGE_2M, GWALK_WRITE), 0);
	assert_int_equal(get(0x3000 + 8 * 0x0f2) & (PTE_A | PTE_D), PTE_A | PTE_D);
	assert_int_equal(get(0x2000 + 8 * 0x055) & PTE_D, 0);
	/* Tables in ROM: read, not written. */
	leaf = gmem_ptr(&mem, ROM, 8);
	*leaf = 0x5000 | RWU;
	put(0x3000 + 8 * 0x0f1, ROM | RWU);
	assert_int_equal(walk(LINEAR(0x1a3, 0x055, 0x0f1, 0, 0), GWALK_WRITE), 0);
	assert_int_equal(*leaf, 0x5000 | RWU);
	/* Tables where there is no memory read as all-ones: reserved bits. */
	put(0x3000 + 8 * 0x0f1, 0xe0000000 | RWU);
	assert_int_equal(walk(PAGE_4K, 0), ERR_FAULT);
	assert_int_equal(out.error_code, PF_P | PF_U | PF_RSVD);
	in.cr3 = 0xe0000000;
	assert_int_equal(walk(PAGE_4K, 0), ERR_FAULT);
}

static void test_32bit(void **state)
{
	(void)state;
	in.efer = 0;
	in.cr4 = CR4_PSE;
	put32(0x1000 + 4 * 0x3fe, 0x2000 | RWU);
	put32(0x2000 + 4 * 0x123, 0xfedcb000 | RWU);
	put32(0x1000 + 4 * 0x3fd, 0x40000000 | 0x5a << 13 | RWU | PTE_PS);
	assert_int_equal(walk(0xff923456, GWALK_WRITE), 0);
	assert_int_equal(out.gpa, 0xfedcb456);
	assert_int_equal(get32(0x1000 + 4 * 0x3fe), 0x2000 | RWU | PTE_A);
	assert_int_equal(get32(0x2000 + 4 * 0x123), 0xfedcb000 | RWU | PTE_A | PTE_D);
	assert_int_equal(get32(0x2000 + 4 * 0x124), 0); /* the neighbour */
	assert_int_equal(walk(0xff654321, 0), 0);       /* PSE-36 */
	assert_int_equal(out.gpa, 0x5a40254321);
	assert_int_equal(out.page_size, 4 << 20);
	in.phys_bits = 36;
	assert_int_equal(walk(0xff654321, 0), ERR_FAULT);
	assert_int_equal(out.error_code, PF_P | PF_RSVD);
	put32(0x1000 + 4 * 0x3fd, 0x40000000 | 0xa << 13 | RWU | PTE_PS);
	assert_int_equal(walk(0xff654321, 0), 0);
	assert_int_equal(out.gpa, 0xa40254321);
	put32(0x1000 + 4 * 0x3fd, 0x40200000 | RWU | PTE_PS);
	assert_int_equal(walk(0xff654321, 0), ERR_FAULT);
	/* Without CR4.PSE the bit is ignored: a page table. */
	in.cr4 = 0;
	put32(0x1000 + 4 * 0x3fd, 0x2000 | RWU | PTE_PS);
	assert_int_equal(walk(0xff523456, 0), 0);
	assert_int_equal(out.gpa, 0xfedcb456);
	/* No XD here, and its error-code bit only with SMEP. */
	in.cpl = 3;
	assert_int_equal(walk(0xff923456, GWALK_FETCH), 0);
	assert_int_equal(walk(0x00000000, GWALK_FETCH), ERR_FAULT);
	assert_int_equal(out.error_code, PF_U);
	in.cr4 = CR4_SMEP;
	assert_int_equal(walk(0x00000000, GWALK_FETCH), ERR_FAULT);
	assert_int_equal(out.error_code, PF_U | PF_I);
	in.cpl = 0;
	assert_int_equal(walk(0xff923456, GWALK_FETCH), ERR_FAULT);
	assert_int_equal(out.error_code, PF_P | PF_I);
}

static void test_pae(void **state)
{
	(void)state;
	in.efer = EFER_NXE;
	in.cr3 = 0x1020; /* memory there holds no PDPTEs: the registers count */
	in.pdpte[2] = 0x2000 | PTE_P;
	put(0x2000 + 8 * 0x101, 0x3000 | RWU);
	put(0x2000 + 8 * 0x102, 0x80600000 | RWU | PTE_PS);
	put(0x3000 + 8 * 0x033, 0x987654000 | RWU | PTE_NX);
	assert_int_equal(walk(0xa0233abc, GWALK_WRITE), 0);
	assert_int_equal(out.gpa, 0x987654abc);
	assert_int_equal(walk(0xa0433abc, 0), 0);
	assert_int_equal(out.gpa, 0x80633abc);
	assert_int_equal(walk(0xa0233abc, GWALK_FETCH), ERR_FAULT);
	assert_int_equal(out.error_code, PF_P | PF_I);
	in.efer = 0;
	assert_int_equal(walk(0xa0233abc, 0), ERR_FAULT);
	assert_int_equal(out.error_code, PF_P | PF_RSVD);
	put(0x3000 + 8 * 0x033, 0x987654000 | RWU | BIT(58)); /* ignored in 4-level paging only */
	assert_int_equal(walk(0xa0233abc, 0), ERR_FAULT);
	assert_int_equal(out.error_code, PF_P | PF_RSVD);
	assert_int_equal(walk(0x20233abc, 0), ERR_FAULT);
	assert_int_equal(out.error_code, 0);
}

/* ---- against a plain reading of the manual ---- */
struct expected {
	int err;
	gpa_t gpa;
	u32 error;
};

/* Volume 3, 4.6.1 and 4.7, one sentence after the other. u, w, x: what all entries together permit. */
static struct expected judge(bool u, bool w, bool x, bool reserved, bool present, gpa_t gpa, u32 access)
{
	bool user = in.cpl == 3 && !(access & GWALK_IMPLICIT), ok;
	bool write = access & GWALK_WRITE, fetch = access & GWALK_FETCH;
	bool smap = in.cr4 & CR4_SMAP, smep = in.cr4 & CR4_SMEP, wp = in.cr0 & CR0_WP;
	bool explicit_ac = in.ac && !(access & GWALK_IMPLICIT);
	struct expected e = {.gpa = gpa};

	if (!user && !u)
		ok = fetch ? x : write ? w || !wp : true;
	else if (!user && fetch)
		ok = x && !smep;
	else if (!user)
		ok = (!smap || explicit_ac) && (!write || w || !wp);
	else
		ok = u && (fetch ? x : write ? w : true);
	if (write && fetch) /* does not exist */
		abort();
	if (present && !reserved && ok)
		return e;
	e.err = ERR_FAULT;
	e.error = present | (write ? 2 : 0) | (user ? 4 : 0) | (present && reserved ? 8 : 0) |
		  (fetch && (smep || (in.cr4 & CR4_PAE && in.efer & EFER_NXE)) ? 16 : 0);
	return e;
}

static u64 entry_at(gpa_t gpa)
{
	u64 value;

	return gmem_read(&mem, gpa, &value, 8) ? ~(u64)0 : value;
}

/* 4-level paging and PAE, from memory. */
static struct expected reference(gva_t linear, u32 access)
{
	bool u = true, w = true, x = true, four = in.efer & EFER_LMA, nxe = in.efer & EFER_NXE;
	gpa_t table = four ? in.cr3 & ~(u64)0xfff : in.pdpte[linear >> 30 & 3] & ~(u64)0xfff;

	if (!four && !(in.pdpte[linear >> 30 & 3] & 1))
		return judge(u, w, x, false, false, 0, access);
	for (int shift = four ? 39 : 21;; shift -= 9) {
		u64 e = entry_at(table + 8 * (linear >> shift & 511)), size = (u64)1 << shift;
		bool large = shift < 39 && shift > 12 && e & 0x80;
		bool reserved = e >> in.phys_bits & (((u64)1 << (52 - in.phys_bits)) - 1);
		if (!(e & 1))
			return judge(u, w, x, false, false, 0, access);
		reserved |= !nxe && e >> 63;
		reserved |= !four && e >> 52 & 0x7ff;
		reserved |= shift == 39 && e & 0x80;
		reserved |= shift == 30 && e & 0x80 && !in.pages_1g;
		reserved |= large && e % size >> 13;
		u = u && e & 4;
		w = w && e & 2;
		x = x && !(e >> 63);
		if (reserved)
			return judge(u, w, x, true, true, 0, access);
		table = e & 0xffffffffff000;
		if (shift == 12 || large)
			return judge(u, w, x, false, true, table / size * size + linear % size, access);
	}
}

static u64 random_entry(gpa_t table)
{
	u64 e = table | PTE_P | PTE_W | PTE_U;

	if (!gen_below(20))
		e &= ~PTE_P;
	if (!gen_below(5))
		e &= ~PTE_W;
	if (!gen_below(4))
		e &= ~PTE_U;
	if (!gen_below(10))
		e |= PTE_NX;
	if (!gen_below(8))
		e |= PTE_PS;
	if (e & PTE_PS && gen_below(8))
		e &= ~(u64)0x3fffe000;
	if (!gen_below(30))
		e |= BIT(12 + gen_below(51));
	return e | (gen_random() & (PTE_A | PTE_D | PTE_G | PTE_PWT));
}

/* One thing at a time: the cache of walks must notice each. */
static void change_state(void)
{
	switch (gen_below(9)) {
	case 0:
		in.cr0 ^= CR0_WP;
		break;
	case 1:
		in.cr4 ^= CR4_SMEP;
		break;
	case 2:
		in.cr4 ^= CR4_SMAP;
		break;
	case 3:
		in.efer ^= EFER_NXE;
		break;
	case 4:
		in.cpl ^= 3;
		break;
	case 5:
		in.ac = !in.ac;
		break;
	case 6:
		in.pages_1g = !in.pages_1g;
		break;
	case 7:
		in.phys_bits = (u8)(36 + gen_below(17));
		break;
	default:
		if (!gen_below(8))
			in.efer ^= EFER_LMA | EFER_LME;
		in.pdpte[gen_below(4)] = 0x2000 | (gen_below(10) ? PTE_P : 0);
	}
}

static void check_same(int err, const struct expected *e, gva_t linear, u32 access)
{
	if (err != e->err || (!err && out.gpa != e->gpa) || (err && out.error_code != e->error))
		fail_msg("linear %lx access %u cr0 %lx cr4 %lx efer %lx cpl %u: %d, gpa %lx error %x; "
			 "expected %d, gpa "
			 "%lx error %x",
			 (unsigned long)linear, access, (unsigned long)in.cr0, (unsigned long)in.cr4,
			 (unsigned long)in.efer, in.cpl, err, (unsigned long)out.gpa, out.error_code, e->err,
			 (unsigned long)e->gpa, e->error);
}

/* One page of tables at each level; some entries change between walks, as a guest's would. Plain and cached
 * walks must agree with the reference at every moment. */
static void test_random(void **state)
{
	static const u32 accesses[] = {0, GWALK_WRITE, GWALK_FETCH, GWALK_IMPLICIT,
				       GWALK_IMPLICIT | GWALK_WRITE};
	unsigned allowed = 0, rounds = 50000;

	(void)state;
	print_message("SEED=%#lx\n", (unsigned long)gen_seed());
	for (unsigned i = 0; i < rounds; i++) {
		if (i % 7 == 0) {
			unsigned level = gen_below(4), slot = gen_below(2);
			put(0x1000 * (level + 1) + 8 * slot, random_entry(0x2000 + 0x1000 * level));
		}
		if (i % 500 == 0)
			ept.flush_gen++;
		gva_t linear =
		    LINEAR(gen_below(2), gen_below(2), gen_below(2), gen_below(2), gen_below(4096));
		if (!(in.efer & EFER_LMA))
			linear = (u32)linear;
		u32 access = accesses[gen_below(ARRAY_SIZE(accesses))];
		for (unsigned k = 0; k < 3; k++) {
			struct expected e = reference(linear, access);
			check_same(gwalk_cached(&cache, &in, linear, access, &out), &e, linear, access);
			check_same(gwalk_cached(&cache, &in, linear, access, &out), &e, linear, access);
			check_same(walk(linear, access), &e, linear, access);
			allowed += !e.err;
			change_state();
			if (!(in.efer & EFER_LMA))
				linear = (u32)linear;
		}
	}
	assert_in_range(allowed, rounds / 3, rounds * 8 / 3);
}

/* The cache must notice whatever changes: each entry, each register, and dirty bits that are cleared. */
static void test_cache(void **state)
{
	static const gpa_t entries[] = {0x1000 + 8 * 0x1a3, 0x2000 + 8 * 0x055, 0x3000 + 8 * 0x0f1,
					0x4000 + 8 * 0x1fe};

	(void)state;
	plain_tables();
	in.cpl = 3;
	for (unsigned i = 0; i < 4; i++) {
		u64 before = get(entries[i]) | PTE_A;
		assert_int_equal(gwalk_cached(&cache, &in, PAGE_4K, 0, &out), 0);
		assert_int_equal(gwalk_cached(&cache, &in, PAGE_4K, 0, &out), 0);
		put(entries[i], before & ~PTE_U);
		assert_int_equal(gwalk_cached(&cache, &in, PAGE_4K, 0, &out), ERR_FAULT);
		put(entries[i], before & ~PTE_A); /* as a guest that ages its pages */
		assert_int_equal(gwalk_cached(&cache, &in, PAGE_4K, 0, &out), 0);
		assert_int_equal(get(entries[i]), before);
	}
	assert_int_equal(gwalk_cached(&cache, &in, PAGE_4K, GWALK_WRITE, &out), 0);
	put(entries[3], get(entries[3]) & ~PTE_D);
	assert_int_equal(gwalk_cached(&cache, &in, PAGE_4K, GWALK_WRITE, &out), 0);
	assert_true(get(entries[3]) & PTE_D);
	put(entries[3], 0x777000 | RWU);
	assert_int_equal(gwalk_cached(&cache, &in, PAGE_4K, 0, &out), 0);
	assert_int_equal(out.gpa, 0x777abc);
	assert_int_equal(gwalk_cached(&cache, &in, PAGE_4K + 1, 0, &out), 0);
	assert_int_equal(out.gpa, 0x777abd);
	/* Large pages use fewer entries. */
	for (unsigned k = 0; k < 2; k++) {
		assert_int_equal(gwalk_cached(&cache, &in, PAGE_2M, 0, &out), 0);
		assert_int_equal(out.gpa, 0x40200000 + 0x123abc);
		assert_int_equal(out.page_size, PAGE_SIZE_2M);
	}
	in.cr3 = 0x8000;
	assert_int_equal(gwalk_cached(&cache, &in, PAGE_2M, 0, &out), ERR_FAULT);
}

/* ---- another vCPU writes the entry all the time ---- */
#define RACE_WALKS 100000  /* that succeed */
#define RACE_WRITES 100000 /* meanwhile */
#define RACE_TRIES 100000000

static volatile bool stop;
static u64 writes; /* atomic */

/* Counts in ignored bits 62:52 and clears A; whoever overwrites its value loses a count. */
static void *hammer(void *opaque)
{
	u64 *entry = opaque;

	for (u64 n = 0; !stop;) {
		u64 old = __atomic_load_n(entry, __ATOMIC_RELAXED);
		u64 next = (old & ~(PTE_A | (u64)0x7ff << 52)) | ((n + 1) & 0x7ff) << 52;
		if ((old >> 52 & 0x7ff) != (n & 0x7ff))
			return entry;
		n +=
		    __atomic_compare_exchange_n(entry, &old, next, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
		__atomic_store_n(&writes, n, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Until both have done so much, however seldom a busy machine lets them run at once. */
static void test_race(void **state)
{
	pthread_t thread;
	void *lost;
	unsigned good = 0, tries = 0;

	(void)state;
	plain_tables();
	u64 *entry = gmem_ptr(&mem, 0x4000 + 8 * 0x1fe, 8);
	stop = false;
	writes = 0;
	assert_int_equal(pthread_create(&thread, NULL, hammer, entry), 0);
	while ((good < RACE_WALKS || __atomic_load_n(&writes, __ATOMIC_RELAXED) < RACE_WRITES) &&
	       tries < RACE_TRIES) {
		int err = tries++ & 1 ? walk(PAGE_4K, 0) : gwalk_cached(&cache, &in, PAGE_4K, 0, &out);
		assert_true(err == 0 || err == ERR_AGAIN);
		if (!err)
			assert_int_equal(out.gpa, 0x123456abc);
		good += !err;
	}
	stop = true;
	pthread_join(thread, &lost);
	assert_null(lost);
	assert_in_range(tries, RACE_WALKS, RACE_TRIES - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_sizes),  TEST(test_accessed_dirty), TEST(test_32bit), TEST(test_pae),
	    TEST(test_random), TEST(test_cache),          TEST(test_race),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
