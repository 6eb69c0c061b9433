/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM is said to take before it is made (M40): no less than what its devices then take. */
#include "config_board.h"
#include "devices/pv_net_internal.h"
#undef TX_SLOTS /* virtio_net's are others */
#include "devices/ata_internal.h"
#include "devices/e1000_internal.h"
#include "devices/pv_disk_internal.h"
#include "devices/virtio_blk_internal.h"
#include "devices/virtio_net_internal.h"

/* As the heap gives it: pages, a power of two of them. */
static u64 heap_bytes(u64 bytes)
{
	u64 given = PAGE_SIZE;

	while (given < bytes)
		given *= 2;
	return given;
}

static u64 of_disk(enum disk_model model, unsigned vcpus)
{
	if (model == DISK_SOCLE)
		return sizeof(struct pv_disk);
	if (model == DISK_IDE || model == DISK_PIO)
		return sizeof(struct ata);
	return sizeof(struct virtio_blk) + MIN(vcpus, VIRTIO_BLK_QUEUES_MAX) * sizeof(struct blk_lane);
}

static u64 of_net(enum net_model model, unsigned vcpus)
{
	if (model == NET_E1000)
		return sizeof(struct e1000);
	if (model == NET_SOCLE)
		return sizeof(struct pv_net);
	return sizeof(struct virtio_net) + MIN(vcpus, NET_PAIRS_MAX) * sizeof(struct net_pair);
}

static u64 footprint(unsigned vcpus, const char *device)
{
	char text[160];

	snprintf(text, sizeof(text), VM_HEAD "vcpus = %u\n%s", vcpus, device);
	accept(text);
	return config_vm_footprint(&c.vms[0]);
}

/* Nor more than twice as much. */
static void expect_covered(u64 said, u64 takes)
{
	if (said < heap_bytes(takes) || said > 2 * heap_bytes(takes))
		fail_msg("%u vCPUs: %lu bytes said, %lu taken", c.vms[0].vcpus, said, heap_bytes(takes));
}

static void devices(void **state)
{
	char line[64];

	(void)state;
	for (unsigned vcpus = 1; vcpus <= 16; vcpus++) {
		u64 without = footprint(vcpus, "");

		for (unsigned m = 0; m < DISK_MODELS; m++) {
			snprintf(line, sizeof(line), "disk2 = d, %s\n", config_disk_word((enum disk_model)m));
			expect_covered(footprint(vcpus, line) - without, of_disk((enum disk_model)m, vcpus));
		}
		for (unsigned m = 0; m < NET_MODELS; m++) {
			snprintf(line, sizeof(line), "net3 = bridge=lan, model=%s\n",
				 config_net_word((enum net_model)m));
			expect_covered(footprint(vcpus, line) - without, of_net((enum net_model)m, vcpus));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(devices)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
