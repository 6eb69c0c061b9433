/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of this guest, and the ways to raise an event that they share. */
#pragma once

#include "page.h"
#include "test.h"
#include "trap.h"

#define UNMAPPED_VA 0x7f0000001000ULL
#define TEST_VA 0x800000000ULL
#define NOT_CANONICAL_VA 0x1234567812345000ULL
#define SOFT_VECTOR 0x90
#define IPI_VECTOR 0x60

/* Each raises its exception at the label raise_NAME_at. arg is not used. */
void raise_de(void *arg);
void raise_ud(void *arg);
void raise_gp(void *arg);
void raise_pf(void *arg); /* reads UNMAPPED_VA */
void raise_int3(void *arg);
void raise_soft(void *arg); /* INT SOFT_VECTOR */
void raise_ipi(void *arg);  /* a self-IPI, taken at raise_ipi_at */
extern char raise_de_at[], raise_ud_at[], raise_gp_at[], raise_pf_at[], raise_int3_at[], raise_soft_at[],
    raise_ipi_at[];

void faults_ring0_test(void);
void faults_ring3_test(void);
void page_faults_test(void);
void alignment_test(void);
void software_interrupts_test(void);
void nested_test(void);
void nested_interrupt_test(void);
void reinjection_test(void);
void reinjection_loop_test(void);
