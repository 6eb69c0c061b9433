/* SPDX-License-Identifier: Apache-2.0 */
/* Found before include/vmcs_access.h in unit tests: a VMCS in memory. */
#pragma once

#include "fake_cpu.h"

static inline u64 vmcs_read_raw(u32 encoding)
{
	fake_vmcs_reads[encoding]++;
	return fake_vmcs[encoding];
}
static inline void vmcs_write_raw(u32 encoding, u64 value)
{
	fake_vmcs_writes[encoding]++;
	fake_vmcs[encoding] = value;
}
