/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio entropy device against a driver written from virtio 1.2, 5.4, with split and packed rings: each
 * byte that it says it wrote is the processor's and nobody else's, what it does at once is bounded, and bad
 * drivers (M67) and bad processors have their end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "devices/virtio_rng.h"
#include "virtio_board.h"

#define QUEUE 0x8000ull
#define DATA BOARD_DATA

static struct virtio_rng *rng;
static struct driver driver;

/* ---- a processor whose words tell which they are ---- */
static u32 drawn, dry, dry_at; /* words given; attempts that are to fail; after that many words one does */
static const char *trouble;
static int broken;

static bool no_memory;

void *heap_alloc(size_t size)
{
	return no_memory ? NULL : calloc(1, size);
}

const char *entropy_test(void)
{
	return trouble;
}

int entropy_get(u64 *word)
{
	shim_tsc += 1000;
	if (broken)
		return broken;
	if (dry) {
		dry--;
		return ERR_AGAIN;
	}
	if (drawn == dry_at) {
		dry_at = ~0u;
		return ERR_AGAIN;
	}
	drawn++;
	*word = 0;
	for (unsigned i = 0; i < 8; i++)
		*word |= (u64)(u8)(drawn * 8 + i + (drawn >> 5)) << (8 * i);
	return 0;
}

/* The byte of that place in the order in which they were drawn. */
static u8 byte_of(u32 place)
{
	u32 word = place / 8 + 1;

	return (u8)(word * 8 + place % 8 + (word >> 5));
}

static void create(void)
{
	shim_tsc = 1000;
	drawn = dry = 0;
	dry_at = ~0u;
	broken = 0;
	trouble = NULL;
	board_init();
	rng = virtio_rng_create(BOARD_GUEST, &board.bus, BOARD_DEVFN, NULL);
	assert_non_null(rng);
	board_start();
}

static void destroy(void)
{
	virtio_rng_destroy(rng);
	board_fini();
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(shim_pages_in_use, 0);
}

static void go(u16 size, u64 features)
{
	board_go(&driver, size, features, QUEUE);
}

static void kick(void)
{
	if (driver_kick(&driver))
		doorbell(0);
}

static void add(gpa_t gpa, u32 bytes)
{
	const struct buffer b = {gpa, bytes, true};

	driver_add(&driver, &b, 1, false);
}

static void identity(void **state)
{
	(void)state;
	create();
	assert_int_equal(cfg(0, 4), 0x10441af4);
	assert_int_equal(device_features(), RINGS | VIRTIO_F_RING_PACKED);
	assert_int_equal(common(0x12, 2), 1);
	/* It has no configuration, so no capability says where that is. */
	assert_int_equal(seen.config, 0);
	assert_int_not_equal(seen.isr, 0);
	assert_int_not_equal(seen.port, 0);
	assert_true(virtio_rng_usage(rng) > 0);
	destroy();
}

static void bytes_of_any_size(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create();
		go(16, ring_features(l));
		u32 place = 0;
		for (u32 n = 1; n <= 300; n++) {
			u16 id;
			u32 len;
			assert_int_equal(gmem_set(&guest_ram, DATA, 0xee, 512), 0);
			add(DATA, n);
			board.messages = 0;
			kick();
			assert_int_equal(board.messages, 1);
			assert_true(driver_used(&driver, &id, &len));
			driver_want_event(&driver, 0);
			assert_int_equal(len, MIN(n, 256u)); /* at least one, at most a part */
			for (u32 i = 0; i < len; i++)
				assert_int_equal(*(u8 *)at(DATA + i, 1), byte_of(place + i));
			for (u32 i = len; i < 512; i++)
				assert_int_equal(*(u8 *)at(DATA + i, 1), 0xee);
			place += len;
		}
		/* None was drawn for nothing. */
		assert_int_equal(drawn, ALIGN_UP(place, 8) / 8);
		destroy();
	}
}

