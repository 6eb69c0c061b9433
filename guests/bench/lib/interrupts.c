/* SPDX-License-Identifier: Apache-2.0 */
/* End of interrupt and nothing else. */
#include "interrupts.h"
#include "trap.h"

volatile u64 interrupts_seen;

/* End of interrupt, to the local APIC in x2APIC mode. */
__attribute__((naked)) static void interrupt(void)
{
	__asm__("push %rax\n\t"
		"push %rcx\n\t"
		"push %rdx\n\t"
		"incq interrupts_seen(%rip)\n\t"
		"mov $0x80b, %ecx\n\t"
		"xor %eax, %eax\n\t"
		"xor %edx, %edx\n\t"
		"wrmsr\n\t"
		"pop %rdx\n\t"
		"pop %rcx\n\t"
		"pop %rax\n\t"
		"iretq");
}

void interrupts_on(u8 vector)
{
	trap_gate(vector, interrupt);
}
