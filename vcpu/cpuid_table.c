/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID policy as data: which leaves a guest sees, and which bits of the host's answer stay. What is not
 * listed here does not exist for the guest. */
#include "cpuid_table.h"

#include "socle/hypercall.h"
#include "x86.h"

#define F1_ECX                                                                                               \
	(CPUID1_ECX_SSE3 | CPUID1_ECX_PCLMULQDQ | CPUID1_ECX_SSSE3 | CPUID1_ECX_FMA | CPUID1_ECX_CX16 |      \
	 CPUID1_ECX_PCID | CPUID1_ECX_SSE41 | CPUID1_ECX_SSE42 | CPUID1_ECX_MOVBE | CPUID1_ECX_POPCNT |      \
	 CPUID1_ECX_AES | CPUID1_ECX_XSAVE | CPUID1_ECX_AVX | CPUID1_ECX_F16C | CPUID1_ECX_RDRAND)
#define F1_ECX_SET (CPUID1_ECX_X2APIC | CPUID1_ECX_TSC_DEADLINE)
#define F1_EDX                                                                                               \
	(CPUID1_EDX_FPU | CPUID1_EDX_VME | CPUID1_EDX_DE | CPUID1_EDX_PSE | CPUID1_EDX_TSC |                 \
	 CPUID1_EDX_MSR | CPUID1_EDX_PAE | CPUID1_EDX_MCE | CPUID1_EDX_CX8 | CPUID1_EDX_SEP |                \
	 CPUID1_EDX_MTRR | CPUID1_EDX_PGE | CPUID1_EDX_MCA | CPUID1_EDX_CMOV | CPUID1_EDX_PAT |              \
	 CPUID1_EDX_PSE36 | CPUID1_EDX_CLFSH | CPUID1_EDX_MMX | CPUID1_EDX_FXSR | CPUID1_EDX_SSE |           \
	 CPUID1_EDX_SSE2)
#define F7_EBX                                                                                               \
	(CPUID7_EBX_FSGSBASE | CPUID7_EBX_TSC_ADJUST | CPUID7_EBX_BMI1 | CPUID7_EBX_AVX2 |                   \
	 CPUID7_EBX_FDP_EXCPTN | CPUID7_EBX_SMEP | CPUID7_EBX_BMI2 | CPUID7_EBX_ERMS | CPUID7_EBX_INVPCID |  \
	 CPUID7_EBX_FCS_FDS | CPUID7_EBX_AVX512F | CPUID7_EBX_AVX512DQ | CPUID7_EBX_RDSEED |                 \
	 CPUID7_EBX_ADX | CPUID7_EBX_SMAP | CPUID7_EBX_AVX512IFMA | CPUID7_EBX_CLFLUSHOPT |                  \
	 CPUID7_EBX_CLWB | CPUID7_EBX_AVX512CD | CPUID7_EBX_SHA | CPUID7_EBX_AVX512BW | CPUID7_EBX_AVX512VL)
#define F7_ECX                                                                                               \
	(CPUID7_ECX_PREFETCHWT1 | CPUID7_ECX_AVX512VBMI | CPUID7_ECX_UMIP | CPUID7_ECX_AVX512VBMI2 |         \
	 CPUID7_ECX_GFNI | CPUID7_ECX_VAES | CPUID7_ECX_VPCLMULQDQ | CPUID7_ECX_AVX512VNNI |                 \
	 CPUID7_ECX_AVX512BITALG | CPUID7_ECX_AVX512VPOPCNTDQ | CPUID7_ECX_RDPID)
#define F7_EDX (CPUID7_EDX_AVX512_4VNNIW | CPUID7_EDX_AVX512_4FMAPS | CPUID7_EDX_FSRM)
#define F80_ECX (CPUID80_1_ECX_LAHF | CPUID80_1_ECX_LZCNT | CPUID80_1_ECX_PREFETCHW)
#define F80_EDX                                                                                              \
	(CPUID80_1_EDX_SYSCALL | CPUID80_1_EDX_NX | CPUID80_1_EDX_PAGE1GB | CPUID80_1_EDX_RDTSCP |           \
	 CPUID80_1_EDX_LM)
#define SOCLE_FEATURES                                                                                       \
	(SOCLE_FEATURE_CLOCK | SOCLE_FEATURE_ALARM | SOCLE_FEATURE_EVENT | SOCLE_FEATURE_RING |              \
	 SOCLE_FEATURE_MULTI)
/* Of KVM's feature bits (Linux, Documentation/virt/kvm/x86/cpuid.rst): no delay is needed after I/O, clock by
 * MSRs 0x4b564d00 and 01 that is the same for all vCPUs, steal time (vcpu/kvm.c), the end of interrupts by
 * MSR 0x4b564d04 (vcpu/pv_eoi.c). */
