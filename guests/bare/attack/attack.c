/* SPDX-License-Identifier: Apache-2.0 */
/* Touches everything that a guest can name: ports, MSRs, guest-physical addresses, PCI configuration,
 * hypercalls. The guest must live, and the hypervisor with it. M14, M24, M67. */
#include "attack.h"
#include "apic.h"
#include "hyper.h"
#include "irqchip.h"
#include "print.h"

#define WINDOW_VA 0x800000000ULL
#define FLOOD_BYTES 16384U

u64 attack_random(void)
{
	static u64 x;

	if (!x) {
		const char *seed = test_option("seed");

		x = 88172645463325252ULL + (seed ? parse_number(seed) * 0x9e3779b97f4a7c15ULL : 0);
	}
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

void attack_survived(const char *what)
{
	irq_disable();
	serial_init();
	pic_init();
	print("alive after %s\n", what);
}

/* Ports whose write ends or resets the machine, or scribbles on its console, are left to other tests. */
static bool spared(u32 port)
{
	static const struct {
		u16 first, last;
	} ports[] = {
	    {0x64, 0x64},   {0x92, 0x92},   {0xe9, 0xe9},     {0xf4, 0xf7},     {0x3f8, 0x3ff},
	    {0x600, 0x60f}, {0xcf8, 0xcff}, {0x8900, 0x8900}, {0xb000, 0xb03f},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
		/* a wide access from below reaches in, too */
		if (port + 3 >= ports[i].first && port <= ports[i].last)
			return true;
	}
	return false;
}

void attack_ports_test(void)
{
	u32 sum = 0;

	if (guest_platform() == PLATFORM_TCG || guest_platform() == PLATFORM_BARE) {
		test_skip("the devices of QEMU and Bochs end the machine for less");
		return;
	}
	for (u32 port = 0; port < 0x10000; port++) {
		u16 p = (u16)port;

		sum += inb(p);
		sum += inw(p);
		sum += inl(p);
		if (spared(port))
			continue;
		outb(p, (u8)attack_random());
		outw(p, (u16)attack_random());
		outl(p, (u32)attack_random());
	}
	attack_survived("all ports");
	print("sum of what was read 0x%x\n", sum);
	if (guest_platform() != PLATFORM_SOCLE)
		return;
	expect_eq(inb(0xd00), 0xff, "unclaimed port, 8 bits");
	expect_eq(inw(0xd00), 0xffff, "unclaimed port, 16 bits");
	expect_eq(inl(0xffff), 0xffffffff, "32 bits at the last port");
}

static void attack_msr(u32 msr)
{
	u64 old = 0;
	bool readable = rdmsr_try(msr, &old) == NO_FAULT;
	const u64 values[] = {0, UINT64_MAX, attack_random(), BIT(attack_random() % 64), old ^ 1};

	/* GS and FS are free; these would take the ground from under our feet. */
	if (msr == MSR_EFER || msr == MSR_PAT)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		u32 vector = wrmsr_try(msr, values[i]);

		expect(vector == NO_FAULT || vector == VEC_GP, "WRMSR 0x%x: vector %u", msr, vector);
	}
	if (readable)
		wrmsr_try(msr, old);
}

void attack_msrs_test(void)
{
	if (guest_platform() == PLATFORM_TCG) {
		test_skip("TCG loads values that it cannot run with");
		return;
	}
	for (u32 msr = 0; msr < 0x2000; msr++)
		attack_msr(msr);
	for (u32 msr = 0xc0000000; msr < 0xc0002000; msr++)
		attack_msr(msr);
	for (u32 msr = 0x4b564d00; msr < 0x4b564d10; msr++)
		attack_msr(msr);
	for (unsigned i = 0; i < 5000; i++)
		attack_msr((u32)attack_random());
	attack_survived("all MSRs");
}

static unsigned outside_pages, answered;

/* Reads and writes one page of guest-physical space outside RAM, in several sizes. */
static void probe(u64 pa)
{
	volatile u8 *w = (volatile u8 *)WINDOW_VA;
	u32 v;

	if (pa >= 0xfec00000 && pa < 0xfef00000) /* interrupt controllers: tests of their own */
		return;
	page_map(WINDOW_VA, pa, PTE_UC);
	outside_pages++;
	if (read32_try(w + 0x10, &v) == NO_FAULT && v != 0xffffffff)
		answered++;
	*w = 0x5a;
	*(volatile u16 *)(w + 0x7fe) = 0x5a5a;
	*(volatile u32 *)(w + 0xffc) = 0;
	*(volatile u64 *)(w + 0x800) = 0;
	if (*(volatile u64 *)(w + 0xff8) != UINT64_MAX)
		answered++;
}

void attack_memory_test(void)
{
	u64 start, end, top = BIT(page_phys_bits());

	if (guest_platform() == PLATFORM_TCG) /* which maps a BIOS and a display */
		top = 0;
	mem_free_range(&start, &end);
	for (u64 pa = (end + 0x1fffff) & ~0x1fffffULL; top && pa < 0x100000000ULL; pa += 0x200000)
		probe(pa);
	for (u64 pa = 0x100000000ULL; pa < top; pa <<= 1) {
		probe(pa);
		probe(pa - PAGE_SIZE);
		probe(pa + (attack_random() & (pa - 1) & ~0xfffULL));
	}
	if (top)
		probe(top - PAGE_SIZE);
	page_unmap(WINDOW_VA);
	attack_survived("memory outside RAM");
	print("%u pages, %u answered\n", outside_pages, answered);
	if (!top)
		test_skip("TCG has a BIOS and a display there");
}

