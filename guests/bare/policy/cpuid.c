/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID: any leaf may be asked for, and what it says agrees with what the registers say. SDM vol. 2, CPUID.
 */
#include "apic.h"
#include "page.h"
#include "policy.h"
#include "print.h"
#include "trap.h"

#define LEAF_HYPERVISOR 0x40000000U
#define LEAF_EXTENDED 0x80000000U

void cpuid_walk_test(void)
{
	static const u32 bases[] = {0, LEAF_HYPERVISOR, LEAF_EXTENDED, 0x7fffff00, 0xc0000000, 0xffffff00};
	u32 sum = 0;

	for (unsigned b = 0; b < ARRAY_SIZE(bases); b++) {
		for (u32 leaf = bases[b]; leaf < bases[b] + 0x100U && leaf >= bases[b]; leaf++) {
			for (u32 sub = 0; sub < 4; sub++) {
				struct cpuid_regs r = cpuid(leaf, sub);

				sum ^= r.eax ^ r.ebx ^ r.ecx ^ r.edx;
			}
		}
	}
	for (u32 sub = 0; sub < 70; sub++)
		sum ^= cpuid(0xd, sub).eax ^ cpuid(4, sub).eax ^ cpuid(7, ~sub).eax;
	print("cpuid-walk: sum 0x%x\n", sum);
}

void cpuid_sane_test(void)
{
	u64 cr4 = read_cr4();
	struct cpuid_regs r = cpuid(0, 0), ext;

	expect(r.eax >= 7 && r.eax < 0x100, "highest leaf 0x%x", r.eax);
	expect(cpuid(LEAF_EXTENDED, 0).eax >= LEAF_EXTENDED + 8, "highest extended leaf");
	expect(page_phys_bits() >= 36 && page_phys_bits() <= 52, "%u physical bits", page_phys_bits());
	ext = cpuid(LEAF_EXTENDED + 8, 0);
	expect((ext.eax >> 8 & 0xff) == 48 || (ext.eax >> 8 & 0xff) == 57, "%u linear bits",
	       ext.eax >> 8 & 0xff);
	ext = cpuid(LEAF_EXTENDED + 1, 0);
	expect(ext.edx & BIT(29), "no long mode, but this code runs in it");

	apic_init(false);
	r = cpuid(1, 0);
	expect_eq(r.ebx >> 24, apic_id(), "initial APIC id");
	expect(r.edx & BIT(9), "APIC enabled, but not in CPUID");
	if (cpuid(0, 0).eax >= 0xb && cpuid(0xb, 0).ebx)
		expect_eq(cpuid(0xb, 0).edx, apic_id(), "x2APIC id of leaf 0xb");

	if (!(r.ecx & BIT(26)))
		return;
	write_cr4(cr4 | CR4_OSXSAVE);
	expect(cpuid(1, 0).ecx & BIT(27), "OSXSAVE is not told when CR4 has it");
	write_cr4(cr4 & ~CR4_OSXSAVE);
	expect(!(cpuid(1, 0).ecx & BIT(27)), "OSXSAVE is told when CR4 has it not");
	write_cr4(cr4);
}

/* Leaf 0xd: offsets and sizes of the XSAVE area follow XCR0. SDM vol. 1, 13.2. */
void cpuid_xsave_test(void)
{
	struct cpuid_regs r;
	u32 size = 576, compacted = 576;
	u64 all;

	if (!(cpuid(1, 0).ecx & BIT(26))) {
		test_skip("no XSAVE");
		return;
	}
	write_cr4(read_cr4() | CR4_OSXSAVE);
	r = cpuid(0xd, 0);
	all = (u64)r.edx << 32 | r.eax;
	expect_vector(xsetbv_try(0, 1), NO_FAULT, "XCR0 = x87");
	expect_eq(cpuid(0xd, 0).ebx, 576, "size for x87");
	expect_vector(xsetbv_try(0, 3), NO_FAULT, "XCR0 = x87, SSE");
	expect_eq(cpuid(0xd, 0).ebx, 576, "size for x87 and SSE");
	for (unsigned bit = 2; bit < 63; bit++) {
		struct cpuid_regs c;

		if (!(all & BIT(bit)))
			continue;
		c = cpuid(0xd, bit);
		expect(c.eax && c.ebx >= 576, "component %u: %u bytes at %u", bit, c.eax, c.ebx);
		if (c.eax + c.ebx > size)
			size = c.eax + c.ebx;
		compacted = (c.ecx & 2 ? (compacted + 63) & ~63U : compacted) + c.eax;
	}
	expect_eq(r.ecx, size, "size for all components");
	expect_vector(xsetbv_try(0, all), NO_FAULT, "XCR0 = all");
	expect_eq(cpuid(0xd, 0).ebx, size, "size for all enabled components");
	if (cpuid(0xd, 1).eax & BIT(1)) /* XSAVEC */
		expect_eq(cpuid(0xd, 1).ebx, compacted, "size in compacted format");
	xsetbv_try(0, 1);
	write_cr4(read_cr4() & ~CR4_OSXSAVE);
}

/* `nohv` on the command line: the VM hides its hypervisor (M10). */
void cpuid_hypervisor_test(void)
{
	struct cpuid_regs r = cpuid(LEAF_HYPERVISOR, 0);
	bool hidden = test_has_word("nohv");

	if (!hidden && guest_platform() != PLATFORM_SOCLE) {
		test_skip("not under Socle");
		return;
	}
	expect_eq(cpuid(1, 0).ecx >> 31, !hidden, "hypervisor bit");
	if (hidden) {
		expect(memcmp(&r.ebx, "Socle", 5) != 0, "signature without hypervisor bit");
		return;
	}
	expect(!memcmp(&r.ebx, "SocleSocleSo", 12), "signature");
	expect(r.eax >= LEAF_HYPERVISOR && r.eax < LEAF_HYPERVISOR + 0x10000, "highest leaf 0x%x", r.eax);
}

/* What a guest may not have is not enumerated. */
void cpuid_hidden_test(void)
{
	struct cpuid_regs one = cpuid(1, 0), seven = cpuid(7, 0);

	if (guest_platform() != PLATFORM_SOCLE && !test_has_word("nohv")) {
		test_skip("not under Socle");
		return;
	}
	expect(!(one.ecx & BIT(5)), "VMX");
	expect(!(one.ecx & BIT(6)), "SMX");
	expect(!(one.edx & BIT(21)), "debug store");
	expect(!(seven.ebx & BIT(2)), "SGX");
	expect(!(seven.ebx & BIT(12)), "resource monitoring");
	expect(!(seven.ebx & BIT(15)), "resource allocation");
	expect(!(seven.ebx & BIT(25)), "processor trace");
	expect(!(seven.edx & BIT(18)), "PCONFIG");
	expect(!(cpuid(0x80000001, 0).ecx & BIT(2)), "SVM");
	for (u32 leaf = LEAF_HYPERVISOR; test_has_word("nohv") && leaf < LEAF_HYPERVISOR + 0x200;
	     leaf += 0x100) {
		struct cpuid_regs r = cpuid(leaf, 0);

		expect(memcmp(&r.ebx, "KVMKVMKVM", 9) != 0, "KVM signature at 0x%x", leaf);
	}
}
