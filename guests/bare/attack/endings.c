/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to end, one for each word of the command line. Each says which before it goes, and fails if it is
 * still there afterwards. */
#include "attack.h"
#include "print.h"

#define DEVICE 0xff000000ULL /* the test device's memory */

void ending_triple_fault(void);
void ending_stack_nowhere(u64 rsp);

static void going(const char *how)
{
	print("ending by %s\n", how);
	irq_disable();
}

void end_triple_fault(void)
{
	going("triple fault");
	ending_triple_fault();
}

void end_halt(void)
{
	going("HLT with interrupts off");
	__asm__ volatile("hlt");
	expect(false, "still there");
}

/* The processor itself, not an instruction, reads where nothing is: no fault of the architecture fits. */
void end_idt_nowhere(void)
{
	going("an IDT where nothing is");
	write_idtr((struct table_register){0xfff, NOWHERE});
	__asm__ volatile("int3");
	expect(false, "still there");
}

void end_stack_nowhere(void)
{
	going("a stack where nothing is");
	ending_stack_nowhere(NOWHERE + 0x800);
}

void end_tables_nowhere(void)
{
	going("page tables where nothing is");
	write_cr3(NOWHERE);
	expect(false, "still there");
}

void end_tables_device(void)
{
	going("page tables in a device");
	memcpy((void *)DEVICE, boot_pml4, 64);
	write_cr3(DEVICE);
	expect(false, "still there");
}

void end_reset_cf9(void)
{
	going("port 0xcf9");
	outb(0xcf9, 2);
	outb(0xcf9, 6);
	expect(false, "still there");
}

void end_reset_8042(void)
{
	going("8042");
	outb(0x64, 0xfe);
	expect(false, "still there");
}

void end_reset_92(void)
{
	going("port 0x92");
	outb(0x92, 1);
	expect(false, "still there");
}

void end_poweroff(void)
{
	going("power-off");
	guest_poweroff();
}

void end_exit_code(void)
{
	going("exit code 42");
	outb(0xf4, 42);
	expect(false, "still there");
}

/* Random bytes in ring 0: whatever comes of it, only this VM has it. It may also run for ever. */
void end_chaos(void)
{
	u8 *code = mem_alloc(16);

	going("random code");
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < 16 * PAGE_SIZE; i++)
			code[i] = (u8)attack_random();
		trap_catch((void (*)(void *))code, code);
	}
}
