/* SPDX-License-Identifier: Apache-2.0 */
/* A guest to be paused, reset, shut down and destroyed, whatever it is doing (M87). On its own it only looks
 * at the power button's registers; what it does on demand has no end of its own. */
#include "apic.h"
#include "cpu.h"
#include "irqchip.h"
#include "print.h"
#include "test.h"
#include "trap.h"

/* PM1 event block of the guest's machine (ACPI 6.4, 4.8.3.1). */
#define PM1_STATUS 0x600
#define PM1_ENABLE 0x602
#define PM1_POWER_BUTTON 0x100
#define IRQ_PIT 0
#define IRQ_CASCADE 2
#define IRQ_COM1 4
#define IRQ_SCI 9
#define COM1 0x3f8
#define TICKS_HZ 100
#define TIMER_TICKS 25000 /* of the TSC: half a millisecond at 50 MHz */

static void button_test(void)
{
	expect_eq(inw(PM1_STATUS) & PM1_POWER_BUTTON, 0, "power button before anybody pressed it");
	outw(PM1_ENABLE, PM1_POWER_BUTTON);
	expect_eq(inw(PM1_ENABLE), PM1_POWER_BUTTON, "power button enabled");
	outw(PM1_ENABLE, 0);
	expect_eq(inw(PM1_ENABLE), 0, "power button disabled");
}

static volatile unsigned ticks;
static volatile bool pressed;

static void on_tick(struct regs *r)
{
	(void)r;
	ticks++;
	pic_eoi(IRQ_PIT);
}

static void on_sci(struct regs *r)
{
	(void)r;
	pressed |= inw(PM1_STATUS) & PM1_POWER_BUTTON;
	outw(PM1_STATUS, PM1_POWER_BUTTON);
	pic_eoi(IRQ_SCI);
}

static void on_com1(struct regs *r)
{
	(void)r;
	pic_eoi(IRQ_COM1);
}

/* A line each second; down when the power button is pressed. */
static void ticks_test(void)
{
	trap_handler(PIC_VECTOR + IRQ_PIT, on_tick);
	trap_handler(PIC_VECTOR + IRQ_SCI, on_sci);
	pic_mask((u16) ~(1U << IRQ_PIT | 1U << IRQ_CASCADE | 1U << IRQ_SCI));
	outw(PM1_ENABLE, PM1_POWER_BUTTON);
	pit_start(2, PIT_HZ / TICKS_HZ);
	for (unsigned second = 0; !pressed;) {
		__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
		if (ticks / TICKS_HZ != second) {
			second = ticks / TICKS_HZ;
			print("second %u\n", second);
		}
	}
	print("the power button was pressed\n");
	guest_poweroff();
}

/* No interrupt gets through, and nothing exits. */
static void spin_test(void)
{
	print("spinning\n");
	irq_disable();
	for (;;)
		;
}

static void flood_test(void)
{
	for (unsigned line = 0;; line++)
		print("line %u of a flood\n", line);
}

/* Each page again and again, so that all of its memory is taken. */
static void touch_test(void)
{
	volatile u8 *const from = (volatile u8 *)0x1000000;

	print("touching\n");
	for (u64 round = 0;; round++)
		for (u64 page = 0; page < 1024; page++)
			from[page * 4096] = (u8)round;
}

/* Nothing but exits, long ones as well; a stop in the middle of one must leave no trace. */
static void exits_test(void)
{
	static u8 text[4096];

	print("exiting\n");
	for (u32 leaf = cpuid(0, 0).ebx;;) {
		u8 *to = text;
		u64 count = sizeof(text);

		inb(0x61);
		outb(COM1 + 7, 0x5a); /* the scratch register */
		__asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(COM1 + 7) : "memory");
		if (count || to != text + sizeof(text) || cpuid(0, 0).ebx != leaf)
			print("broken: %lu bytes left\n", count);
		for (unsigned i = 0; i < sizeof(text); i++) {
			if (text[i] != 0x5a)
				print("broken: byte %u is %x\n", i, text[i]);
			text[i] = 0;
		}
	}
}

/* Waits for ever, with interrupts on that never come. */
static void idle_test(void)
{
	print("idle\n");
	for (;;)
		__asm__ volatile("sti\n\thlt" ::: "memory");
}

/* Waits as well, while a timer of its APIC runs out ten thousand times a second, of which it hears nothing.
 */
static void timer_test(void)
{
	print("a timer runs\n");
	apic_init(false);
	apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | APIC_TIMER_PERIODIC | 0x40);
	apic_write(APIC_TIMER_INITIAL, TIMER_TICKS);
	for (;;)
		__asm__ volatile("sti\n\thlt" ::: "memory");
}

/* Answers what is typed, a line at a time. */
static void talk_test(void)
{
	char line[64];
	unsigned n = 0;

	trap_handler(PIC_VECTOR + IRQ_COM1, on_com1);
	trap_handler(PIC_VECTOR + IRQ_SCI, on_sci);
	pic_mask((u16) ~(1U << IRQ_COM1 | 1U << IRQ_CASCADE | 1U << IRQ_SCI));
	outw(PM1_ENABLE, PM1_POWER_BUTTON);
	outb(COM1 + 1, 1);    /* an interrupt for received data */
	outb(COM1 + 4, 0x0b); /* DTR, RTS, and OUT2, which lets it out */
	print("a bare guest: it says back what you type\n> ");
	while (!pressed) {
		__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
		while (inb(COM1 + 5) & 1) {
			char c = (char)inb(COM1);

			if (c == '\r') {
				line[n] = '\0';
				print("\nyou said: %s\n> ", line);
				n = 0;
			} else if (n < sizeof(line) - 1) {
				line[n++] = c;
				print("%c", c);
			}
		}
	}
	print("\nthe power button was pressed\n");
	guest_poweroff();
}

static void triple_test(void)
{
	struct table_register none = {0};

	print("a triple fault follows\n");
	write_idtr(none);
	__asm__ volatile("ud2");
}

/* Page tables in a device's memory: nothing can go on from there. */
static void crash_test(void)
{
	print("a crash follows\n");
	write_cr3(0xfec00000);
}

static void off_test(void)
{
	print("off\n");
	guest_poweroff();
}

const struct test guest_tests[] = {
    {"button", button_test, 0},       {"ticks", ticks_test, ON_DEMAND},   {"spin", spin_test, ON_DEMAND},
    {"flood", flood_test, ON_DEMAND}, {"touch", touch_test, ON_DEMAND},   {"exits", exits_test, ON_DEMAND},
    {"idle", idle_test, ON_DEMAND},   {"triple", triple_test, ON_DEMAND}, {"crash", crash_test, ON_DEMAND},
    {"off", off_test, ON_DEMAND},     {"talk", talk_test, ON_DEMAND},     {"timer", timer_test, ON_DEMAND},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
