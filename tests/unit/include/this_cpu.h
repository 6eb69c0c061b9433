/* SPDX-License-Identifier: Apache-2.0 */
/* Found before include/this_cpu.h in unit tests. */
#pragma once

#include "fake_cpu.h"

static inline struct cpu *this_cpu(void)
{
	return fake_cpu;
}
