/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the current VMCS through the log: when a VM dies, or when the operator asks. */
#include "log.h"
#include "vmx.h"

static const char *const segment_names[] = {"ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"};

static void dump_segments(enum log_level level, const char *p)
{
	/* The eight segment registers lie two encodings apart in each group, SDM appendix B. */
	for (u32 i = 0; i < ARRAY_SIZE(segment_names); i++)
		log_msg(level, "%s  %-4s %04lx base %016lx limit %08lx rights %05lx", p, segment_names[i],
			vmcs_read_raw(GUEST_ES_SELECTOR.encoding + 2 * i),
			vmcs_read_raw(GUEST_ES_BASE.encoding + 2 * i),
			vmcs_read_raw(GUEST_ES_LIMIT.encoding + 2 * i),
			vmcs_read_raw(GUEST_ES_ACCESS_RIGHTS.encoding + 2 * i));
	log_msg(level, "%s  GDTR base %016lx limit %04x  IDTR base %016lx limit %04x", p,
		vmread(GUEST_GDTR_BASE), vmread(GUEST_GDTR_LIMIT), vmread(GUEST_IDTR_BASE),
		vmread(GUEST_IDTR_LIMIT));
}

void vmcs_dump(enum log_level level, const char *p)
{
	log_msg(level, "%s  RIP %016lx RSP %016lx RFLAGS %08lx", p, vmread(GUEST_RIP), vmread(GUEST_RSP),
		vmread(GUEST_RFLAGS));
	log_msg(level,
		"%s  CR0 %08lx (guest reads %08lx) CR3 %016lx CR4 %08lx (guest reads %08lx) EFER %04lx", p,
		vmread(GUEST_CR0), vmread(CR0_SHADOW), vmread(GUEST_CR3), vmread(GUEST_CR4),
		vmread(CR4_SHADOW), vmread(GUEST_EFER));
	dump_segments(level, p);
	log_msg(level, "%s  exit reason %08x qualification %016lx linear %016lx physical %016lx", p,
		vmread(EXIT_REASON), vmread(EXIT_QUALIFICATION), vmread(GUEST_LINEAR_ADDRESS),
		vmread(GUEST_PHYSICAL_ADDRESS));
	log_msg(level,
		"%s  interruptibility %x activity %x vectoring %08x/%x entry %08x instruction length %u", p,
		vmread(GUEST_INTERRUPTIBILITY), vmread(GUEST_ACTIVITY), vmread(IDT_VECTORING_INFO),
		vmread(IDT_VECTORING_CODE), vmread(ENTRY_INTERRUPTION_INFO), vmread(EXIT_INSTRUCTION_LENGTH));
	log_msg(level, "%s  controls pin %08x proc %08x proc2 %08x exit %08x entry %08x", p,
		vmread(PIN_CONTROLS), vmread(PROC_CONTROLS), vmread(PROC_CONTROLS2), vmread(EXIT_CONTROLS),
		vmread(ENTRY_CONTROLS));
}
