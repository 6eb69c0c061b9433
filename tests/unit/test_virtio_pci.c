/* SPDX-License-Identifier: Apache-2.0 */
/* virtio over PCI, by the letter of virtio 1.2, chapters 2, 3 and 4.1: negotiation, queues, doorbells, reset;
 * and what a hostile driver does to them (M67). */
#include "virtio_device.h"

static void identity(void **state)
{
	unsigned of[8] = {0}, last_type = 0, doorbell_bar = 9;

	(void)state;
	assert_int_equal(cfg(0, 4), 0x10421af4);
	assert_int_equal(cfg(8, 4), 0x01800001);
	assert_true(cfg(PCI_SUBSYSTEM_ID, 2) >= 0x40);
	for (unsigned at = cfg(PCI_CAPABILITIES, 1); at; at = cfg(at + 1, 1)) {
		if (cfg(at, 1) == 0x11) {
			assert_int_equal(cfg(at + 2, 2), QUEUES); /* one more, coded less one */
			continue;
		}
		assert_int_equal(cfg(at, 1), 9);
		unsigned t = cfg(at + 3, 1), bar = cfg(at + 4, 1);
		u32 offset = cfg(at + 8, 4), length = cfg(at + 12, 4);
		assert_in_range(t, 1, 5);
		assert_int_equal(cfg(at + 2, 1), t == 2 || t == 5 ? 20 : 16);
		of[t]++;
		if (t == 2 && doorbell_bar == 9)
			doorbell_bar = bar;
		if (t != 5) {
			assert_true(offset + length <= dev.function.bar[bar].size);
			assert_int_equal(offset % 4, 0);
		}
		if (t == 2) {
			assert_int_equal(cfg(at + 16, 4), 4);
			assert_true(length >= (QUEUES - 1) * 4 + 2);
		}
		last_type = t;
	}
	assert_int_equal(last_type, 5);
	assert_int_equal(doorbell_bar, 1); /* ports are preferred */
	assert_int_equal(of[1], 1);
	assert_int_equal(of[2], 2);
	assert_int_equal(of[3], 1);
	assert_int_equal(of[4], 1);
	assert_int_equal(common(0x12, 2), QUEUES);
}

static void features_offered(void **state)
{
	(void)state;
	assert_int_equal(device_features(), OFFERED);
	for (u32 i = 2; i < 40; i++) {
		common_set(0, 4, i > 36 ? ~0u << (i - 37) : i);
		assert_int_equal(common(4, 4), 0);
		common_set(8, 4, i);
		common_set(12, 4, ~0u);
		assert_int_equal(common(12, 4), 0);
	}
}

static void features_accepted(void **state)
{
	(void)state;
	assert_true(negotiate(OFFERED));
	assert_true(negotiate(VIRTIO_F_VERSION_1));
	assert_false(negotiate(OFFERED & ~VIRTIO_F_VERSION_1));
	assert_int_equal(status(), 3);
	for (unsigned bit = 0; bit < 64; bit++)
		assert_int_equal(negotiate(VIRTIO_F_VERSION_1 | BIT(bit)), !!(OFFERED & BIT(bit)));
	/* Settled with FEATURES_OK. */
	assert_true(negotiate(VIRTIO_F_VERSION_1 | FEATURE_OWN));
	driver_features(OFFERED);
	assert_int_equal(virtio_pci_features(&dev), VIRTIO_F_VERSION_1 | FEATURE_OWN);
	common_set(8, 4, 0);
	assert_int_equal(common(12, 4), FEATURE_OWN);
	common_set(8, 4, 1);
	assert_int_equal(common(12, 4), 1);
}

