/* SPDX-License-Identifier: Apache-2.0 */
/* M4, M18: hardware task switches, of which every one exits: CALL, IRET, JMP, and task gates entered by INT
 * and by an exception with an error code (SDM volume 3, chapter 8). */
#include "cpu.h"
#include "print.h"
#include "test.h"
#include "trap.h"

enum { SLOT_MAIN = 12, SLOT_OTHER, SLOT_FAULT };
enum {
	TSS_LINK = 0,
	TSS_EIP = 8,
	TSS_EFLAGS,
	TSS_ESP = 14,
	TSS_ES = 18,
	TSS_CS,
	TSS_SS,
	TSS_DS,
	TSS_FS,
	TSS_GS
};
#define TSS_WORDS 26
#define RFLAGS_NT_BIT 0x4000u
#define VECTOR_SOFT 0x40

void tasks_run(void);
void tasks_other(void);
void tasks_fault(void);

u32 tasks_main_tss[TSS_WORDS];
u32 tasks_log[12];
struct __attribute__((packed)) {
	u16 limit;
	u32 base;
} tasks_idt_pointer;

static u32 other_tss[TSS_WORDS], fault_tss[TSS_WORDS];
static u64 idt[256];
static u8 stacks[2][4096] __attribute__((aligned(16)));

static void tss_fill(u32 *tss, unsigned slot, void (*entry)(void), u8 *stack_top)
{
	u64 base = (u64)tss;

	tss[TSS_EIP] = (u32)(u64)entry;
	tss[TSS_EFLAGS] = 2;
	tss[TSS_ESP] = (u32)(u64)stack_top;
	for (unsigned s = TSS_ES; s <= TSS_GS; s++)
		tss[s] = s == TSS_CS ? 0x18 : 0x10;
	boot_gdt[slot] = (TSS_WORDS * 4 - 1) | (base & 0xffffff) << 16 | (u64)0x89 << 40 | base >> 24 << 56;
}

static u64 task_gate(unsigned slot)
{
	return (u64)(slot * 8) << 16 | (u64)0x85 << 40;
}

static unsigned tss_type(unsigned slot)
{
	return (unsigned)(boot_gdt[slot] >> 40) & 0xff;
}

static void tasks_test(void)
{
	u8 *fault_stack = stacks[1] + sizeof(stacks[1]);

	tss_fill(tasks_main_tss, SLOT_MAIN, NULL, NULL);
	tss_fill(other_tss, SLOT_OTHER, tasks_other, stacks[0] + sizeof(stacks[0]));
	tss_fill(fault_tss, SLOT_FAULT, tasks_fault, fault_stack);
	idt[VECTOR_SOFT] = task_gate(SLOT_OTHER);
	idt[13] = task_gate(SLOT_FAULT);
	tasks_idt_pointer.limit = sizeof(idt) - 1;
	tasks_idt_pointer.base = (u32)(u64)idt;
	tasks_run();

	expect_eq(tasks_log[1], 0x11111111, "EBX after CALL and IRET");
	expect(tasks_log[2] & 8, "CR0.TS after a task switch: CR0 0x%x", tasks_log[2]);
	expect(tasks_log[6] & RFLAGS_NT_BIT, "NT of a called task: EFLAGS 0x%x", tasks_log[6]);
	expect_eq(tasks_log[7], 1, "second CALL goes on behind IRET");
	expect(!(tasks_log[8] & RFLAGS_NT_BIT), "NT of a task that was jumped to: EFLAGS 0x%x", tasks_log[8]);
	expect_eq(tasks_log[3], 1, "back by JMP");
	expect_eq(tasks_log[9], 1, "task gate of INT");
	expect_eq(tasks_log[4], 1, "back from INT");
	expect_eq(tasks_log[10], 0x1f0, "error code for the task of #GP");
	expect_eq(tasks_log[11], (u64)fault_stack, "stack of the task of #GP");
	expect_eq(tasks_log[5], 1, "back from #GP");
	expect_eq(other_tss[TSS_LINK] & 0xffff, SLOT_MAIN * 8, "back link");
	expect_eq(tss_type(SLOT_MAIN), 0x8b, "descriptor of the running task");
	expect_eq(tss_type(SLOT_OTHER), 0x89, "descriptor of the other task");
	expect_eq(tss_type(SLOT_FAULT), 0x89, "descriptor of the task of #GP");
}

const struct test guest_tests[] = {
    {"task-switches", tasks_test, 0},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
