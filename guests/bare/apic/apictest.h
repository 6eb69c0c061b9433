/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of this guest run twice, in xAPIC and in x2APIC mode; in this order, because Bochs 2.7 without a
 * hypervisor finds no way back. */
#pragma once

#include "apic.h"
#include "irqchip.h"
#include "test.h"
#include "trap.h"

/* Interrupts in the order of their arrival. */
#define LOG_SIZE 64
extern volatile u8 irq_log[LOG_SIZE];
extern volatile unsigned irq_count;
extern volatile u64 irq_rip; /* where the last one came */
/* Logs, ends the interrupt. */
void irq_log_handler(struct regs *r);
void irq_log_vectors(u8 first, u8 last);
void irq_log_clear(void);
/* What has arrived is exactly this. */
void irq_log_expect(const u8 *vectors, unsigned n, const char *what);
#define EXPECT_IRQS(what, ...)                                                                               \
	irq_log_expect((const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}), what)

void registers_test(void);
void errors_test(void);
void x2_reserved_test(void);
void modes_test(void);
void order_test(void);
void tpr_test(void);
void nesting_test(void);
void destinations_test(void);
void soak_test(void);
void shadows_test(void);
void window_test(void);
void nmi_test(void);
void nmi_blocking_test(void);
void one_shot_test(void);
void periodic_test(void);
void deadline_test(void);
void pv_eoi_test(void);
