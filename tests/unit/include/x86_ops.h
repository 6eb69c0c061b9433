/* SPDX-License-Identifier: Apache-2.0 */
/* Found before include/x86_ops.h in unit tests: the same functions, but control and debug registers and
 * XCR0 are fields of fake_registers, CPUID may be the test's, and so may MSRs, I/O ports and random words;
 * HLT counts, INVLPG keeps the address. */
#pragma once

#include "fake_cpu.h"

#define rdmsr real_rdmsr
#define rdrand real_rdrand
#define rdseed real_rdseed
#define wrmsr real_wrmsr
#define cpuid real_cpuid
#define xgetbv real_xgetbv
#define xsetbv real_xsetbv
#define read_cr0 real_read_cr0
#define write_cr0 real_write_cr0
#define read_cr2 real_read_cr2
#define write_cr2 real_write_cr2
#define read_cr3 real_read_cr3
#define write_cr3 real_write_cr3
#define read_cr4 real_read_cr4
#define write_cr4 real_write_cr4
#define read_dr0 real_read_dr0
#define write_dr0 real_write_dr0
#define read_dr1 real_read_dr1
#define write_dr1 real_write_dr1
#define read_dr2 real_read_dr2
#define write_dr2 real_write_dr2
#define read_dr3 real_read_dr3
#define write_dr3 real_write_dr3
#define read_dr6 real_read_dr6
#define write_dr6 real_write_dr6
#define sti_hlt_cli real_sti_hlt_cli
#define invlpg real_invlpg
#define monitor real_monitor
#define mwait real_mwait
#define inb real_inb
#define inw real_inw
#define inl real_inl
#define outb real_outb
#define outw real_outw
#define outl real_outl
#include "../../../include/x86_ops.h"
#undef inb
#undef inw
#undef inl
#undef outb
#undef outw
#undef outl
#undef rdmsr
#undef rdrand
#undef rdseed
#undef wrmsr
#undef cpuid
#undef xgetbv
#undef xsetbv
#undef read_cr0
#undef write_cr0
#undef read_cr2
#undef write_cr2
#undef read_cr3
#undef write_cr3
#undef read_cr4
#undef write_cr4
#undef read_dr0
#undef write_dr0
#undef read_dr1
#undef write_dr1
#undef read_dr2
#undef write_dr2
#undef read_dr3
#undef write_dr3
#undef read_dr6
#undef write_dr6
#undef sti_hlt_cli
#undef invlpg
#undef monitor
#undef mwait

static inline u64 rdmsr(u32 msr)
{
	return fake_msr_read ? fake_msr_read(msr) : 0;
}

static inline void wrmsr(u32 msr, u64 value)
{
	if (fake_msr_write)
		fake_msr_write(msr, value);
}

static inline void invlpg(u64 va)
{
	fake_forgotten = va;
}

static inline void monitor(const volatile void *address)
{
	fake_watched = (u64)address;
}

static inline void mwait(u32 hint, u32 extensions)
{
	(void)hint, (void)extensions;
}

static inline bool rdrand(u64 *word)
{
	return fake_random(false, word);
}

static inline bool rdseed(u64 *word)
{
	return fake_random(true, word);
}

static inline struct cpuid_regs cpuid(u32 leaf, u32 subleaf)
{
	return fake_cpuid ? fake_cpuid(leaf, subleaf) : real_cpuid(leaf, subleaf);
}

static inline u64 xgetbv(u32 index)
{
	(void)index;
	return fake_registers.xcr0;
}

static inline void xsetbv(u32 index, u64 value)
{
	(void)index;
	fake_registers.xcr0 = value;
}

static inline void sti_hlt_cli(void)
{
	fake_halts++;
}

#define FAKE_REG(reg)                                                                                        \
	static inline u64 read_##reg(void)                                                                   \
	{                                                                                                    \
		return fake_registers.reg;                                                                   \
	}                                                                                                    \
	static inline void write_##reg(u64 v)                                                                \
	{                                                                                                    \
		fake_registers.reg = v;                                                                      \
	}
FAKE_REG(cr0)
FAKE_REG(cr2)
FAKE_REG(cr3)
FAKE_REG(cr4)
FAKE_REG(dr0)
FAKE_REG(dr1)
FAKE_REG(dr2)
FAKE_REG(dr3)
FAKE_REG(dr6)
#undef FAKE_REG

#define FAKE_PORT(letter, bytes, type)                                                                       \
	static inline type in##letter(u16 port)                                                              \
	{                                                                                                    \
		return fake_in ? (type)fake_in(port, bytes) : (type)~0u;                                     \
	}                                                                                                    \
	static inline void out##letter(u16 port, type v)                                                     \
	{                                                                                                    \
		if (fake_out)                                                                                \
			fake_out(port, bytes, v);                                                            \
	}
FAKE_PORT(b, 1, u8)
FAKE_PORT(w, 2, u16)
FAKE_PORT(l, 4, u32)
#undef FAKE_PORT
