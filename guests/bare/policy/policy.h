/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of this guest. */
#pragma once

#include "test.h"

void cpuid_walk_test(void);
void cpuid_sane_test(void);
void cpuid_xsave_test(void);
void cpuid_hypervisor_test(void);
void cpuid_hidden_test(void);
void msr_walk_test(void);
void msr_deny_test(void);
void msr_reserved_test(void);
void msr_hold_test(void);
void cr0_test(void);
void cr3_test(void);
void cr4_test(void);
void cr8_test(void);
void xcr0_test(void);
void debug_registers_test(void);
