/* SPDX-License-Identifier: Apache-2.0 */
/* What the C files of this guest share: the test device's memory, and the machinery that runs one instruction
 * form on it and on RAM. */
#pragma once

#include "page.h"
#include "test.h"
#include "trap.h"

#define MMIO_BASE 0xff000000ULL
#define MMIO_SIZE 0x10000ULL

/* Registers as form_call*() loads and stores them. */
struct state {
	u64 rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, flags;
};
extern struct state form_state;
extern u64 form_code;

/* RAM of the same size and alignment. */
extern u8 ram_twin[MMIO_SIZE];

u64 random64(void);
bool mmio_present(void);

void forms64_test(void);
void forms32_test(void);
void forms16_test(void);
void absolute_test(void);
void rip_relative_test(void);
void code_crossing_test(void);
void mapped_crossing_test(void);
void long_string_test(void);
void fault_inside_string_test(void);
void port_sizes_test(void);
void port_strings_test(void);
void port_string_faults_test(void);
void port_string_forms_test(void);
