/* SPDX-License-Identifier: Apache-2.0 */
/* Real mode, from 64-bit mode and back: segments, vectors at 0, faults, HLT, big real mode. M7. */
#include "apic.h"
#include "irqchip.h"
#include "modes.h"

#define IVT ((volatile u32 *)0)
#define MOVED_IVT ((volatile u32 *)0x30000)
#define EXPECT_CODE(offset) ((u32)(u64)(offset))

extern u16 real_code;
extern u8 real_flat;
extern volatile u32 real_result[16];
extern volatile u16 real_faults[4], real_fault_handlers[3];
void real_call(void);
void real_state(void), real_segments(void), real_strings(void), real_exits(void), real_interrupts(void);
void real_count_handler(void), real_divide(void), real_undefined(void), real_limit(void), real_halt(void);
void real_tick_handler(void), real_moved_idt(void), real_big(void), real_bios(void), real_nothing(void);
void real_flags(void);
extern char real_divide_at[], real_undefined_at[], real_limit_at[];

static void real_run(void (*code)(void))
{
	low_install();
	memset((void *)real_result, 0, sizeof(real_result));
	real_code = (u16)(u64)code;
	real_call();
}

void real_state_test(void)
{
	real_run(real_state);
	expect_eq(real_result[0], 0, "CS");
	expect_eq(real_result[1], 0, "DS");
	expect_eq(real_result[2], 0, "SS");
	expect_eq(real_result[3] & 0x3202, 2, "flags");
	expect_eq(real_result[4] & 1, 0, "PE by SMSW");
	expect_eq(real_result[5], 0, "IP by CALL");
	expect_eq(real_result[6], 0x7c00 - 2, "SP");
	real_run(real_flags);
	expect_eq(real_result[0] & 0x3202, 0x3202, "POPF sets IF and IOPL");
	expect_eq(real_result[1] & 0x3202, 2, "POPF clears them");
}

void real_segments_test(void)
{
	real_run(real_segments);
	expect_eq(real_result[0], 0x11223344, "two names of one address");
	expect_eq(real_result[1], *(volatile u32 *)0x100000, "0xffff:0x10");
	expect_eq(real_result[2], 0x600df00d, "far call");
	expect_eq(real_result[3], 0x11223344, "32-bit address");
	expect_eq(real_result[5], 0x10, "CS behind a far jump");
}

void real_strings_test(void)
{
	real_run(real_strings);
	expect_eq(real_result[0], 2, "DI and CX behind REP STOSB over the end of the segment");
	expect_eq(real_result[1] & 0xffff, 0x5a5a, "bytes on both sides of the end");
	expect_eq(real_result[2], 0x5a5a5a5a, "REP MOVSB down over offset 0");
	expect_eq(real_result[3] & 0xffff, 0xfffd, "SI");
}

void real_exits_test(void)
{
	outb(PIC_MASTER_DATA, 0xa5);
	real_run(real_exits);
	pic_mask(0xffff);
	expect_eq(real_result[0], cpuid(0, 0).ebx, "CPUID");
	expect_eq(real_result[1], (u32)rdmsr(MSR_APIC_BASE), "RDMSR");
	expect_eq(real_result[2] & 0xff, 0xa5, "IN");
	expect_eq(real_result[3], read_cr0() & ~(CR0_PG | CR0_PE) & UINT32_MAX, "CR0");
	expect_eq(real_result[4] & 0xffff, 3, "SI behind REP OUTSB");
	expect_eq(real_result[5], read_cr4(), "CR4");
	expect_eq(real_result[6] & 0xffff, 0x3ff, "IDT limit");
}

/* Vectors of our own for the time of the call. */
static void with_vectors(const u8 *vectors, const void *const *handlers, unsigned n, void (*code)(void))
{
	u32 saved[8];

	for (unsigned i = 0; i < n; i++) {
		saved[i] = IVT[vectors[i]];
		IVT[vectors[i]] = EXPECT_CODE(handlers[i]);
	}
	real_run(code);
	for (unsigned i = 0; i < n; i++)
		IVT[vectors[i]] = saved[i];
}

void real_interrupts_test(void)
{
	static const void *const handlers[] = {real_count_handler, real_count_handler, real_count_handler};

	with_vectors((const u8[]){0x40, VEC_BP, VEC_OF}, handlers, 3, real_interrupts);
	expect_eq(real_result[0], 3, "INT 0x40, INT3 and INTO");
	expect_eq(real_result[2] & 0x200, 0x200, "IF behind IRET");
	expect_eq(real_result[3] & 0xffff, 0, "SP behind IRET");
	expect_eq(real_result[1] & 0x200, 0, "IF in the handler");
}

static void fault(void (*code)(void), u8 vector, unsigned handler, const char *at, const char *what)
{
	const void *entry;

	low_install();
	entry = (const void *)(u64)real_fault_handlers[handler];
	with_vectors(&vector, &entry, 1, code);
	expect_eq(real_faults[0], vector, what);
	expect_eq(real_faults[1], (u64)at, what);
}

void real_faults_test(void)
{
	fault(real_divide, VEC_DE, 0, real_divide_at, "#DE");
	fault(real_undefined, VEC_UD, 1, real_undefined_at, "#UD");
	if (guest_platform() != PLATFORM_TCG) /* which knows no limits in real mode */
		fault(real_limit, VEC_GP, 2, real_limit_at, "#GP by the limit");
}

void real_halt_test(void)
{
	static const void *const handlers[] = {real_tick_handler};

	apic_init(false);
	apic_write(APIC_LVT_LINT0, APIC_LVT_EXTINT);
	ioapic_mask_all();
	pit_start(2, 2000);
	pic_mask(0xfffe);
	with_vectors((const u8[]){PIC_VECTOR}, handlers, 1, real_halt);
	pic_mask(0xffff);
	expect(real_result[0] >= 3 && real_result[0] < 10, "%u ticks", real_result[0]);
}

void real_moved_idt_test(void)
{
	MOVED_IVT[0x41] = EXPECT_CODE(real_count_handler);
	real_run(real_moved_idt);
	expect_eq(real_result[0], 1, "INT by vectors at 0x30000");
}

void real_big_test(void)
{
	low_install();
	real_flat = 1;
	memset((void *)real_result, 0, sizeof(real_result));
	real_code = (u16)(u64)real_big;
	real_call();
	real_flat = 0;
	expect_eq(real_result[0], ioapic_read(1), "IOAPIC version");
	expect_eq(real_result[1], *(volatile u32 *)0x100000, "first word above 1 MiB");
	expect_eq(real_result[2], 0x100010, "ESI behind REP MOVSD");
	expect(!memcmp((void *)0x20000, (void *)0x100000, 16), "copied from above 1 MiB");
}

void real_bios_test(void)
{
	real_run(real_bios);
	expect_eq(real_result[0], 1, "INT 0x1c returns");
}

void real_often_test(void)
{
	low_install();
	memset((void *)real_result, 0, sizeof(real_result));
	real_code = (u16)(u64)real_nothing;
	for (unsigned i = 0; i < 500; i++)
		real_call();
	expect_eq(real_result[0], 500, "round trips");
}
