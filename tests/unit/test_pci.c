/* SPDX-License-Identifier: Apache-2.0 */
/* The PCI bus: both configuration mechanisms, BARs, capabilities and interrupt wires (M66), and what a
 * hostile guest may do to them (M67). */
#include "pci_board.h"

static struct pci_function dev, other;

/* ---- a device with every kind of BAR ---- */
static const struct io_region low_regions[] = {
    {.base = 0, .length = 0x1000, .opaque = &dev},
    {.base = 0x2000, .length = 0x800, .opaque = &dev},
};
static const struct io_region high_regions[] = {{.base = 0, .length = 0x10000, .opaque = &dev}};
static const struct io_region port_regions[] = {{.base = 0, .length = 0x20, .opaque = &dev}};
static unsigned moved[PCI_BARS], reads, writes;

static void bar_moved(struct pci_function *f, unsigned bar)
{
	assert_ptr_equal(f, &dev);
	moved[bar]++;
}

static void before_read(struct pci_function *f, unsigned offset, unsigned size)
{
	(void)size;
	if (offset == 0x80)
		f->config[0x80]++;
	reads++;
}

static void after_write(struct pci_function *f, unsigned offset, unsigned size)
{
	assert_true(offset + size <= PCI_CONFIG_SIZE);
	assert_ptr_equal(f, &dev);
	writes++;
}

static int setup(void **state)
{
	(void)state;
	memset(&dev, 0, sizeof(dev));
	memset(&other, 0, sizeof(other));
	memset(moved, 0, sizeof(moved));
	nr_table = refuse_after = wires = 0;
	reset_written = -1;
	reads = writes = 0;
	pci_init(&bus, guest, &router, &pm);
	pci_set16(dev.config, PCI_VENDOR_ID, 0x1af4);
	pci_set16(dev.config, PCI_DEVICE_ID, 0x1042);
	dev.pin = 1;
	dev.bar[0] =
	    (struct pci_bar){.kind = PCI_BAR_MEM32, .size = 0x4000, .regions = low_regions, .nr_regions = 2};
	dev.bar[1] =
	    (struct pci_bar){.kind = PCI_BAR_IO, .size = 0x20, .regions = port_regions, .nr_regions = 1};
	dev.bar[2] = (struct pci_bar){.kind = PCI_BAR_MEM64,
				      .prefetchable = true,
				      .size = 0x10000,
				      .regions = high_regions,
				      .nr_regions = 1};
	dev.bar_moved = bar_moved;
	dev.before_read = before_read;
	dev.after_write = after_write;
	return pci_add(&bus, &dev, PCI_DEVFN(3, 0));
}

static int teardown(void **state)
{
	(void)state;
	pci_fini(&bus);
	return nr_table || wires ? -1 : 0;
}

static u32 cfg(u8 devfn, unsigned offset, unsigned size)
{
	pci_address_write(&bus, 0, 4, BIT(31) | (u32)devfn << 8 | (offset & 0xfc));
	return (u32)pci_data_read(&bus, offset & 3, size);
}

static void cfg_set(u8 devfn, unsigned offset, unsigned size, u32 value)
{
	pci_address_write(&bus, 0, 4, BIT(31) | (u32)devfn << 8 | (offset & 0xfc));
	pci_data_write(&bus, offset & 3, size, value);
}

#define DEV PCI_DEVFN(3, 0)

static bool decoded(bool port, u64 base)
{
	for (unsigned i = 0; i < nr_table; i++)
		if (table[i].port == port && table[i].base == base)
			return true;
	return false;
}

/* ---- mechanism #1 ---- */
static void host_bridge(void **state)
{
	(void)state;
	assert_int_equal(cfg(0, 0, 4), 0x12378086);
	assert_int_equal(cfg(0, 8, 4), 0x06000002);
	assert_int_equal(cfg(0, PCI_HEADER_TYPE, 1), 0);
	for (unsigned offset = 0; offset < 256; offset += 4) {
		u32 before = cfg(0, offset, 4);
		cfg_set(0, offset, 4, ~before);
		u32 changed = cfg(0, offset, 4) ^ before;
		assert_int_equal(changed, offset == 4 ? 0x547 : offset == 0x3c ? 0xff : 0);
	}
	assert_int_equal(nr_table, 0);
}

