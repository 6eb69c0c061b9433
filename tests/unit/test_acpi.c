/* SPDX-License-Identifier: Apache-2.0 */
/* The ACPI tables of the guest's PC (M66): walked as a guest walks them, accepted by ACPICA's
 * disassembler, and the DSDT's methods run by its interpreter. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "acpi.h"
#include "devices/hpet.h"
#include "devices/irq.h"
#include "devices/pci.h"
#include "devices/pm.h"
#include "pc.h"
#include "shim.h"

static u8 area[ACPI_AREA_SIZE];
static struct gmem gmem;
static int write_result;

int gmem_write(struct gmem *m, gpa_t gpa, const void *src, size_t n)
{
	assert_ptr_equal(m, &gmem);
	assert_true(gpa >= ACPI_AREA_BASE && gpa + n <= ACPI_AREA_BASE + ACPI_AREA_SIZE);
	if (!write_result)
		memcpy(area + (gpa - ACPI_AREA_BASE), src, n);
	return write_result;
}

static gpa_t build_with(const struct acpi_config *cfg)
{
	gpa_t rsdp = 0;

	memset(area, 0xcc, sizeof(area));
	write_result = 0;
	assert_int_equal(acpi_build(&gmem, cfg, &rsdp), 0);
	return rsdp;
}

static gpa_t build(unsigned vcpus)
{
	const struct acpi_config cfg = {.vcpus = vcpus};
	return build_with(&cfg);
}

static const u8 *at(gpa_t gpa, size_t n)
{
	assert_true(gpa >= ACPI_AREA_BASE && gpa + n <= ACPI_AREA_BASE + ACPI_AREA_SIZE);
	return area + (gpa - ACPI_AREA_BASE);
}

static u64 get(const u8 *p, unsigned offset, unsigned size)
{
	u64 value = 0;
	memcpy(&value, p + offset, size);
	return value;
}

static unsigned sum(const u8 *p, size_t n)
{
	unsigned total = 0;
	while (n--)
		total += *p++;
	return total & 0xff;
}

/* A table with a header, checked. */
static const u8 *table_at(gpa_t gpa, const char *signature)
{
	const u8 *t = at(gpa, 36);
	size_t length = get(t, 4, 4);
	at(gpa, length);
	assert_memory_equal(t, signature, 4);
	assert_int_equal(sum(t, length), 0);
	assert_memory_equal(t + 10, "SOCLE", 5);
	return t;
}

/* Finds a table through the XSDT, and makes sure that the RSDT has it too. */
static const u8 *table_find(gpa_t rsdp, const char *signature)
{
	const u8 *r = at(rsdp, 36);
	const u8 *rsdt = table_at(get(r, 16, 4), "RSDT"), *xsdt = table_at(get(r, 24, 8), "XSDT");
	size_t entries = (get(xsdt, 4, 4) - 36) / 8;

	assert_int_equal((get(rsdt, 4, 4) - 36) / 4, entries);
	for (size_t i = 0; i < entries; i++) {
		gpa_t address = get(xsdt, 36 + 8 * (unsigned)i, 8);
		assert_int_equal(get(rsdt, 36 + 4 * (unsigned)i, 4), address);
		if (!memcmp(at(address, 4), signature, 4))
			return table_at(address, signature);
	}
	fail_msg("no %s", signature);
	return NULL;
}

static void the_root_pointer_is_found_by_a_scan(void **state)
{
	(void)state;
	gpa_t rsdp = build(1), found = 0;
	for (gpa_t p = ACPI_AREA_BASE; p < ACPI_AREA_BASE + ACPI_AREA_SIZE && !found; p += 16)
		if (!memcmp(at(p, 8), "RSD PTR ", 8))
			found = p;
	assert_int_equal(found, rsdp);
	assert_true(rsdp >= 0xe0000 && rsdp + 36 <= 0x100000);
	const u8 *r = at(rsdp, 36);
	assert_int_equal(sum(r, 20), 0);
	assert_int_equal(sum(r, 36), 0);
	assert_int_equal(r[15], 2);
	assert_int_equal(get(r, 20, 4), 36);
}

