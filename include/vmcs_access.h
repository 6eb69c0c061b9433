/* SPDX-License-Identifier: Apache-2.0 */
/* VMREAD and VMWRITE, without types; vmcs.h puts those on top. A header of its own, so that unit tests
 * can have another one found first. */
#pragma once

#include "types.h"

static inline u64 vmcs_read_raw(u32 encoding)
{
	u64 value;
	__asm__ volatile("vmread %1, %0" : "=r"(value) : "r"((u64)encoding) : "cc");
	return value;
}
static inline void vmcs_write_raw(u32 encoding, u64 value)
{
	__asm__ volatile("vmwrite %1, %0" : : "r"((u64)encoding), "r"(value) : "cc", "memory");
}
