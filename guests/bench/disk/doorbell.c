/* SPDX-License-Identifier: Apache-2.0 */
/* What a doorbell costs. */
#include "../lib/interrupts.h"
#include "disk.h"

#define BETWEEN 7  /* instructions from one RDTSC to the next, the second one and OUT among them */
#define HANDLER 12 /* of an interrupt */

u64 disk_exit_ticks;

/* In one piece, so that what is between the readings is known. */
void disk_doorbell(u16 port, u16 value)
{
	u64 interrupts = interrupts_seen, before, after, high;

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
	disk_exit_ticks += after - before - BETWEEN - (interrupts_seen - interrupts) * HANDLER;
}