static void fadt_names_the_fixed_hardware(void **state)
{
	(void)state;
	const u8 *f = table_find(build(1), "FACP");
	assert_int_equal(get(f, 46, 2), PM_SCI_GSI);
	assert_int_equal(get(f, 48, 4), 0); /* SMI_CMD: always in ACPI mode */
	assert_int_equal(get(f, 56, 4), 0x600);
	assert_int_equal(get(f, 64, 4), 0x604);
	assert_int_equal(get(f, 76, 4), 0x608);
	assert_int_equal(get(f, 88, 4), 0x04000204);
	assert_int_equal(f[108], 0x32);
	assert_int_equal(get(f, 109, 2), 7); /* legacy devices, 8042, no VGA */
	u64 flags = get(f, 112, 4);
	assert_true(flags & BIT(10));  /* reset register */
	assert_false(flags & BIT(4));  /* fixed power button */
	assert_false(flags & BIT(20)); /* not hardware-reduced */
	assert_int_equal(get(f, 116, 4), 0x01000801);
	assert_int_equal(get(f, 120, 8), 0xcf9);
	assert_int_equal(f[128], 6);
	assert_int_equal(get(f, 148, 4), 0x03002001); /* X_PM1a_EVT: I/O, 32 bits */
	assert_int_equal(get(f, 152, 8), 0x600);
	assert_int_equal(get(f, 176, 8), 0x604);
	assert_int_equal(get(f, 212, 8), 0x608);
	const u8 *facs = at(get(f, 36, 4), 64);
	assert_memory_equal(facs, "FACS", 4);
	assert_int_equal(get(facs, 4, 4), 64);
	assert_int_equal(get(f, 36, 4) % 64, 0);
	assert_int_equal(get(f, 132, 8), 0); /* only one of the two FACS addresses */
	assert_int_equal(get(f, 140, 8), get(f, 40, 4));
	table_at(get(f, 40, 4), "DSDT");
}

static void madt_lists_processors_and_wires(void **state)
{
	(void)state;
	static const unsigned counts[] = {1, 2, 16, 255};
	for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
		const u8 *m = table_find(build(counts[c]), "APIC");
		unsigned cpus = 0, ioapics = 0, overrides = 0, nmis = 0;
		size_t length = get(m, 4, 4), i = 44;
		assert_int_equal(get(m, 36, 4), 0xfee00000);
		assert_int_equal(get(m, 40, 4), 1);
		for (; i < length; i += m[i + 1]) {
			const u8 *e = m + i;
			assert_true(e[1] >= 6 && i + e[1] <= length);
			if (e[0] == 0) {
				assert_int_equal(e[3], cpus++);
				assert_int_equal(get(e, 4, 4), 1);
			} else if (e[0] == 1) {
				ioapics++;
				assert_int_equal(e[2], 0);
				assert_int_equal(get(e, 4, 8), 0xfec00000);
			} else if (e[0] == 2) {
				assert_int_equal(get(e, 2, 8) & 0xffffffffffff,
						 overrides ? 0x000000090900 : 0x000000020000);
				assert_int_equal(get(e, 8, 2), overrides ? 0x0d : 0);
				overrides++;
			} else {
				assert_int_equal(get(e, 0, 6), 0x010000ff0604);
				nmis++;
			}
		}
		assert_int_equal(i, length);
		assert_int_equal(cpus, counts[c]);
		assert_true(ioapics == 1 && overrides == 2 && nmis == 1);
	}
}

static void mcfg_points_at_ecam(void **state)
{
	(void)state;
	const u8 *m = table_find(build(1), "MCFG");
	assert_int_equal(get(m, 44, 8), PC_ECAM_BASE);
	assert_int_equal(get(m, 52, 4), 0xff000000);
	assert_int_equal(get(m, 4, 4), 60);
}