static void absent_functions_are_all_ones(void **state)
{
	(void)state;
	for (unsigned devfn = 1; devfn < 256; devfn++) {
		if (devfn == DEV)
			continue;
		assert_int_equal(cfg((u8)devfn, 0, 4), 0xffffffff);
		assert_int_equal(cfg((u8)devfn, 2, 2), 0xffff);
		cfg_set((u8)devfn, 4, 4, 7);
	}
	pci_address_write(&bus, 0, 4, BIT(31) | 1 << 16); /* another bus */
	assert_int_equal(pci_data_read(&bus, 0, 4), 0xffffffff);
	pci_address_write(&bus, 0, 4, DEV << 8); /* not enabled */
	assert_int_equal(pci_data_read(&bus, 0, 4), 0xffffffff);
	pci_data_write(&bus, 0x0, 4, 0x12345678);
}

static void access_sizes(void **state)
{
	(void)state;
	assert_int_equal(cfg(DEV, 0, 4), 0x10421af4);
	assert_int_equal(cfg(DEV, 0, 2), 0x1af4);
	assert_int_equal(cfg(DEV, 2, 2), 0x1042);
	assert_int_equal(cfg(DEV, 1, 2), 0x421a);
	assert_int_equal(cfg(DEV, 3, 1), 0x10);
	cfg_set(DEV, PCI_INTERRUPT_LINE, 1, 0x5b);
	assert_int_equal(cfg(DEV, PCI_INTERRUPT_LINE, 4), 0x0000015b);
	cfg_set(DEV, 5, 1, 4); /* INTx disable */
	assert_int_equal(cfg(DEV, PCI_COMMAND, 2), 0x0400);
}

static void the_address_register_takes_32_bits_only(void **state)
{
	(void)state;
	pci_address_write(&bus, 0, 4, 0xffffffff);
	assert_int_equal(pci_address_read(&bus, 0, 4), 0x80fffffc);
	pci_address_write(&bus, 0, 1, 0);
	pci_address_write(&bus, 3, 1, 0);
	pci_address_write(&bus, 0, 2, 0);
	assert_int_equal(pci_address_read(&bus, 0, 4), 0x80fffffc);
	assert_int_equal(pci_address_read(&bus, 0, 2), 0xffff);
	assert_int_equal(pci_address_read(&bus, 3, 1), 0xff);
	assert_int_equal(reset_written, -1);
	pci_address_write(&bus, 1, 1, 6); /* 0xcf9, the reset control register */
	assert_int_equal(reset_written, 6);
	assert_int_equal(pci_address_read(&bus, 1, 1), 0x5a);
}

/* ---- ECAM ---- */
static void ecam_is_the_same_space(void **state)
{
	(void)state;
	assert_int_equal(pci_ecam_read(&bus, DEV << 12, 4), 0x10421af4);
	assert_int_equal(pci_ecam_read(&bus, DEV << 12 | 2, 2), 0x1042);
	pci_ecam_write(&bus, DEV << 12 | PCI_INTERRUPT_LINE, 1, 0x77);
	assert_int_equal(cfg(DEV, PCI_INTERRUPT_LINE, 1), 0x77);
	/* No extended registers, no other bus, nothing across the end. */
	assert_int_equal(pci_ecam_read(&bus, DEV << 12 | 0x100, 4), 0xffffffff);
	assert_int_equal(pci_ecam_read(&bus, DEV << 12 | 0xfe, 4), 0xffffffff);
	assert_int_equal(pci_ecam_read(&bus, DEV << 12 | 0xfff, 2), 0xffff);
	assert_int_equal(pci_ecam_read(&bus, 1 << 20, 4), 0xffffffff);
	assert_int_equal(pci_ecam_read(&bus, PC_ECAM_SIZE - 4, 4), 0xffffffff);
	pci_ecam_write(&bus, DEV << 12 | 0xfd, 4, ~0u);
	pci_ecam_write(&bus, DEV << 12 | 0xffc, 4, ~0u);
	pci_ecam_write(&bus, PC_ECAM_SIZE - 1, 1, ~0u);
}

