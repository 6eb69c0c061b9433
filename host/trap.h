/* SPDX-License-Identifier: Apache-2.0 */
/* What trap.asm pushes for an exception or interrupt, lowest address first (SDM vol. 3, 6.14.2). */
#pragma once

#include "types.h"

struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct trap_frame) == 22 * 8, "trap.asm pushes 17 words, the CPU 5");

#define TRAP_STUB_SIZE 16
extern const char trap_stubs[]; /* 256 of them, TRAP_STUB_SIZE bytes each */

void trap_dispatch(struct trap_frame *f); /* called by trap.asm */