/* A buffer in parts, of which more than the device has room for. */
static void any_framing(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++)
		for (u32 parts = 1; parts <= 8; parts++)
			for (u32 each = 1; each <= 64; each += 9) {
				struct buffer b[8];
				u16 id;
				u32 len;
				create();
				go(16, ring_features(l));
				for (u32 i = 0; i < parts; i++)
					b[i] = (struct buffer){DATA + 0x1000 * i + 0xff0, each, true};
				driver_add(&driver, b, parts, true);
				kick();
				assert_true(driver_used(&driver, &id, &len));
				assert_in_range(len, 1, MIN(parts * each, 256u));
				for (u32 i = 0; i < len; i++)
					assert_int_equal(*(u8 *)at(b[i / each].gpa + i % each, 1),
							 byte_of(i));
				destroy();
			}
}

/* Two turns of 512 bytes in one go would be one too many; the rest follows, and takes a quarter of the time.
 */
static void in_pieces(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		u16 id;
		u32 len, done = 0, turns = 0;
		create();
		go(64, ring_features(l));
		for (u32 i = 0; i < 64; i++)
			add(DATA + 0x100 * i, 256);
		kick();
		assert_int_equal(drawn, 512 / 8);
		while (done < 64) {
			u64 start = shim_tsc, words = drawn;
			assert_int_equal(fake_timers_armed(), 1);
			u64 due = fake_timer_first()->deadline;
			/* The fake's clock counts from where the turn began. */
			assert_int_equal(due - start, (turns ? 4 : 3) * 512 / 8 * 1000);
			fake_run_until(due);
			assert_int_equal(drawn - words, 512 / 8);
			turns++;
			while (driver_used(&driver, &id, &len)) {
				assert_int_equal(len, 256);
				done++;
			}
		}
		assert_int_equal(turns, 31);
		fake_run_until(shim_tsc + 1000000);
		assert_int_equal(fake_timers_armed(), 0);
		assert_int_equal(drawn, 64 * 32);
		destroy();
	}
}

/* RDSEED has nothing for a while: the driver's buffer is not given back empty. */
static void a_dry_processor(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		u16 id;
		u32 len;
		create();
		go(16, ring_features(l));
		dry = 10;
		add(DATA, 64);
		kick();
		for (u32 i = 0; i < 9; i++) {
			assert_false(driver_used(&driver, &id, &len));
			assert_int_equal(fake_timers_armed(), 1);
			assert_in_range(fake_timer_first()->deadline - shim_tsc, ns_to_tsc(1000000),
					ns_to_tsc(1000000) + 1000);
			fake_run_until(fake_timer_first()->deadline);
		}
		assert_false(driver_used(&driver, &id, &len));
		fake_run_until(fake_timer_first()->deadline);
		assert_true(driver_used(&driver, &id, &len));
		assert_int_equal(len, 64);
		assert_int_equal(status(), 15);
		/* In the middle of a buffer: it gets what there is. */
		add(DATA, 64);
		dry_at = drawn + 3;
		kick();
		assert_true(driver_used(&driver, &id, &len));
		assert_int_equal(len, 24);
		assert_int_equal(fake_timers_armed(), 0);
		destroy();
	}
}

/* There will be no word any more: the device says so, once to the operator. */
static void a_broken_processor(void **state)
{
	(void)state;
	for (unsigned how = 0; how < 2; how++) {
		u16 id;
		u32 len;
		create();
		go(16, ring_features(how));
		add(DATA, 64);
		if (how)
			broken = ERR_NOTSUP;
		else
			dry = ~0u;
		unsigned lines = shim_log_lines;
		shim_quiet = 1;
		kick();
		for (u32 i = 0; fake_timers_armed() && i < 2000; i++)
			fake_run_until(fake_timer_first()->deadline);
		assert_int_equal(fake_timers_armed(), 0);
		assert_int_equal(status(), 15 | VIRTIO_NEEDS_RESET);
		assert_int_equal(shim_log_lines - lines, 1);
		assert_non_null(strstr(shim_last_log, "board: rng: the processor gives no random numbers"));
		assert_false(driver_used(&driver, &id, &len));
		for (u32 i = 0; i < 3; i++) {
			go(16, ring_features(how));
			add(DATA, 64);
			kick();
			assert_int_equal(status(), 15 | VIRTIO_NEEDS_RESET);
		}
		assert_int_equal(shim_log_lines - lines, 1);
		/* Better again. */
		dry = 0;
		broken = 0;
		go(16, ring_features(how));
		add(DATA, 8);
		kick();
		assert_true(driver_used(&driver, &id, &len));
		shim_quiet = 0;
		destroy();
	}
}

