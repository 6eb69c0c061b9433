/* SPDX-License-Identifier: Apache-2.0 */
/* VMCS (virtual-machine control structure) fields, in the order of SDM volume 3, appendix B. The
 * width is part of a field's type: a field used as a number, or read with another width, does not
 * compile. The accessors work on the VMCS that is current on this CPU. */
#pragma once

#include <vmcs_access.h> /* by the search path: unit tests have their own */

#include "types.h"

typedef struct {
	u32 encoding;
} vmcs16;
typedef struct {
	u32 encoding;
} vmcs32;
typedef struct {
	u32 encoding;
} vmcs64;
typedef struct {
	u32 encoding;
} vmcsn; /* natural width */

static inline u16 vmcs_read_16(vmcs16 f)
{
	return (u16)vmcs_read_raw(f.encoding);
}
static inline void vmcs_write_16(vmcs16 f, u16 value)
{
	vmcs_write_raw(f.encoding, value);
}
static inline u32 vmcs_read_32(vmcs32 f)
{
	return (u32)vmcs_read_raw(f.encoding);
}
static inline void vmcs_write_32(vmcs32 f, u32 value)
{
	vmcs_write_raw(f.encoding, value);
}
static inline u64 vmcs_read_64(vmcs64 f)
{
	return (u64)vmcs_read_raw(f.encoding);
}
static inline void vmcs_write_64(vmcs64 f, u64 value)
{
	vmcs_write_raw(f.encoding, value);
}
static inline u64 vmcs_read_n(vmcsn f)
{
	return (u64)vmcs_read_raw(f.encoding);
}
static inline void vmcs_write_n(vmcsn f, u64 value)
{
	vmcs_write_raw(f.encoding, value);
}

#define vmread(field)                                                                                        \
	_Generic((field), vmcs16                                                                             \
		 : vmcs_read_16, vmcs32                                                                      \
		 : vmcs_read_32, vmcs64                                                                      \
		 : vmcs_read_64, vmcsn                                                                       \
		 : vmcs_read_n)(field)
#define vmwrite(field, value)                                                                                \
	_Generic((field), vmcs16                                                                             \
		 : vmcs_write_16, vmcs32                                                                     \
		 : vmcs_write_32, vmcs64                                                                     \
		 : vmcs_write_64, vmcsn                                                                      \
		 : vmcs_write_n)(field, value)

/* 16-bit fields */
#define VPID ((vmcs16){0x0000})
#define GUEST_ES_SELECTOR ((vmcs16){0x0800})
#define GUEST_CS_SELECTOR ((vmcs16){0x0802})
#define GUEST_SS_SELECTOR ((vmcs16){0x0804})
#define GUEST_DS_SELECTOR ((vmcs16){0x0806})
#define GUEST_FS_SELECTOR ((vmcs16){0x0808})
#define GUEST_GS_SELECTOR ((vmcs16){0x080a})
#define GUEST_LDTR_SELECTOR ((vmcs16){0x080c})
#define GUEST_TR_SELECTOR ((vmcs16){0x080e})
#define GUEST_INTERRUPT_STATUS ((vmcs16){0x0810})
#define HOST_ES_SELECTOR ((vmcs16){0x0c00})
#define HOST_CS_SELECTOR ((vmcs16){0x0c02})
#define HOST_SS_SELECTOR ((vmcs16){0x0c04})
#define HOST_DS_SELECTOR ((vmcs16){0x0c06})
#define HOST_FS_SELECTOR ((vmcs16){0x0c08})
#define HOST_GS_SELECTOR ((vmcs16){0x0c0a})
#define HOST_TR_SELECTOR ((vmcs16){0x0c0c})