#define KVM_FEATURES (1u << 1 | 1u << 3 | 1u << 5 | 1u << 6 | CPUIDKVM_EAX_STABLE)
#define ALL 0xffffffffu
#define XCR0_LOW (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM)

const struct cpuid_row cpuid_rows[] = {
    /* leaf, subleaf, mask {eax ebx ecx edx}, set {...}, flags */
    {0x00, 0, {0, ALL, ALL, ALL}, {0x16, 0, 0, 0}, 0},
    {0x01, 0, {ALL, 0x0000ff00, F1_ECX, F1_EDX}, {0, 0, F1_ECX_SET, 0}, CPUID_DYNAMIC},
    {0x02, 0, {ALL, ALL, ALL, ALL}, {0}, 0},
    /* Bits 31:14 of EAX count cores and who shares a cache: cpuid_topology(). */
    {0x04, 0, {0x3fff, ALL, ALL, ALL}, {0}, CPUID_INDEXED},
    {0x04, 1, {0x3fff, ALL, ALL, ALL}, {0}, CPUID_INDEXED},
    {0x04, 2, {0x3fff, ALL, ALL, ALL}, {0}, CPUID_INDEXED},
    {0x04, 3, {0x3fff, ALL, ALL, ALL}, {0}, CPUID_INDEXED},
    {0x06, 0, {0, 0, 0, 0}, {0x4, 0, 0, 0}, 0}, /* ARAT: the APIC timer never stops */
    {0x07, 0, {0, F7_EBX, F7_ECX, F7_EDX}, {0}, CPUID_INDEXED},
    {0x0b, 0, {0}, {0, 1, 0x100, 0}, CPUID_INDEXED | CPUID_DYNAMIC},
    {0x0b, 1, {0}, {0, 1, 0x201, 0}, CPUID_INDEXED | CPUID_DYNAMIC},
    {0x0d, 0, {XCR0_LOW, 0, 0, 0}, {0}, CPUID_INDEXED | CPUID_DYNAMIC},
    {0x0d,
     1,
     {CPUIDD1_EAX_XSAVEOPT | CPUIDD1_EAX_XSAVEC | CPUIDD1_EAX_XGETBV1, 0, 0, 0},
     {0},
     CPUID_INDEXED | CPUID_DYNAMIC},
    {0x0d, 2, {ALL, ALL, 0x2, 0}, {0}, CPUID_INDEXED},
    {0x0d, 5, {ALL, ALL, 0x2, 0}, {0}, CPUID_INDEXED},
    {0x0d, 6, {ALL, ALL, 0x2, 0}, {0}, CPUID_INDEXED},
    {0x0d, 7, {ALL, ALL, 0x2, 0}, {0}, CPUID_INDEXED},
    {0x15, 0, {0}, {0}, CPUID_CALCULATED},
    {0x16, 0, {0}, {0}, CPUID_CALCULATED},
    {0x40000000, 0, {0}, {0x40000001, 0x6c636f53, 0x636f5365, 0x6f53656c}, CPUID_HYPERVISOR},
    {0x40000001, 0, {0}, {SOCLE_ABI_VERSION, SOCLE_FEATURES, 0, 0}, CPUID_HYPERVISOR},
    {0x40000100, 0, {0}, {0x40000101, 0x4b4d564b, 0x564b4d56, 0x4d}, CPUID_HYPERVISOR},
    {0x40000101, 0, {0}, {KVM_FEATURES, 0, 0, 0}, CPUID_HYPERVISOR},
    {0x80000000, 0, {0, 0, 0, 0}, {0x80000008, 0, 0, 0}, 0},
    {0x80000001, 0, {0, 0, F80_ECX, F80_EDX}, {0}, CPUID_DYNAMIC},
    {0x80000002, 0, {ALL, ALL, ALL, ALL}, {0}, 0},
    {0x80000003, 0, {ALL, ALL, ALL, ALL}, {0}, 0},
    {0x80000004, 0, {ALL, ALL, ALL, ALL}, {0}, 0},
    {0x80000005, 0, {ALL, ALL, ALL, ALL}, {0}, 0},
    {0x80000006, 0, {ALL, ALL, ALL, ALL}, {0}, 0},
    {0x80000007, 0, {0, 0, 0, CPUID80_7_EDX_INVARIANT_TSC}, {0}, 0},
    {0x80000008, 0, {0xffff, 0, 0, 0}, {0}, CPUID_CALCULATED},
};
const unsigned cpuid_nr_rows = ARRAY_SIZE(cpuid_rows);
