/* SPDX-License-Identifier: Apache-2.0 */
/* Random code in ring 3, cut short by the timer, and sensitive instructions with random operands in ring 0.
 * M4. */
#include "apic.h"
#include "attack.h"
#include "print.h"

#define USER_CODE 0x8000000000ULL /* a part of the address space of its own, the only one ring 3 may use */
#define USER_STACK (USER_CODE + 0x10000)
#define TIMER_VECTOR 0x66
#define ROUNDS 3000U

static void make_user_pages(u64 *first_page)
{
	u64 pages = (u64)mem_alloc(3);

	page_map(USER_CODE, pages, PTE_RAM);
	page_map(USER_STACK - PAGE_SIZE, pages + PAGE_SIZE, PTE_RAM);
	*first_page = pages;
	boot_pml4[0] &= ~PTE_U;
	write_cr3(read_cr3());
}

/* Sensitive instructions to mix in, so that random bytes are not all dull. */
static void write_random_code(u8 *code)
{
	static const u8 spice[][4] = {
	    {0x0f, 0xa2, 0x90, 0x90}, {0x0f, 0x01, 0xc1, 0x90}, {0x0f, 0x01, 0xd0, 0x90},
	    {0xe4, 0x21, 0x90, 0x90}, {0xf3, 0x6c, 0x90, 0x90}, {0x0f, 0x32, 0x90, 0x90},
	    {0x0f, 0x31, 0x90, 0x90}, {0x0f, 0x22, 0xc0, 0x90}, {0x0f, 0x01, 0x07, 0x90},
	    {0xf4, 0x90, 0x90, 0x90}, {0x9d, 0x9c, 0x90, 0x90}, {0x0f, 0xc7, 0xf8, 0x90},
	    {0x0f, 0x00, 0xc8, 0x90}, {0x0f, 0x01, 0xe0, 0x90}, {0x66, 0x0f, 0x38, 0x80},
	};

	for (unsigned i = 0; i < 64; i += 4) {
		u64 r = attack_random();

		for (unsigned n = 0; n < 4; n++)
			code[i + n] = (u8)(r >> 8 * n);
		if ((r >> 40 & 7) == 0)
			memcpy(code + i, spice[(r >> 48) % ARRAY_SIZE(spice)], 4);
	}
	code[64] = 0xeb; /* JMP to the start */
	code[65] = 0xbe;
}

/* The timer that fired when the code had ended by itself. Otherwise its interrupt ends the code. */
static void late_timer(struct regs *r)
{
	(void)r;
	apic_eoi();
}

void attack_user_code_test(void)
{
	unsigned by_vector[32] = {0}, other = 0;
	u64 code;

	if (guest_platform() == PLATFORM_TCG) {
		test_skip("TCG of QEMU 7.2 does not survive some of it");
		return;
	}
	make_user_pages(&code);
	apic_init(false);
	apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, TIMER_VECTOR);
	trap_user_flags = RFLAGS_FIXED | RFLAGS_IF;
	for (unsigned i = 0; i < ROUNDS; i++) {
		u32 vector;

		write_random_code((u8 *)code);
		apic_write(APIC_TIMER_INITIAL, 3000);
		vector =
		    trap_user_enter((u64(*)(void *))USER_CODE, (void *)attack_random(), (void *)USER_STACK);
		apic_write(APIC_TIMER_INITIAL, 0);
		if (vector < 32)
			by_vector[vector]++;
		else
			other++;
		while (apic_bit(APIC_ISR, TIMER_VECTOR))
			apic_eoi();
		trap_handler(TIMER_VECTOR, late_timer);
		irq_window();
		trap_handler(TIMER_VECTOR, NULL);
	}
	trap_user_flags = RFLAGS_FIXED;
	boot_pml4[0] |= PTE_U;
	write_cr3(read_cr3());
	for (unsigned v = 0; v < 32; v++) {
		if (by_vector[v])
			print("vector %u: %u, ", v, by_vector[v]);
	}
	print("others: %u\n", other);
	attack_survived("random code in ring 3");
}

/* Control registers, debug registers, XCRs and descriptor tables with random values, each put back. */
void attack_operands_test(void)
{
	u64 cr0 = read_cr0(), cr4 = read_cr4();

	if (guest_platform() == PLATFORM_TCG) {
		test_skip("TCG takes values that it cannot run with");
		return;
	}
	for (unsigned i = 0; i < 2000; i++) {
		u64 r = attack_random(), bit = BIT(r % 64);

		if (bit != CR0_TS && bit != CR0_EM && bit != CR0_CD && bit != CR0_NW &&
		    write_cr0_try(cr0 ^ bit) == NO_FAULT)
			write_cr0(cr0);
		/* SMEP and SMAP would forbid our own pages, which are open to ring 3. */
		if (bit != CR4_SMEP && bit != CR4_SMAP && write_cr4_try(cr4 ^ bit) == NO_FAULT)
			write_cr4(cr4);
		if (r >> 32)
			expect(write_cr0_try(r & ~CR0_PE) == VEC_GP, "CR0 0x%lx", r);
		write_cr8_try(r);
		write_dr6_try(r >> (r & 63));
		write_dr7_try((r >> (r & 63)) & 0xfffff300); /* no breakpoint enabled */
		xsetbv_try((u32)r & 3, r >> 40);
		write_cr3_try(r | BIT(63));
		__asm__ volatile(TRY("1f") "mov %0, %%fs\n1:" ::"r"((u32)r) : "memory");
		try_vector();
		__asm__ volatile(TRY("1f") "lldt %w0\n1:" ::"r"((u32)r) : "memory");
		try_vector();
		__asm__ volatile(TRY("1f") "ltr %w0\n1:" ::"r"((u32)r & 0xff87U) : "memory");
		try_vector();
	}
	write_cr8(0);
	write_dr7(DR7_INIT);
	write_dr6(DR6_INIT);
	__asm__ volatile("mov %0, %%fs\n\tlldt %w0" ::"r"(0));
	attack_survived("random operands");
}
