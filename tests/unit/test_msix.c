/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts of a virtio device: by its pin (virtio 1.2, 4.1.4.5) and by MSI-X (PCI 3.0, 6.8.2), masked and
 * pending ones (M84). */
#include "virtio_device.h"

static void pin_interrupts(void **state)
{
	const u32 wire = 1u << pci_gsi(BOARD_DEVFN, 1);

	(void)state;
	go();
	virtio_pci_interrupt(&dev, 2);
	assert_int_equal(board.wires, wire);
	assert_true(cfg(PCI_STATUS, 1) & PCI_STATUS_INTERRUPT);
	virtio_pci_fail(&dev);
	assert_int_equal(board_read(false, seen.isr, 1), 3);
	assert_int_equal(board.wires, 0);
	assert_int_equal(board_read(false, seen.isr, 1), 0);
	/* Silenced, and heard again. */
	cfg_set(PCI_COMMAND, 2, 7 | PCI_COMMAND_INTX_DISABLE);
	virtio_pci_interrupt(&dev, 0);
	assert_int_equal(board.wires, 0);
	cfg_set(PCI_COMMAND, 2, 7);
	assert_int_equal(board.wires, wire);
	/* A function that sends messages has no pin. */
	cfg_set(seen.msix + 2, 2, 0x8000);
	assert_int_equal(board.wires, 0);
	cfg_set(seen.msix + 2, 2, 0);
	assert_int_equal(board.wires, wire);
	common_set(0x14, 1, 0);
	assert_int_equal(board.wires, 0);
	assert_int_equal(board.messages, 0);
}

static u64 pending(void)
{
	return board_read(false, seen.msix_pending, 8);
}

static void message_interrupts(void **state)
{
	(void)state;
	go();
	/* As after reset: masked. */
	for (unsigned i = 0; i <= QUEUES; i++)
		assert_int_equal(board_read(false, seen.msix_table + 16 * i + 12, 4), 1);
	for (u16 q = 0; q < QUEUES; q++) {
		common_set(0x16, 2, q);
		common_set(0x1a, 2, q + 1u);
		assert_int_equal(common(0x1a, 2), q + 1);
		board_write(false, seen.msix_table + 16 * (q + 1u), 8, 0xfee01003 + ((u64)q << 32));
		board_write(false, seen.msix_table + 16 * (q + 1u) + 8, 4, 0x40 + q);
	}
	cfg_set(seen.msix + 2, 2, 0x8000);
	virtio_pci_interrupt(&dev, 1);
	assert_int_equal(board.messages, 0);
	assert_int_equal(pending(), 4);
	board_write(false, seen.msix_table + 16 * 2 + 12, 4, ~1u); /* other bits are reserved */
	assert_int_equal(board.messages, 1);
	assert_int_equal(board.address, 0x1fee01000);
	assert_int_equal(board.data, 0x41);
	assert_int_equal(pending(), 0);
	assert_int_equal(board_read(false, seen.msix_table + 16 * 2 + 12, 4), 0);
	virtio_pci_interrupt(&dev, 1);
	assert_int_equal(board.messages, 2);
	/* The whole function masked; several at once are one. */
	cfg_set(seen.msix + 2, 2, 0xc000);
	virtio_pci_interrupt(&dev, 1);
	virtio_pci_interrupt(&dev, 1);
	assert_int_equal(board.messages, 2);
	cfg_set(seen.msix + 2, 2, 0x8000);
	assert_int_equal(board.messages, 3);
	/* Not master of the bus. */
	cfg_set(PCI_COMMAND, 2, 3);
	virtio_pci_interrupt(&dev, 1);
	assert_int_equal(board.messages, 3);
	cfg_set(PCI_COMMAND, 2, 7);
	assert_int_equal(board.messages, 4);
	/* No vector, and one that there is not. */
	for (u32 vector = QUEUES + 1; vector <= 0xffff; vector += 251) {
		common_set(0x1a, 2, vector);
		assert_int_equal(common(0x1a, 2), 0xffff);
		common_set(0x10, 2, vector);
		assert_int_equal(common(0x10, 2), 0xffff);
	}
	common_set(0x16, 2, 1);
	common_set(0x1a, 2, 0xffff);
	virtio_pci_interrupt(&dev, 1);
	virtio_pci_fail(&dev);
	assert_int_equal(board.messages, 4);
	assert_int_equal(board.wires, 0);
	/* ISR: the queues' bit is not for messages, the configuration's is. */
	assert_int_equal(board_read(false, seen.isr, 1), 2);
	virtio_pci_reset(&dev);
	assert_int_equal(cfg(seen.msix + 2, 2), QUEUES);
}

static void msix_odd_accesses(void **state)
{
	(void)state;
	for (unsigned offset = 0; offset < 0x2000; offset++)
		for (unsigned size = 1; size <= 8; size *= 2) {
			u64 last = 16 * (QUEUES + 1);
			board_write(false, seen.msix_table + offset, size, ~0ull);
			u64 got = board_read(false, seen.msix_table + offset, size);
			if (size < 4 || offset % size || offset + size > last)
				assert_int_equal(got, offset + size > 0x2000 ? got : 0);
		}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {TEST(pin_interrupts), TEST(message_interrupts),
					   TEST(msix_odd_accesses)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
