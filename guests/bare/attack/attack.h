/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of this guest. Those of endings.c end their VM. */
#pragma once

#include "cpu.h"
#include "page.h"
#include "test.h"
#include "trap.h"

#define NOWHERE 0xd0000000ULL /* nobody claims it */

/* Deterministic; `seed=N` on the command line changes it. */
u64 attack_random(void);
/* After an attack: puts the devices back that printing and interrupts need, and says so. */
void attack_survived(const char *what);

void attack_ports_test(void);
void attack_msrs_test(void);
void attack_memory_test(void);
void attack_rom_test(void);
void attack_pci_test(void);
void attack_uart_test(void);
void attack_hypercalls_test(void);
void attack_user_code_test(void);
void attack_operands_test(void);
void attack_jump_test(void);

void end_triple_fault(void);

void end_halt(void);
void end_idt_nowhere(void);
void end_stack_nowhere(void);
void end_tables_nowhere(void);
void end_tables_device(void);
void end_reset_cf9(void);
void end_reset_8042(void);
void end_reset_92(void);
void end_poweroff(void);
void end_exit_code(void);
void end_chaos(void);
