/* SPDX-License-Identifier: Apache-2.0 */
/* From an exit to the instruction emulator and back (private to vcpu/). */
#pragma once

#include "vcpu.h"

int emulation_create(struct vcpu *v);
void emulation_destroy(struct vcpu *v);
/* Executes the instruction at RIP, which accessed gpa; where linear_valid is set the VMCS has the linear
 * address of that access. */
void emulation_run(struct vcpu *v, gpa_t gpa, bool linear_valid);
/* fastlane.c: the same for the commonest instructions, after an access that the processor saw as a write
 * or not; false: nothing was done, take the long way. */
bool fastlane_run(struct vcpu *v, gpa_t gpa, bool write);
/* INS or OUTS, by the exit qualification. */
void emulation_string_io(struct vcpu *v, u64 qualification);

/* io.c: what a guest's access to a port or to memory-mapped I/O gives. size 1, 2, 4 or 8. */
u64 io_read(struct guest *g, bool port, u64 address, unsigned size);
void io_write(struct guest *g, bool port, u64 address, unsigned size, u64 value);
/* As the io_string_fn of the region, which is counted once for each item; 0 where it has none. */
u32 io_string(struct guest *g, u64 port, unsigned size, bool in, u8 *buf, u32 count);
