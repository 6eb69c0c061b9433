/* SPDX-License-Identifier: Apache-2.0 */
/* The hypervisor's own death, and the names of its functions for the report. */
#pragma once

#include "boot_info.h"
#include "trap.h"

void symbols_init(const struct boot_info *bi);
/* Name of the function that contains addr and the distance from its start; NULL when unknown. */
const char *symbol_find(u64 addr, u64 *distance);

__attribute__((noreturn)) void panic_trap(const struct trap_frame *f);
