/* SPDX-License-Identifier: Apache-2.0 */
/* The Internet checksum against RFC 1071 done word by word: any length, any place, cut anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "checksum.h"
#include "lib.h"

static u16 plain(const u8 *p, u32 n)
{
	u32 sum = 0;

	for (u32 i = 0; i < n; i++)
		sum += i & 1 ? (u32)p[i] << 8 : p[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (u16)sum;
}

static void whole(void **state)
{
	u8 bytes[600];

	(void)state;
	srand(1);
	for (u32 i = 0; i < sizeof(bytes); i++)
		bytes[i] = (u8)rand();
	for (u32 from = 0; from < 9; from++)
		for (u32 n = 0; n + from <= sizeof(bytes); n++) {
			struct piece p = {bytes, sizeof(bytes)};
			assert_int_equal(checksum(&p, from, n), plain(bytes + from, n));
		}
}

/* The RFC's example, and the two forms of 0. */
static void known(void **state)
{
	u8 example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}, zeros[4] = {0}, ones[6];
	struct piece p = {example, 8};

	(void)state;
	assert_int_equal(checksum(&p, 0, 8), 0xf2dd); /* 0xddf2 in the order of the network */
	p = (struct piece){zeros, 4};
	assert_int_equal(checksum(&p, 0, 4), 0);
	memset(ones, 0xff, sizeof(ones));
	p = (struct piece){ones, 6};
	assert_int_equal(checksum(&p, 0, 6), 0xffff);
	assert_int_equal(checksum(&p, 6, 0), 0);
	assert_int_equal(checksum_add(0xffff, 1), 1);
	assert_int_equal(checksum_add(0x8000, 0x8001), 2);
}

static void in_pieces(void **state)
{
	u8 bytes[200];

	(void)state;
	for (u32 i = 0; i < sizeof(bytes); i++)
		bytes[i] = (u8)(i * 77 + 200);
	for (u32 round = 0; round < 20000; round++) {
		struct piece p[6];
		u32 cut = 0, nr = 0, from, n;
		while (nr < 5 && cut < sizeof(bytes)) {
			u32 length = 1 + (u32)rand() % 60;
			length = MIN(length, (u32)sizeof(bytes) - cut);
			p[nr++] = (struct piece){bytes + cut, length};
			cut += length;
		}
		from = (u32)rand() % cut;
		n = (u32)rand() % (cut - from + 1);
		assert_int_equal(checksum(p, from, n), plain(bytes + from, n));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(whole), cmocka_unit_test(known),
					   cmocka_unit_test(in_pieces)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