static void status_bits(void **state)
{
	(void)state;
	for (unsigned value = 1; value < 256; value++) {
		common_set(0x14, 1, 0);
		common_set(0x14, 1, value);
		/* Without VERSION_1 neither FEATURES_OK nor DRIVER_OK; NEEDS_RESET is the device's. */
		assert_int_equal(status(), value & 0x83);
	}
	/* Bits stay. */
	assert_true(negotiate(VIRTIO_F_VERSION_1));
	common_set(0x14, 1, 1);
	assert_int_equal(status(), 11);
	common_set(0x14, 1, 0x80);
	assert_int_equal(status(), 0x8b);
	assert_int_equal(kicks[0] + kicks[1] + kicks[2], 0);
	go();
	assert_int_equal(kicks[0], 1); /* what came before DRIVER_OK */
	common_set(0x14, 1, 15);
	assert_int_equal(kicks[0], 1);
}

static void reset_forgets(void **state)
{
	(void)state;
	go();
	common_set(0x10, 2, 1);
	common_set(0x1a, 2, 2);
	common_set(0x14, 1, 0);
	assert_int_equal(status(), 0);
	assert_int_equal(common(0, 4) | common(8, 4) | common(12, 4), 0);
	assert_int_equal(common(0x10, 2), 0xffff);
	assert_int_equal(common(0x16, 2), 0);
	for (u16 q = 0; q < QUEUES; q++) {
		common_set(0x16, 2, q);
		assert_int_equal(common(0x18, 2), VIRTQ_SIZE_MAX);
		assert_int_equal(common(0x1a, 2), 0xffff);
		assert_int_equal(common(0x1c, 2), 0);
		assert_int_equal(common(0x1e, 2), q);
		for (unsigned i = 0x20; i < 0x38; i += 4)
			assert_int_equal(common(i, 4), 0);
	}
	assert_int_equal(common(0x15, 1), 0);
}

/* Until what was begun is done the driver reads no 0, and cannot begin anew. */
static void reset_waits(void **state)
{
	(void)state;
	go();
	idle = false;
	common_set(0x14, 1, 0);
	assert_int_equal(status(), 15);
	assert_false(virtio_pci_queue_live(&dev, &queues[0]));
	common_set(0x14, 1, 3);
	common_set(0x16, 2, 1);
	common_set(0x18, 2, 4);
	struct virtq_setup s = good();
	enable(1, &s); /* the queue's memory is still in use */
	assert_false(queues[0].enabled || queues[1].enabled);
	assert_int_equal(status(), 15);
	idle = true;
	assert_int_equal(status(), 0);
	common_set(0x16, 2, 1);
	assert_int_equal(common(0x18, 2), VIRTQ_SIZE_MAX);
	go();
}

static void queues_that_are_not(void **state)
{
	(void)state;
	struct virtq_setup s = good();

	assert_true(negotiate(VIRTIO_F_VERSION_1));
	for (u32 q = QUEUES; q <= 0xffff; q += 97) {
		enable((u16)q, &s);
		assert_int_equal(common(0x16, 2), q);
		assert_int_equal(common(0x18, 2), 0);
		assert_int_equal(common(0x1c, 2), 0);
		common_set(0x1a, 2, 0);
		assert_int_equal(common(0x1a, 2), 0xffff);
	}
	assert_int_equal(status(), 11);
	for (unsigned i = 0; i < QUEUES; i++)
		assert_false(queues[i].enabled);
	/* Their doorbells. */
	common_set(0x14, 1, 15);
	memset(kicks, 0, sizeof(kicks));
	for (u32 offset = QUEUES * 4; offset < 0x1000; offset += 2)
		board_write(false, seen.doorbell + offset, 2, offset);
	for (u32 offset = QUEUES * 4; offset < 32; offset += 2)
		board_write(true, seen.port + offset, 2, offset);
	assert_int_equal(kicks[0] + kicks[1] + kicks[2], 0);
}