/* ---- BARs: 6.2.5 ---- */
static void bars_tell_kind_and_size(void **state)
{
	static const struct {
		u32 value, sizing;
	} rows[6] = {{0, 0xffffc000}, {1, 0xffffffe1}, {0xc, 0xffff000c}, {0, 0xffffffff}};
	(void)state;
	for (unsigned n = 0; n < PCI_BARS; n++) {
		assert_int_equal(cfg(DEV, PCI_BAR0 + 4 * n, 4), rows[n].value);
		cfg_set(DEV, PCI_BAR0 + 4 * n, 4, 0xffffffff);
		assert_int_equal(cfg(DEV, PCI_BAR0 + 4 * n, 4), rows[n].sizing);
	}
	assert_int_equal(nr_table, 0); /* the command register decodes nothing */
}

static void bars_are_decoded_as_the_command_says(void **state)
{
	(void)state;
	cfg_set(DEV, 0x10, 4, 0xc0100000);
	cfg_set(DEV, 0x14, 4, 0xc020);
	cfg_set(DEV, 0x1c, 4, 0x20);
	cfg_set(DEV, 0x18, 4, 0x10000);
	assert_int_equal(nr_table, 0);
	cfg_set(DEV, PCI_COMMAND, 2, PCI_COMMAND_IO);
	assert_int_equal(nr_table, 1);
	assert_true(decoded(true, 0xc020));
	cfg_set(DEV, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	assert_int_equal(nr_table, 4);
	assert_true(decoded(false, 0xc0100000) && decoded(false, 0xc0102000));
	assert_true(decoded(false, 0x2000010000));
	assert_int_equal(dev.bar[2].address, 0x2000010000);
	cfg_set(DEV, 0x10, 4, 0xc0200000);
	assert_true(decoded(false, 0xc0200000) && !decoded(false, 0xc0100000));
	assert_int_equal(moved[0], 2);
	assert_int_equal(moved[1], 1);
	assert_int_equal(moved[2], 1);
	cfg_set(DEV, PCI_COMMAND, 2, 0);
	assert_int_equal(nr_table, 0);
	assert_int_equal(dev.bar[0].address, PCI_UNMAPPED);
	assert_int_equal(moved[0], 3);
}

/* Some guests size BARs without switching decoding off. */
static void sizing_while_decoded(void **state)
{
	(void)state;
	cfg_set(DEV, 0x10, 4, 0xc0100000);
	cfg_set(DEV, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	cfg_set(DEV, 0x14, 4, 0xffffffff);
	assert_int_equal(dev.bar[1].address, PCI_UNMAPPED); /* beyond the port space */
	cfg_set(DEV, 0x10, 4, 0xffffffff);
	assert_int_equal(cfg(DEV, 0x10, 4), 0xffffc000);
	cfg_set(DEV, 0x18, 4, 0xffffffff);
	cfg_set(DEV, 0x1c, 4, 0xffffffff);
	assert_int_equal(dev.bar[2].address, PCI_UNMAPPED); /* would wrap around */
	cfg_set(DEV, 0x1c, 4, 0);
	cfg_set(DEV, 0x18, 4, 0);
	cfg_set(DEV, 0x10, 4, 0xc0100000);
	assert_int_equal(nr_table, 2);
}

static void colliding_bars_are_not_decoded(void **state)
{
	(void)state;
	other = (struct pci_function){0};
	other.bar[0] = (struct pci_bar){
	    .kind = PCI_BAR_MEM32, .size = 0x10000, .regions = high_regions, .nr_regions = 1};
	assert_int_equal(pci_add(&bus, &other, PCI_DEVFN(4, 0)), 0);
	cfg_set(PCI_DEVFN(4, 0), 0x10, 4, 0xc0100000);
	cfg_set(PCI_DEVFN(4, 0), PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	cfg_set(DEV, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	cfg_set(DEV, 0x10, 4, 0xc0104000);
	assert_int_equal(dev.bar[0].address, PCI_UNMAPPED);
	assert_int_equal(nr_table, 1);
	cfg_set(PCI_DEVFN(4, 0), 0x10, 4, 0xc0200000);
	cfg_set(DEV, 0x10, 4, 0xc0104000); /* written again: now it fits */
	assert_int_equal(dev.bar[0].address, 0xc0104000);
	refuse_after = nr_table - 1; /* the second region finds no room: the first goes again */
	cfg_set(DEV, 0x10, 4, 0xc0300000);
	assert_int_equal(dev.bar[0].address, PCI_UNMAPPED);
	assert_int_equal(nr_table, 1);
}

static void ill_formed_functions_are_refused(void **state)
{
	static const struct pci_bar rows[] = {
	    {.kind = PCI_BAR_MEM32, .size = 0x3000},
	    {.kind = PCI_BAR_MEM32, .size = 8},
	    {.kind = PCI_BAR_MEM32, .size = (u64)1 << 32},
	    {.kind = PCI_BAR_IO, .size = 2},
	    {.kind = PCI_BAR_IO, .size = 512},
	    {.kind = PCI_BAR_MEM32, .size = 0},
	    {.kind = PCI_BAR_MEM64, .size = (u64)1 << 41},
	    {.kind = PCI_BAR_MEM32, .size = 0x2000, .regions = low_regions, .nr_regions = 2},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		other = (struct pci_function){.bar = {rows[i]}};
		assert_int_equal(pci_add(&bus, &other, 0x40), ERR_INVAL);
	}
	other = (struct pci_function){.bar = {[5] = {.kind = PCI_BAR_MEM64, .size = 0x1000}}};
	assert_int_equal(pci_add(&bus, &other, 0x40), ERR_INVAL);
	other = (struct pci_function){.pin = 5};
	assert_int_equal(pci_add(&bus, &other, 0x40), ERR_INVAL);
	other = (struct pci_function){0};
	assert_int_equal(pci_add(&bus, &other, DEV), ERR_EXIST);
	assert_int_equal(pci_add(&bus, &other, PCI_DEVFN(3, 2)), 0);
	assert_int_equal(cfg(DEV, PCI_HEADER_TYPE, 1), PCI_HEADER_MULTIFUNCTION);
	pci_remove(&other);
	assert_int_equal(cfg(DEV, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(cfg(PCI_DEVFN(3, 2), 0, 4), 0xffffffff);
}

/* ---- capabilities, callbacks ---- */
static void capabilities_form_a_list(void **state)
{
	(void)state;
	other = (struct pci_function){0};
	assert_int_equal(pci_add_capability(&other, 0x11, 12), 0x40);
	assert_int_equal(pci_add_capability(&other, 0x09, 17), 0x4c);
	assert_int_equal(pci_add_capability(&other, 0x09, 0xff), 0);
	assert_int_equal(pci_add_capability(&other, 0x09, 160), 0x60);
	assert_int_equal(pci_add_capability(&other, 0x09, 4), 0);
	assert_int_equal(pci_add(&bus, &other, PCI_DEVFN(5, 0)), 0);
	u8 d = PCI_DEVFN(5, 0);
	assert_int_equal(cfg(d, PCI_STATUS, 2), PCI_STATUS_CAPABILITIES);
	assert_int_equal(cfg(d, PCI_CAPABILITIES, 1), 0x40);
	assert_int_equal(cfg(d, 0x40, 2), 0x4c11);
	assert_int_equal(cfg(d, 0x4c, 2), 0x6009);
	assert_int_equal(cfg(d, 0x60, 2), 0x0009);
	cfg_set(d, 0x40, 4, 0xffffffff); /* read-only unless the device says otherwise */
	assert_int_equal(cfg(d, 0x40, 2), 0x4c11);
}

static void callbacks_see_reads_and_writes(void **state)
{
	(void)state;
	dev.writable[0x90] = 0x0f;
	assert_int_equal(cfg(DEV, 0x80, 1), 1);
	assert_int_equal(cfg(DEV, 0x80, 1), 2);
	cfg_set(DEV, 0x90, 4, 0xffffffff);
	assert_int_equal(cfg(DEV, 0x90, 4), 0x0f);
	assert_int_equal(writes, 1);
	assert_int_equal(reads, 3);
}

/* ---- wires ---- */
static void pins_rotate_over_the_wires(void **state)
{
	(void)state;
	assert_int_equal(pci_gsi(PCI_DEVFN(0, 0), 1), 16);
	assert_int_equal(pci_gsi(PCI_DEVFN(0, 7), 4), 19);
	assert_int_equal(pci_gsi(PCI_DEVFN(3, 0), 1), 19);
	assert_int_equal(pci_gsi(PCI_DEVFN(7, 0), 1), 23);
	assert_int_equal(pci_gsi(PCI_DEVFN(31, 0), 2), 16);
}

static void functions_share_a_wire(void **state)
{
	(void)state;
	other = (struct pci_function){.pin = 1};
	assert_int_equal(pci_add(&bus, &other, PCI_DEVFN(11, 0)), 0); /* as slot 3 */
	pci_set_intx(&dev, true);
	pci_set_intx(&dev, true);
	assert_int_equal(wires, 1u << 19);
	assert_int_equal(cfg(DEV, PCI_STATUS, 1), PCI_STATUS_INTERRUPT);
	pci_set_intx(&other, true);
	pci_set_intx(&dev, false);
	assert_int_equal(wires, 1u << 19);
	assert_int_equal(cfg(DEV, PCI_STATUS, 1), 0);
	pci_set_intx(&other, false);
	assert_int_equal(wires, 0);
	other.pin = 0;
	pci_set_intx(&other, true); /* no pin, no wire */
	assert_int_equal(wires, 0);
}

static void intx_disable_silences(void **state)
{
	(void)state;
	pci_set_intx(&dev, true);
	cfg_set(DEV, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(wires, 0);
	assert_int_equal(cfg(DEV, PCI_STATUS, 1), PCI_STATUS_INTERRUPT);
	cfg_set(DEV, PCI_COMMAND, 2, 0);
	assert_int_equal(wires, 1u << 19);
	cfg_set(DEV, PCI_STATUS, 2, 0xffff); /* not to be written */
	assert_int_equal(wires, 1u << 19);
}

/* ---- firmware's part, reset ---- */
static void assignment_is_aligned_and_decoded(void **state)
{
	(void)state;
	pci_assign(&bus);
	assert_int_equal(dev.bar[0].address, 0xc0000000);
	assert_int_equal(dev.bar[1].address, 0xc000);
	assert_int_equal(dev.bar[2].address, 0xc0010000);
	assert_int_equal(cfg(DEV, 0x18, 4), 0xc001000c);
	assert_int_equal(cfg(DEV, PCI_COMMAND, 2), PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	assert_int_equal(cfg(DEV, PCI_INTERRUPT_LINE, 2), 0x010b);
	assert_int_equal(nr_table, 4);
	pci_set_intx(&dev, true);
	pci_reset(&bus);
	assert_int_equal(nr_table, 0);
	assert_int_equal(wires, 0);
	assert_int_equal(cfg(DEV, 0x18, 4), 0x0000000c);
	assert_int_equal(cfg(DEV, PCI_COMMAND, 4), 0);
	assert_int_equal(cfg(DEV, 0, 4), 0x10421af4);
}

static void what_does_not_fit_stays_undecoded(void **state)
{
	(void)state;
	other = (struct pci_function){.bar = {{.kind = PCI_BAR_MEM64, .size = (u64)1 << 40}}};
	assert_int_equal(pci_add(&bus, &other, PCI_DEVFN(1, 0)), 0);
	pci_assign(&bus);
	assert_int_equal(other.bar[0].address, PCI_UNMAPPED);
	assert_int_equal(dev.bar[0].address, 0xc0000000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(host_bridge),
	    TEST(absent_functions_are_all_ones),
	    TEST(access_sizes),
	    TEST(the_address_register_takes_32_bits_only),
	    TEST(ecam_is_the_same_space),
	    TEST(bars_tell_kind_and_size),
	    TEST(bars_are_decoded_as_the_command_says),
	    TEST(sizing_while_decoded),
	    TEST(colliding_bars_are_not_decoded),
	    TEST(ill_formed_functions_are_refused),
	    TEST(capabilities_form_a_list),
	    TEST(callbacks_see_reads_and_writes),
	    TEST(pins_rotate_over_the_wires),
	    TEST(functions_share_a_wire),
	    TEST(intx_disable_silences),
	    TEST(assignment_is_aligned_and_decoded),
	    TEST(what_does_not_fit_stays_undecoded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