/* 64-bit fields */
#define IO_BITMAP_A ((vmcs64){0x2000})
#define IO_BITMAP_B ((vmcs64){0x2002})
#define MSR_BITMAP ((vmcs64){0x2004})
#define EXIT_MSR_STORE_ADDR ((vmcs64){0x2006})
#define EXIT_MSR_LOAD_ADDR ((vmcs64){0x2008})
#define ENTRY_MSR_LOAD_ADDR ((vmcs64){0x200a})
#define TSC_OFFSET ((vmcs64){0x2010})
#define VIRTUAL_APIC_PAGE ((vmcs64){0x2012})
#define APIC_ACCESS_PAGE ((vmcs64){0x2014})
#define EPT_POINTER ((vmcs64){0x201a})
#define EOI_EXIT_BITMAP_0 ((vmcs64){0x201c})
#define EOI_EXIT_BITMAP_1 ((vmcs64){0x201e})
#define EOI_EXIT_BITMAP_2 ((vmcs64){0x2020})
#define EOI_EXIT_BITMAP_3 ((vmcs64){0x2022})
#define XSS_EXIT_BITMAP ((vmcs64){0x202c})
#define ENCLS_EXITING_BITMAP ((vmcs64){0x202e})
#define TSC_MULTIPLIER ((vmcs64){0x2032})
#define ENCLV_EXITING_BITMAP ((vmcs64){0x2036})
#define GUEST_PHYSICAL_ADDRESS ((vmcs64){0x2400})
#define VMCS_LINK_POINTER ((vmcs64){0x2800})
#define GUEST_DEBUGCTL ((vmcs64){0x2802})
#define GUEST_PAT ((vmcs64){0x2804})
#define GUEST_EFER ((vmcs64){0x2806})
#define GUEST_PDPTE0 ((vmcs64){0x280a})
#define GUEST_PDPTE1 ((vmcs64){0x280c})
#define GUEST_PDPTE2 ((vmcs64){0x280e})
#define GUEST_PDPTE3 ((vmcs64){0x2810})
#define HOST_PAT ((vmcs64){0x2c00})
#define HOST_EFER ((vmcs64){0x2c02})

/* 32-bit fields */
#define PIN_CONTROLS ((vmcs32){0x4000})
#define PROC_CONTROLS ((vmcs32){0x4002})
#define EXCEPTION_BITMAP ((vmcs32){0x4004})
#define PF_ERROR_MASK ((vmcs32){0x4006})
#define PF_ERROR_MATCH ((vmcs32){0x4008})
#define CR3_TARGET_COUNT ((vmcs32){0x400a})
#define EXIT_CONTROLS ((vmcs32){0x400c})
#define EXIT_MSR_STORE_COUNT ((vmcs32){0x400e})
#define EXIT_MSR_LOAD_COUNT ((vmcs32){0x4010})
#define ENTRY_CONTROLS ((vmcs32){0x4012})
#define ENTRY_MSR_LOAD_COUNT ((vmcs32){0x4014})
#define ENTRY_INTERRUPTION_INFO ((vmcs32){0x4016})
#define ENTRY_EXCEPTION_CODE ((vmcs32){0x4018})
#define ENTRY_INSTRUCTION_LENGTH ((vmcs32){0x401a})
#define TPR_THRESHOLD ((vmcs32){0x401c})
#define PROC_CONTROLS2 ((vmcs32){0x401e})
#define PLE_GAP ((vmcs32){0x4020})
#define PLE_WINDOW ((vmcs32){0x4022})
#define INSTRUCTION_ERROR ((vmcs32){0x4400})
#define EXIT_REASON ((vmcs32){0x4402})
#define EXIT_INTERRUPTION_INFO ((vmcs32){0x4404})
#define EXIT_INTERRUPTION_CODE ((vmcs32){0x4406})
#define IDT_VECTORING_INFO ((vmcs32){0x4408})
#define IDT_VECTORING_CODE ((vmcs32){0x440a})
#define EXIT_INSTRUCTION_LENGTH ((vmcs32){0x440c})
#define EXIT_INSTRUCTION_INFO ((vmcs32){0x440e})
#define GUEST_ES_LIMIT ((vmcs32){0x4800})
#define GUEST_CS_LIMIT ((vmcs32){0x4802})
#define GUEST_SS_LIMIT ((vmcs32){0x4804})
#define GUEST_DS_LIMIT ((vmcs32){0x4806})
#define GUEST_FS_LIMIT ((vmcs32){0x4808})
#define GUEST_GS_LIMIT ((vmcs32){0x480a})
#define GUEST_LDTR_LIMIT ((vmcs32){0x480c})
#define GUEST_TR_LIMIT ((vmcs32){0x480e})
#define GUEST_GDTR_LIMIT ((vmcs32){0x4810})
#define GUEST_IDTR_LIMIT ((vmcs32){0x4812})
#define GUEST_ES_ACCESS_RIGHTS ((vmcs32){0x4814})
#define GUEST_CS_ACCESS_RIGHTS ((vmcs32){0x4816})
#define GUEST_SS_ACCESS_RIGHTS ((vmcs32){0x4818})
#define GUEST_DS_ACCESS_RIGHTS ((vmcs32){0x481a})
#define GUEST_FS_ACCESS_RIGHTS ((vmcs32){0x481c})
#define GUEST_GS_ACCESS_RIGHTS ((vmcs32){0x481e})
#define GUEST_LDTR_ACCESS_RIGHTS ((vmcs32){0x4820})
#define GUEST_TR_ACCESS_RIGHTS ((vmcs32){0x4822})
#define GUEST_INTERRUPTIBILITY ((vmcs32){0x4824})
#define GUEST_ACTIVITY ((vmcs32){0x4826})
#define GUEST_SMBASE ((vmcs32){0x4828})
#define GUEST_SYSENTER_CS ((vmcs32){0x482a})
#define PREEMPTION_TIMER ((vmcs32){0x482e})
#define HOST_SYSENTER_CS ((vmcs32){0x4c00})