static void queues_of_bad_shape(void **state)
{
	static const struct virtq_setup bad[] = {
	    {0, 0x10000, 0x12000, 0x14000, 0},       {3, 0x10000, 0x12000, 0x14000, 0},
	    {512, 0x10000, 0x12000, 0x14000, 0},     {0xffff, 0x10000, 0x12000, 0x14000, 0},
	    {8, 0x10008, 0x12000, 0x14000, 0},       {8, 0x10000, 0x12001, 0x14000, 0},
	    {8, 0x10000, 0x12000, 0x14002, 0},       {8, HOLE, 0x12000, 0x14000, 0},
	    {8, 0x10000, 0xfee00000, 0x14000, 0},    {8, 0x10000, 0x12000, ROM_BASE, 0},
	    {8, 1ull << 63, 0x12000, 0x14000, 0},    {8, 0x10000, ~0ull - 1, 0x14000, 0},
	    {8, HIGH_END - 16, 0x12000, 0x14000, 0},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		go();
		msix_on();
		unsigned before = board.messages;
		enable(1, &bad[i]);
		assert_int_equal(common(0x1c, 2), 0);
		assert_int_equal(status(), 15 | VIRTIO_NEEDS_RESET);
		assert_int_equal(board.messages, before + 1); /* 2.1.2 */
		assert_int_equal(board_read(false, seen.isr, 1), 2);
		assert_false(virtio_pci_queue_live(&dev, &queues[0]));
		cfg_set(seen.msix + 2, 2, 0);
		go(); /* a reset makes it well */
	}
	/* Before DRIVER_OK nobody is told. */
	assert_true(negotiate(VIRTIO_F_VERSION_1));
	unsigned before = board.messages;
	enable(1, &bad[0]);
	assert_int_equal(status(), 11 | VIRTIO_NEEDS_RESET);
	assert_int_equal(board.messages, before);
	assert_int_equal(board.wires, 0);
}

static void queues_stay(void **state)
{
	struct virtq_setup s = good(), other = {16, 0x20000, 0x22000, 0x24000, 0};

	(void)state;
	/* Too early. */
	common_set(0x14, 1, 0);
	common_set(0x14, 1, 3);
	enable(0, &s);
	assert_int_equal(common(0x1c, 2), 0);
	assert_int_equal(status(), 3);
	go();
	enable(0, &other);
	common_set(0x1c, 2, 0);
	assert_int_equal(common(0x1c, 2), 1);
	assert_int_equal(common(0x18, 2), 8);
	assert_int_equal(common(0x20, 4), 0x10000);
	assert_int_equal(common(0x28, 4), 0x12000);
	assert_int_equal(common(0x30, 4), 0x14000);
	assert_true(virtio_pci_queue_live(&dev, &queues[0]));
	assert_false(virtio_pci_queue_live(&dev, &queues[1]));
	/* Other values than 1 do not enable. */
	common_set(0x16, 2, 1);
	common_set(0x1c, 2, 2);
	assert_int_equal(common(0x1c, 2), 0);
	/* Without the right to master the bus. */
	cfg_set(PCI_COMMAND, 2, 3);
	assert_false(virtio_pci_queue_live(&dev, &queues[0]));
	memset(kicks, 0, sizeof(kicks));
	cfg_set(PCI_COMMAND, 2, 7);
	assert_true(virtio_pci_queue_live(&dev, &queues[0]));
	assert_int_equal(kicks[0], 1);
}

static void doorbells(void **state)
{
	(void)state;
	go();
	for (u16 q = 0; q < QUEUES; q++) {
		memset(kicks, 0, sizeof(kicks));
		doorbell(q);
		assert_int_equal(kicks[q], 1);
		board_write(false, seen.doorbell + q * 4u, 2, q);
		assert_int_equal(kicks[q], 2);
		assert_int_equal(kicks[0] + kicks[1] + kicks[2], 2);
	}
}

