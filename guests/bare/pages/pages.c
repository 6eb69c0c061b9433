/* SPDX-License-Identifier: Apache-2.0 */
/* What lies behind guest memory: it is there when first touched, in pages of the size that the VM's
 * configuration says, zeroed, and nobody else's (M43). `size=KIB` on the command line: 4, 2048 (the
 * default) or 1048576. */
#include "counters.h"
#include "page.h"
#include "test.h"

#define SPAN 0x1000000ULL /* 16 MiB are touched */
#define PAGE 4096ULL
#define LARGE 0x200000ULL
#define EXIT_EPT_VIOLATION 48

static u64 page_size_wanted(void)
{
	const char *s = test_option("size");
	u64 kib = 0;

	if (!s)
		return LARGE;
	for (; *s >= '0' && *s <= '9'; s++)
		kib = kib * 10 + (u64)(*s - '0');
	return kib << 10;
}

static u64 round_up(u64 value, u64 unit)
{
	return (value + unit - 1) / unit * unit;
}

/* Memory that nobody has touched, from where a page of that size begins. */
static bool span_find(u64 size, u64 *base)
{
	u64 start, end, unit = size > LARGE ? size : LARGE;

	mem_free_range(&start, &end);
	/* The page that holds start may be there already. */
	*base = round_up(start, unit);
	return *base + (size > SPAN ? size : SPAN) <= end;
}

static void page_size_test(void)
{
	u64 size = page_size_wanted(), base, dirty = 0, lost = 0;

	if (!counters_available()) {
		test_skip("nobody counts exits");
		return;
	}
	if (!expect(span_find(size, &base), "not enough memory for a page of %lu KiB", size >> 10))
		return;
	counters_snapshot();
	for (u64 p = base; p < base + SPAN; p += PAGE) {
		volatile u64 *words = (volatile u64 *)p;

		dirty += words[0] || words[PAGE / 8 - 1];
		words[0] = words[PAGE / 8 - 1] = p;
	}
	counters_stop();
	for (u64 p = base; p < base + SPAN; p += PAGE) {
		volatile u64 *words = (volatile u64 *)p;

		lost += words[0] != p || words[PAGE / 8 - 1] != p;
	}
	expect_eq(dirty, 0, "pages that were not zeroed");
	expect_eq(lost, 0, "pages that lost what was written");
	expect_eq(counters_difference(EXIT_EPT_VIOLATION), size > SPAN ? 1 : SPAN / size, "EPT violations");
}

const struct test guest_tests[] = {
    {"page-size", page_size_test, 0},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