static void no_source_no_device(void **state)
{
	(void)state;
	board_init();
	trouble = "this processor has neither RDSEED nor RDRAND";
	shim_quiet = 1;
	assert_null(virtio_rng_create(BOARD_GUEST, &board.bus, BOARD_DEVFN, NULL));
	assert_string_equal(shim_last_log, "board: rng: this processor has neither RDSEED nor RDRAND");
	trouble = NULL;
	no_memory = true;
	assert_null(virtio_rng_create(BOARD_GUEST, &board.bus, BOARD_DEVFN, NULL));
	assert_string_equal(shim_last_log, "board: rng: no memory");
	no_memory = false;
	shim_quiet = 0;
	virtio_rng_destroy(NULL);
	board_fini();
}

static void hostile_buffers(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++)
		for (unsigned i = 0; i < ARRAY_SIZE(bad_to_write); i++) {
			u16 id;
			u32 len;
			create();
			go(16, ring_features(l));
			driver_add(&driver, bad_to_write[i], 2, true);
			kick();
			assert_int_equal(status(), 15 | VIRTIO_NEEDS_RESET);
			assert_int_equal(board.messages, 1);
			/* It does nothing any more, until a reset. */
			add(DATA, 16);
			doorbell(0);
			assert_int_equal(board.messages, 1);
			assert_int_equal(fake_timers_armed(), 0);
			go(16, ring_features(l));
			add(DATA, 16);
			kick();
			assert_true(driver_used(&driver, &id, &len));
			assert_int_equal(len, 16);
			destroy();
		}
}

/* Index jumps; the reset in the middle of what was put off; the bus taken away. */
static void hostile_moments(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create();
		go(64, ring_features(l));
		for (u32 i = 0; i < 64; i++)
			add(DATA + 0x100 * i, 256);
		kick();
		assert_int_equal(fake_timers_armed(), 1);
		common_set(0x14, 1, 0);
		assert_int_equal(status(), 0);
		u32 words = drawn;
		fake_run_until(shim_tsc + 10000000);
		assert_int_equal(drawn, words);
		assert_int_equal(fake_timers_armed(), 0);
		go(64, ring_features(l));
		for (u32 i = 0; i < 64; i++)
			add(DATA + 0x100 * i, 256);
		cfg_set(PCI_COMMAND, 2, 3); /* no master any more */
		doorbell(0);
		fake_run_until(shim_tsc + 10000000);
		assert_int_equal(drawn, words);
		cfg_set(PCI_COMMAND, 2, 7);
		assert_true(drawn > words);
		virtio_rng_reset(rng);
		assert_int_equal(fake_timers_armed(), 0);
		destroy();
	}
	create();
	go(16, ring_features(0));
	set16(driver.s.driver + 2, 17);
	doorbell(0);
	assert_int_equal(status(), 15 | VIRTIO_NEEDS_RESET);
	destroy();
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(identity),
	    cmocka_unit_test(bytes_of_any_size),
	    cmocka_unit_test(any_framing),
	    cmocka_unit_test(in_pieces),
	    cmocka_unit_test(a_dry_processor),
	    cmocka_unit_test(a_broken_processor),
	    cmocka_unit_test(no_source_no_device),
	    cmocka_unit_test(hostile_buffers),
	    cmocka_unit_test(hostile_moments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return ram_both_ways(run);
}
