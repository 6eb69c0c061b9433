/* SPDX-License-Identifier: Apache-2.0 */
/* What a doorbell costs, and interrupts that cost as little as can be. */
#include "disk.h"
#include "trap.h"

#define BETWEEN 7 /* instructions from one RDTSC to the next, the second one and OUT among them */
#define HANDLER 12

volatile u64 disk_interrupts;
u64 disk_exit_ticks;

/* End of interrupt, to the local APIC in x2APIC mode. */
__attribute__((naked)) static void interrupt(void)
{
	__asm__("push %rax\n\t"
		"push %rcx\n\t"
		"push %rdx\n\t"
		"incq disk_interrupts(%rip)\n\t"
		"mov $0x80b, %ecx\n\t"
		"xor %eax, %eax\n\t"
		"xor %edx, %edx\n\t"
		"wrmsr\n\t"
		"pop %rdx\n\t"
		"pop %rcx\n\t"
		"pop %rax\n\t"
		"iretq");
}

void disk_interrupts_on(u8 vector)
{
	trap_gate(vector, interrupt);
}

/* In one piece, so that what is between the readings is known. */
void disk_doorbell(u16 port, u16 value)
{
	u64 interrupts = disk_interrupts, before, after, high;

	__asm__ volatile("rdtsc\n\t"
			 "shl $32, %%rdx\n\t"
			 "or %%rdx, %%rax\n\t"
			 "mov %%rax, %0\n\t"
			 "mov %w4, %%dx\n\t"
			 "mov %w3, %%ax\n\t"
			 "outw %%ax, %%dx\n\t"
			 "rdtsc"
			 : "=&r"(before), "=&a"(after), "=&d"(high)
			 : "r"(value), "r"(port)
			 : "memory");
	after |= high << 32;
	disk_exit_ticks += after - before - BETWEEN - (disk_interrupts - interrupts) * HANDLER;
}
