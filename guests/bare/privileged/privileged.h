/* SPDX-License-Identifier: Apache-2.0 */
/* What rows.asm and the C files of this guest share. */
#pragma once

#include "test.h"
#include "trap.h"

/* What the instructions of rows.asm get in RDI: the state as it is, so that loading it changes nothing. */
struct operands {
	struct table_register gdtr;
	u8 pad0[6];
	struct table_register idtr;
	u8 pad1[6];
	u64 cr0, cr3, cr4;
	u8 pad2[2048 - 56];
	u8 scratch[2048];
};
_Static_assert(offsetof(struct operands, cr0) == 32, "rows.asm");
_Static_assert(offsetof(struct operands, scratch) == 2048, "rows.asm");

void rows_ring0_test(void);
void rows_ring3_test(void);
void vmcall_test(void);
void hlt_test(void);
void cr4_gates_test(void);
void rdpmc_test(void);
void classic_ring0_test(void);
void classic_ring3_test(void);
void umip_test(void);
void call_gate_test(void);
void descriptor_tables_test(void);
void popf_test(void);
