/* SPDX-License-Identifier: Apache-2.0 */
/* Running one instruction form, as forms64.asm, forms32.asm, forms16.asm and ports.asm list them. */
#pragma once

#include "mmio.h"

struct form {
	const char *name;
	u64 code;
	u32 class, reserved;
};

/* Linear addresses of the operand (RDI, EDI, ES:DI) and of what strings read (RSI, ESI, DS:SI). */
struct place {
	u64 target, second;
};

/* The registers with the pointers filled in, of the last run. */
extern struct state form_aimed;

/* Runs the form in code of 16, 32 or 64 bits; returns the vector or NO_FAULT. */
u32 form_run_at(const struct form *f, unsigned bits, const struct place *p, const struct state *from,
		struct state *out);