/* natural-width fields */
#define CR0_MASK ((vmcsn){0x6000})
#define CR4_MASK ((vmcsn){0x6002})
#define CR0_SHADOW ((vmcsn){0x6004})
#define CR4_SHADOW ((vmcsn){0x6006})
#define EXIT_QUALIFICATION ((vmcsn){0x6400})
#define GUEST_LINEAR_ADDRESS ((vmcsn){0x640a})
#define GUEST_CR0 ((vmcsn){0x6800})
#define GUEST_CR3 ((vmcsn){0x6802})
#define GUEST_CR4 ((vmcsn){0x6804})
#define GUEST_ES_BASE ((vmcsn){0x6806})
#define GUEST_CS_BASE ((vmcsn){0x6808})
#define GUEST_SS_BASE ((vmcsn){0x680a})
#define GUEST_DS_BASE ((vmcsn){0x680c})
#define GUEST_FS_BASE ((vmcsn){0x680e})
#define GUEST_GS_BASE ((vmcsn){0x6810})
#define GUEST_LDTR_BASE ((vmcsn){0x6812})
#define GUEST_TR_BASE ((vmcsn){0x6814})
#define GUEST_GDTR_BASE ((vmcsn){0x6816})
#define GUEST_IDTR_BASE ((vmcsn){0x6818})
#define GUEST_DR7 ((vmcsn){0x681a})
#define GUEST_RSP ((vmcsn){0x681c})
#define GUEST_RIP ((vmcsn){0x681e})
#define GUEST_RFLAGS ((vmcsn){0x6820})
#define GUEST_PENDING_DEBUG ((vmcsn){0x6822})
#define GUEST_SYSENTER_ESP ((vmcsn){0x6824})
#define GUEST_SYSENTER_EIP ((vmcsn){0x6826})
#define HOST_CR0 ((vmcsn){0x6c00})
#define HOST_CR3 ((vmcsn){0x6c02})
#define HOST_CR4 ((vmcsn){0x6c04})
#define HOST_FS_BASE ((vmcsn){0x6c06})
#define HOST_GS_BASE ((vmcsn){0x6c08})
#define HOST_TR_BASE ((vmcsn){0x6c0a})
#define HOST_GDTR_BASE ((vmcsn){0x6c0c})
#define HOST_IDTR_BASE ((vmcsn){0x6c0e})
#define HOST_SYSENTER_ESP ((vmcsn){0x6c10})
#define HOST_SYSENTER_EIP ((vmcsn){0x6c12})
#define HOST_RSP ((vmcsn){0x6c14})
#define HOST_RIP ((vmcsn){0x6c16})
