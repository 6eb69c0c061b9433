/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets of whole virtio devices share: an input is a sequence of 8-byte steps (what, where in
 * 24 bits, value in 32 bits), some of which are the same for every device: accesses of its BARs and of
 * configuration space. And the beginning of a driver, and of what comes after an input. */
#pragma once

#include "tests/unit/virtio_board.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEP 8

struct step {
	u32 kind; /* 0 to 15 */
	u32 w;    /* where */
	u32 value;
	unsigned size; /* of an access */
};

static inline struct step step_of(const uint8_t *s)
{
	return (struct step){
	    .kind = s[0] & 15,
	    .w = s[1] | s[2] << 8 | (u32)s[3] << 16,
	    .value = s[4] | s[5] << 8 | s[6] << 16 | (u32)s[7] << 24,
	    .size = 1u << (s[0] >> 4 & 3),
	};
}

/* The steps 8, 9, 10, 15, and what a device has no other use for. */
static inline void bus_step(const struct step *s)
{
	bool port = s->w >> 23;
	u64 address = bar_address(port) + (s->w & (port ? 63 : 0x3fff));

	switch (s->kind) {
	case 8:
		board_write(port, address, s->size, s->value);
		break;
	case 9:
		board_read(port, address, s->size);
		break;
	case 10:
		cfg_set(s->w & 0xff, MIN(s->size, 4u), s->value);
		break;
	case 15:
		common_set(s->w & 0x3f, MIN(s->size, 4u), s->value);
		break;
	default:
		cfg(s->w & 0xff, MIN(s->size, 4u));
	}
}

/* Resets the device and takes those of its features, bit 3 and 4 of value choosing the layout. False: it
 * still has something to end. */
static inline bool driver_begin(u32 value, u64 features)
{
	if (!(value & 8))
		features &= ~VIRTIO_F_RING_PACKED;
	if (value & 0x10)
		features &= ~VIRTIO_F_EVENT_IDX;
	common_set(0x14, 1, 0);
	if (status())
		return false;
	cfg_set(PCI_COMMAND, 2, 7);
	negotiate(features);
	return true;
}

/* A queue as a driver would set it up, with its two rings where bits of value move them. */
static inline void driver_queue(u16 queue, gpa_t base, u32 value)
{
	struct virtq_setup s = {.size = (u16)(1u << (value & 7)),
				.desc = base,
				.driver = base + 0x2000 + (value >> 8 & 0xff0),
				.device = base + 0x4000 + (value >> 16 & 0xff0)};

	queue_place(queue, &s);
	common_set(0x1c, 2, 1);
}

static inline void driver_ok(u32 value)
{
	if (value & 0x20)
		msix_on();
	common_set(0x14, 1, 15);
}

/* After an input: the BARs are where firmware had put them, and no MSI-X. */
static inline void bus_restore(void)
{
	for (unsigned bar = 0; bar < 2; bar++)
		cfg_set(PCI_BAR0 + 4 * bar, 4, bar ? 0xc000 : 0xc0000000);
	cfg_set(PCI_COMMAND, 2, 7);
	look_around();
	cfg_set(seen.msix + 2, 2, 0);
}