/* The table, and the code that has the device; nothing of either without one. */
static void hpet_only_where_there_is_one(void **state)
{
	(void)state;
	const struct acpi_config with = {.vcpus = 2, .hpet = true};
	gpa_t rsdp = build(2);
	const u8 *xsdt = table_at(get(at(rsdp, 36), 24, 8), "XSDT");
	assert_int_equal(get(xsdt, 4, 4), 36 + 3 * 8);
	for (gpa_t p = ACPI_AREA_BASE; p < ACPI_AREA_BASE + ACPI_AREA_SIZE; p += 4)
		assert_memory_not_equal(at(p, 4), "HPET", 4);
	rsdp = build_with(&with);
	xsdt = table_at(get(at(rsdp, 36), 24, 8), "XSDT");
	assert_int_equal(get(xsdt, 4, 4), 36 + 5 * 8);
	table_find(rsdp, "APIC");
	table_find(rsdp, "SSDT");
	const u8 *h = table_find(rsdp, "HPET");
	assert_int_equal(get(h, 4, 4), 56);
	assert_int_equal(get(h, 36, 4), 0x8086a201); /* the lower half of the device's first register */
	assert_int_equal(get(h, 40, 4), 0x00004000); /* in memory, 64 bits */
	assert_int_equal(get(h, 44, 8), 0xfed00000);
	assert_int_equal(h[52], 0);
	assert_int_equal(get(h, 53, 2), 250); /* 20 us */
	assert_int_equal(h[55], 0);
}

static void errors(void **state)
{
	(void)state;
	struct acpi_config cfg = {.vcpus = 0};
	gpa_t rsdp;
	assert_int_equal(acpi_build(&gmem, &cfg, &rsdp), ERR_INVAL);
	cfg.vcpus = 256;
	assert_int_equal(acpi_build(&gmem, &cfg, &rsdp), ERR_INVAL);
	cfg.vcpus = 1;
	write_result = ERR_FAULT;
	assert_int_equal(acpi_build(&gmem, &cfg, &rsdp), ERR_FAULT);
}

/* ---- ACPICA's tools ---- */
static char dir[] = "/tmp/test_acpi.XXXXXX";

static int tools_setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int tools_teardown(void **state)
{
	char command[128];
	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void save(const char *name, const u8 *table)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(table, get(table, 4, 4), 1, f), 1);
	assert_int_equal(fclose(f), 0);
}

/* Runs a tool on the saved tables; its output. */
static const char *run(const char *format, const char *argument)
{
	static char output[1 << 18];
	char command[512], tool[256];
	snprintf(tool, sizeof(tool), format, argument);
	snprintf(command, sizeof(command), "{ cd %s && %s; } 2>&1", dir, tool);
	FILE *p = popen(command, "r");
	assert_non_null(p);
	output[fread(output, 1, sizeof(output) - 1, p)] = '\0';
	int status = pclose(p);
	if (status)
		print_error("%s: status %d\n%s\n", tool, status, output);
	assert_int_equal(status, 0);
	return output;
}

static void tables_disassemble(void **state)
{
	static const char *const names[] = {"FACP", "APIC", "MCFG", "HPET", "XSDT"};
	const struct acpi_config cfg = {.vcpus = 4, .hpet = true};
	(void)state;
	gpa_t rsdp = build_with(&cfg);
	for (size_t i = 0; i < 4; i++)
		save(names[i], table_find(rsdp, names[i]));
	save("XSDT", table_at(get(at(rsdp, 36), 24, 8), "XSDT"));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *out = run("iasl -d %s && cat *.dsl && rm *.dsl", names[i]);
		assert_non_null(strstr(out, "Formatted output"));
		assert_null(strstr(out, "rror"));
		assert_null(strstr(out, "arning"));
		assert_null(strstr(out, "nvalid"));
	}
	save("DSDT", table_at(get(table_find(rsdp, "FACP"), 40, 4), "DSDT"));
	const char *out = run("iasl -we -d %s && iasl -we -p again DSDT.dsl", "DSDT");
	assert_non_null(strstr(out, "0 Errors, 0 Warnings"));
	save("SSDT", table_find(rsdp, "SSDT"));
	out = run("iasl -we -e DSDT -d %s && cat SSDT.dsl && iasl -we -p again SSDT.dsl", "SSDT");
	assert_non_null(strstr(out, "0 Errors, 0 Warnings"));
	assert_non_null(strstr(out, "EisaId (\"PNP0103\")"));
	assert_non_null(strstr(out, "0xFED00000,"));
	assert_non_null(strstr(out, "0x00000400,"));
}

/* The integers of a package that acpiexec printed: "Integer] = 0000000000000010". */
static unsigned integers(const char *out, u64 *values, unsigned max)
{
	unsigned n = 0;
	for (; n < max && (out = strstr(out, "[Integer] = ")); n++)
		values[n] = strtoull(out += 12, NULL, 16);
	return n;
}

