/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of this guest, and what they share. */
#pragma once

#include "cpu.h"
#include "page.h"
#include "test.h"
#include "trap.h"

/* Copies the section .low to where it is linked. */
void low_install(void);

void real_state_test(void);
void real_segments_test(void);
void real_strings_test(void);
void real_exits_test(void);
void real_interrupts_test(void);
void real_faults_test(void);
void real_halt_test(void);
void real_moved_idt_test(void);
void real_big_test(void);
void real_bios_test(void);
void real_often_test(void);
void protected_test(void);
void protected_faults_test(void);
void paging32_test(void);
void paging_pae_test(void);
void pdpte_test(void);
void compat_test(void);
void compat_user_test(void);
void v86_test(void);