/* A PC's ROM and display areas: whatever they are, they hurt nobody. */
void attack_rom_test(void)
{
	for (u64 pa = 0xa0000; pa < 0x100000; pa += PAGE_SIZE) {
		volatile u64 *p = (volatile u64 *)(pa + 8 * (attack_random() % 512));
		u64 old = *p;

		*p = attack_random();
		*p = old;
	}
	attack_survived("ROM and display memory");
}

/* All of bus 0 and some of the others, read and written: command, BARs, the rest. */
void attack_pci_test(void)
{
	if (guest_platform() == PLATFORM_TCG || guest_platform() == PLATFORM_BARE) {
		test_skip("real bridges do not come back from this");
		return;
	}
	for (u32 function = 0; function < 0x10000; function += function < 0x100 ? 1 : 0x93) {
		for (u32 reg = 0; reg < 0x100; reg += 4) {
			u32 old;

			outl(0xcf8, 0x80000000 | function << 8 | reg);
			old = inl(0xcfc);
			outl(0xcfc, 0xffffffff);
			outw(0xcfe, (u16)attack_random());
			outb(0xcfd, (u8)attack_random());
			outl(0xcfc, old);
		}
	}
	for (unsigned i = 0; i < 5000; i++) {
		volatile u32 *ecam = (volatile u32 *)(0xe0000000ULL + (attack_random() & 0xffffffc));
		u32 old = *ecam;

		*ecam = (u32)attack_random();
		*ecam = old;
	}
	attack_survived("PCI configuration");
}

/* The transmitter without waiting, and the chip's registers at random. */
void attack_uart_test(void)
{
	for (unsigned i = 0; i < FLOOD_BYTES; i++)
		outb(0x3f8, i % 64 == 63 ? '\n' : (u8)('0' + i % 64));
	outb(0x3fc, 0x10); /* loopback, so that the rest stays here */
	for (unsigned i = 0; i < FLOOD_BYTES; i++) {
		u16 port = (u16)(0x3f8 + attack_random() % 8);

		if (port == 0x3fc)
			outb(port, (u8)(attack_random() | 0x10));
		else if (attack_random() & 1)
			outb(port, (u8)attack_random());
		else
			inb(port);
	}
	serial_init();
	print("\n");
	attack_survived("the flood");
}

/* Random numbers and arguments, at times nearly right. A console write of our own text is the worst that may
 * come of it, so that number is avoided unless its address is bad. */
void attack_hypercalls_test(void)
{
	i64 result;

	if (!hypercall_present()) {
		test_skip("no hypercalls");
		return;
	}
	for (unsigned i = 0; i < 20000; i++) {
		u64 nr = attack_random() & (i & 1 ? 7 : UINT64_MAX), a = attack_random(), b = attack_random();

		if (i & 2)
			b &= 0x1fff;
		if (i & 4)
			a |= BIT(40) << (a & 15);
		else if (nr == SOCLE_CALL_CONSOLE_WRITE)
			continue;
		result = hypercall(nr, a, b);
		if (nr > 63)
			expect(result == SOCLE_ENOSYS, "call 0x%lx gave %ld", nr, result);
	}
	attack_survived("random hypercalls");
}

static void jump(void *to)
{
	((void (*)(void))to)();
}

/* Nothing can be fetched where nothing is, nor from a device: #UD, as for any other code that is none. */
void attack_jump_test(void)
{
	if (guest_platform() != PLATFORM_SOCLE) {
		test_skip("a processor would execute all-ones");
		return;
	}
	expect_vector(trap_catch(jump, (void *)NOWHERE), VEC_UD, "jump to nowhere");
	expect_eq(trap_last.rip, NOWHERE, "RIP");
	expect_vector(trap_catch(jump, (void *)0xfec00000), VEC_UD, "jump into the IOAPIC");
	attack_survived("jumps to nowhere");
}

const struct test guest_tests[] = {
    {"ports", attack_ports_test, 0},
    {"memory", attack_memory_test, 0},
    {"rom", attack_rom_test, 0},
    {"pci", attack_pci_test, 0},
    {"uart", attack_uart_test, 0},
    {"hypercalls", attack_hypercalls_test, 0},
    {"user-code", attack_user_code_test, 0},
    {"operands", attack_operands_test, 0},
    {"jump", attack_jump_test, 0},
    {"msrs", attack_msrs_test, 0},
    {"triple-fault", end_triple_fault, ON_DEMAND},

    {"halt", end_halt, ON_DEMAND},
    {"idt-nowhere", end_idt_nowhere, ON_DEMAND},
    {"stack-nowhere", end_stack_nowhere, ON_DEMAND},
    {"tables-nowhere", end_tables_nowhere, ON_DEMAND},
    {"tables-device", end_tables_device, ON_DEMAND},
    {"reset-cf9", end_reset_cf9, ON_DEMAND},
    {"reset-8042", end_reset_8042, ON_DEMAND},
    {"reset-92", end_reset_92, ON_DEMAND},
    {"poweroff", end_poweroff, ON_DEMAND},
    {"exit-code", end_exit_code, ON_DEMAND},
    {"chaos", end_chaos, ON_DEMAND},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
