/* SPDX-License-Identifier: Apache-2.0 */
/* One function per privileged or special instruction (SDM vol. 2). No policy here. "memory" is
 * clobbered where the instruction orders or changes how memory is seen. */
#pragma once

#include "types.h"

struct cpuid_regs {
	u32 eax, ebx, ecx, edx;
};

struct __attribute__((packed)) desc_ptr { /* operand of LGDT, LIDT, SGDT, SIDT */
	u16 limit;
	u64 base;
};

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 val)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)val), "d"((u32)(val >> 32)) : "memory");
}

static inline struct cpuid_regs cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r;
	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

/* Not ordered against surrounding loads (SDM vol. 2B, RDTSC). */
static inline u64 rdtsc(void)
{
	u64 lo, hi; /* the instruction clears the upper halves */
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return hi << 32 | lo;
}

/* A random word; false: there is none just now. Only where CPUID has the instruction. */
static inline bool rdrand(u64 *word)
{
	bool ok;
	__asm__ volatile("rdrand %0" : "=r"(*word), "=@ccc"(ok));
	return ok;
}

static inline bool rdseed(u64 *word)
{
	bool ok;
	__asm__ volatile("rdseed %0" : "=r"(*word), "=@ccc"(ok));
	return ok;
}

static inline u64 xgetbv(u32 index)
{
	u32 lo, hi;
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(index));
	return (u64)hi << 32 | lo;
}

static inline void xsetbv(u32 index, u64 val)
{
	__asm__ volatile("xsetbv" ::"c"(index), "a"((u32)val), "d"((u32)(val >> 32)) : "memory");
}

/* ---- ports ---- */
static inline u8 inb(u16 port)
{
	u8 v;
	__asm__ volatile("inb %w1, %b0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline u16 inw(u16 port)
{
	u16 v;
	__asm__ volatile("inw %w1, %w0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline u32 inl(u16 port)
{
	u32 v;
	__asm__ volatile("inl %w1, %k0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline void outb(u16 port, u8 v)
{
	__asm__ volatile("outb %b0, %w1" ::"a"(v), "Nd"(port) : "memory");
}

static inline void outw(u16 port, u16 v)
{
	__asm__ volatile("outw %w0, %w1" ::"a"(v), "Nd"(port) : "memory");
}

static inline void outl(u16 port, u32 v)
{
	__asm__ volatile("outl %k0, %w1" ::"a"(v), "Nd"(port) : "memory");
}

/* ---- control and debug registers ---- */
#define X86_OPS_REG(reg)                                                                                     \
	static inline u64 read_##reg(void)                                                                   \
	{                                                                                                    \
		u64 v;                                                                                       \
		__asm__ volatile("mov %%" #reg ", %0" : "=r"(v)::"memory");                                  \
		return v;                                                                                    \
	}                                                                                                    \
	static inline void write_##reg(u64 v)                                                                \
	{                                                                                                    \
		__asm__ volatile("mov %0, %%" #reg ::"r"(v) : "memory");                                     \
	}
X86_OPS_REG(cr0)
X86_OPS_REG(cr2)
X86_OPS_REG(cr3)
X86_OPS_REG(cr4)
X86_OPS_REG(cr8)
X86_OPS_REG(dr0)
X86_OPS_REG(dr1)
X86_OPS_REG(dr2)
X86_OPS_REG(dr3)
X86_OPS_REG(dr6)
X86_OPS_REG(dr7)
#undef X86_OPS_REG

static inline void invlpg(u64 va)
{
	__asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

static inline void wbinvd(void)
{
	__asm__ volatile("wbinvd" ::: "memory");
}

/* ---- descriptor tables and segments ---- */
static inline void lgdt(const struct desc_ptr *d)
{
	__asm__ volatile("lgdt %0" ::"m"(*d));
}

static inline void lidt(const struct desc_ptr *d)
{
	__asm__ volatile("lidt %0" ::"m"(*d));
}

static inline void sgdt(struct desc_ptr *d)
{
	__asm__ volatile("sgdt %0" : "=m"(*d));
}

static inline void sidt(struct desc_ptr *d)
{
	__asm__ volatile("sidt %0" : "=m"(*d));
}

static inline void lldt(u16 sel)
{
	__asm__ volatile("lldt %0" ::"r"(sel));
}

static inline void ltr(u16 sel)
{
	__asm__ volatile("ltr %0" ::"r"(sel) : "memory");
}

static inline u16 str(void)
{
	u16 v;
	__asm__ volatile("str %0" : "=r"(v));
	return v;
}

#define X86_OPS_SEG(seg)                                                                                     \
	static inline u16 read_##seg(void)                                                                   \
	{                                                                                                    \
		u16 v;                                                                                       \
		__asm__ volatile("mov %%" #seg ", %0" : "=r"(v));                                            \
		return v;                                                                                    \
	}
X86_OPS_SEG(cs)
X86_OPS_SEG(ds)
X86_OPS_SEG(es)
X86_OPS_SEG(fs)
X86_OPS_SEG(gs)
X86_OPS_SEG(ss)
#undef X86_OPS_SEG

/* ---- flags, waiting, ordering ---- */
static inline u64 read_rflags(void)
{
	u64 v;
	__asm__ volatile("pushfq; popq %0" : "=r"(v)::"memory");
	return v;
}

static inline void cli(void)
{
	__asm__ volatile("cli" ::: "memory");
}

static inline void sti(void)
{
	__asm__ volatile("sti" ::: "memory");
}

static inline void hlt(void)
{
	__asm__ volatile("hlt" ::: "memory");
}

/* No interrupt is taken between STI and HLT (SDM vol. 2B, STI), so a wakeup is never lost. */
static inline void sti_hlt_cli(void)
{
	__asm__ volatile("sti; hlt; cli" ::: "memory");
}

/* Watches the line of that address. */
static inline void monitor(const volatile void *address)
{
	__asm__ volatile("monitor" : : "a"(address), "c"(0), "d"(0) : "memory");
}

/* Waits for a store to that line, or an interrupt: extensions 1, even if interrupts are off. */
static inline void mwait(u32 hint, u32 extensions)
{
	__asm__ volatile("mwait" : : "a"(hint), "c"(extensions) : "memory");
}

static inline void cpu_pause(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static inline void mfence(void)
{
	__asm__ volatile("mfence" ::: "memory");
}

static inline void lfence(void)
{
	__asm__ volatile("lfence" ::: "memory");
}

static inline void compiler_barrier(void)
{
	__asm__ volatile("" ::: "memory");
}
