/* SPDX-License-Identifier: Apache-2.0 */
/* Which CPU runs this: reached through GS, see struct cpu in host.h. A header of its own, so that unit
 * tests can have another one found first. */
#pragma once

struct cpu;

/* Stands for what a call may change, for the compiler alone: nothing reads or writes it. */
extern char this_cpu_changes;

/* A task may go on on another CPU after any call that switches tasks. So the word is as good as memory: it is
 * read again after a call, and once between two. */
static inline struct cpu *this_cpu(void)
{
	struct cpu *c;
	__asm__("mov %%gs:0, %0" : "=r"(c) : "m"(this_cpu_changes));
	return c;
}