/* The two fit together: the device is there when both are loaded. */
static void hpet_joins_the_board(void **state)
{
	const struct acpi_config cfg = {.vcpus = 1, .hpet = true};
	(void)state;
	gpa_t rsdp = build_with(&cfg);
	save("DSDT", table_at(get(table_find(rsdp, "FACP"), 40, 4), "DSDT"));
	save("SSDT", table_find(rsdp, "SSDT"));
	const char *out = run("printf 'evaluate %s._HID\\nquit\\n' | acpiexec DSDT SSDT", "\\\\_SB.HPET");
	u64 hid = 0;
	assert_non_null(out = strstr(out, "Evaluation of \\_SB.HPET._HID returned"));
	assert_int_equal(integers(out, &hid, 1), 1);
	assert_int_equal(hid, 0x0301d041); /* PNP0103 */
}

static const char *evaluate(const char *commands)
{
	gpa_t rsdp = build(1);
	save("DSDT", table_at(get(table_find(rsdp, "FACP"), 40, 4), "DSDT"));
	return run("printf '%s\\nquit\\n' | acpiexec DSDT", commands);
}

static void check_routing(const char *commands, bool ioapic)
{
	u64 values[4 * 128 + 1];
	const char *out = strstr(evaluate(commands), "Evaluation of \\_SB.PCI0._PRT returned");
	assert_non_null(out);
	assert_int_equal(integers(out, values, 4 * 128 + 1), 4 * 128);
	for (unsigned i = 0; i < 128; i++) {
		const u64 *entry = &values[4 * i];
		unsigned gsi = pci_gsi(PCI_DEVFN(i / 4, 0), i % 4 + 1);
		assert_int_equal(entry[0], i / 4 << 16 | 0xffff);
		assert_int_equal(entry[1], i % 4);
		assert_int_equal(entry[2], 0);
		assert_int_equal(entry[3], ioapic ? gsi : IRQ_PCI_ISA(gsi));
	}
}

static void routing_is_that_of_the_board(void **state)
{
	(void)state;
	check_routing("evaluate \\\\_SB.PCI0._PRT", false);
	check_routing("evaluate \\\\_PIC 1\\nevaluate \\\\_SB.PCI0._PRT", true);
}

static void soft_off_is_that_of_the_board(void **state)
{
	u64 values[5];
	(void)state;
	assert_int_equal(integers(evaluate("evaluate \\\\_S5"), values, 5), 4);
	assert_int_equal(values[0], PM_SLP_TYP_S5);
}

static void windows_are_those_of_the_board(void **state)
{
	static const u32 windows[][2] = {{PC_PCI_MMIO_BASE, PC_PCI_MMIO_END - 1},
					 {PC_PCI_MMIO2_BASE, PC_PCI_MMIO2_END - 1},
					 {PC_ECAM_BASE, PC_ECAM_SIZE},
					 {PC_IOAPIC_BASE, 0x1000},
					 {PC_LAPIC_BASE, 0x1000}};
	gpa_t rsdp = build(1);
	(void)state;
	save("DSDT", table_at(get(table_find(rsdp, "FACP"), 40, 4), "DSDT"));
	const char *out = run("iasl -d %s && cat DSDT.dsl", "DSDT");
	for (size_t i = 0; i < ARRAY_SIZE(windows); i++) {
		char text[16];
		for (unsigned j = 0; j < 2; j++) {
			snprintf(text, sizeof(text), "0x%08X,", windows[i][j]);
			assert_non_null(out = strstr(out, text));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_root_pointer_is_found_by_a_scan),
	    cmocka_unit_test(fadt_names_the_fixed_hardware),
	    cmocka_unit_test(madt_lists_processors_and_wires),
	    cmocka_unit_test(mcfg_points_at_ecam),
	    cmocka_unit_test(hpet_only_where_there_is_one),
	    cmocka_unit_test(errors),
	    cmocka_unit_test(tables_disassemble),
	    cmocka_unit_test(hpet_joins_the_board),
	    cmocka_unit_test(routing_is_that_of_the_board),
	    cmocka_unit_test(soft_off_is_that_of_the_board),
	    cmocka_unit_test(windows_are_those_of_the_board),
	};
	return cmocka_run_group_tests(tests, tools_setup, tools_teardown);
}
