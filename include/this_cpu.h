/* SPDX-License-Identifier: Apache-2.0 */
/* Which CPU runs this: reached through GS, see struct cpu in host.h. A header of its own, so that unit
 * tests can have another one found first. */
#pragma once

struct cpu;

static inline struct cpu *this_cpu(void)
{
	struct cpu *c;
	__asm__("mov %%gs:0, %0" : "=r"(c)); /* not volatile: it never changes on a CPU */
	return c;
}