/* 4.1.4.9: all of it through configuration space. */
static void window(void **state)
{
	(void)state;
	go();
	cfg_set(seen.window + 4, 1, 0);
	cfg_set(seen.window + 8, 4, (u32)(seen.common - bar_address(0)) + 0x14);
	cfg_set(seen.window + 12, 4, 1);
	assert_int_equal(cfg(seen.window + 16, 1), 15);
	cfg_set(seen.window + 16, 1, 0x80);
	assert_int_equal(status(), 0x8f);
	/* Device configuration, four at a time. */
	cfg_set(seen.window + 8, 4, (u32)(seen.config - bar_address(0)) + 4);
	cfg_set(seen.window + 12, 4, 4);
	assert_int_equal(cfg(seen.window + 16, 4), 0x88776655);
	/* A doorbell in ports. */
	memset(kicks, 0, sizeof(kicks));
	cfg_set(seen.window + 4, 1, 1);
	cfg_set(seen.window + 8, 4, 8);
	cfg_set(seen.window + 12, 4, 2);
	cfg_set(seen.window + 16, 2, 2);
	assert_int_equal(kicks[2], 1);
	/* What is no access: nothing happens. */
	static const u32 bad[][3] = {{2, 0x14, 1}, {0xff, 0x14, 1}, {0, 0x14, 3},   {0, 0x14, 0},
				     {0, 0x14, 8}, {0, 0x15, 2},    {0, 0x4000, 4}, {0, ~0u, 1},
				     {0, ~3u, 4},  {1, 32, 1},      {0, 0x14, ~0u}, {1, ~1u, 2},
				     {1, 9, 2}};
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		cfg_set(seen.window + 4, 1, bad[i][0]);
		cfg_set(seen.window + 8, 4, bad[i][1]);
		cfg_set(seen.window + 12, 4, bad[i][2]);
		cfg_set(seen.window + 16, 4, 0);
		assert_int_equal(cfg(seen.window + 16, 4), 0);
		assert_int_equal(status(), 0x8f);
	}
	assert_int_equal(kicks[0] + kicks[1] + kicks[2], 1);
}

/* Every access of every size: only fields answer, and nothing else changes. */
static void odd_accesses(void **state)
{
	static const struct {
		u8 offset, size;
	} fields[] = {{0x00, 4}, {0x04, 4}, {0x08, 4}, {0x0c, 4}, {0x10, 2}, {0x12, 2}, {0x14, 1},
		      {0x15, 1}, {0x16, 2}, {0x18, 2}, {0x1a, 2}, {0x1c, 2}, {0x1e, 2}, {0x20, 4},
		      {0x24, 4}, {0x28, 4}, {0x2c, 4}, {0x30, 4}, {0x34, 4}};

	(void)state;
	for (unsigned offset = 0; offset < 0x100; offset++)
		for (unsigned size = 1; size <= 4; size *= 2) {
			bool field = false;
			for (unsigned i = 0; i < ARRAY_SIZE(fields); i++)
				field |= fields[i].offset == offset && fields[i].size == size;
			if (field)
				continue;
			board_write(false, seen.common + offset, size, ~0ull);
			assert_int_equal(common(offset, size), 0);
		}
	assert_int_equal(status(), 0);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(board_read(false, seen.config + i, 1), i < 11 ? config[i] : 0);
	assert_int_equal(board_read(false, seen.config + 10, 2), 0xbb);
	board_write(false, seen.config, 4, 0);
	assert_int_equal(board_read(false, seen.config, 8), 0x8877665544332211);
	assert_int_equal(board_read(false, seen.doorbell, 4), 0);
	assert_int_equal(board_read(true, seen.port, 2), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(identity),
	    TEST(features_offered),
	    TEST(features_accepted),
	    TEST(status_bits),
	    TEST(reset_forgets),
	    TEST(reset_waits),
	    TEST(queues_that_are_not),
	    TEST(queues_of_bad_shape),
	    TEST(queues_stay),
	    TEST(doorbells),
	    TEST(window),
	    TEST(odd_accesses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
