/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of this guest, and the log that they share. */
#pragma once

#include "apic.h"
#include "irqchip.h"
#include "test.h"
#include "trap.h"

#define PORT_ELCR 0x4d0 /* trigger modes of the PIC's lines */
#define LOG_SIZE 64
extern volatile u8 irq_log[LOG_SIZE];
extern volatile unsigned irq_count;

/* Handlers for vectors first to last: log, then end the interrupt in the PIC or in the local APIC. */
void irq_use_pic(u8 first, u8 last);
void irq_use_apic(u8 first, u8 last);
void irq_expect(const u8 *vectors, unsigned n, const char *what);
#define EXPECT_IRQS(what, ...) irq_expect((const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}), what)
#define EXPECT_NO_IRQ(what) irq_expect(NULL, 0, what)
/* Raises the line with IF = 1: the interrupt comes at the next instruction boundary. */
void irq_raise_open(unsigned line);
/* Waits with IF = 1 until n have come. */
bool irq_wait(unsigned n);

void pic_registers_test(void);
void pic_lines_test(void);
void pic_priority_test(void);
void pic_level_test(void);
void pic_auto_eoi_test(void);
void pic_no_extint_test(void);
void ioapic_registers_test(void);
void ioapic_edge_test(void);
void ioapic_level_test(void);
void ioapic_mask_test(void);
void ioapic_destination_test(void);
void lines_soak_test(void);
void string_lines_test(void);
void pit_registers_test(void);
void pit_pic_test(void);
void pit_ioapic_test(void);
void pit_modes_test(void);
void nmi_line_test(void);
