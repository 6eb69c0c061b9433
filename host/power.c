/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the ways to end: power off and reset. After each attempt the next one follows, in the order of
 * how well it is defined. */
#include "acpi.h"
#include "console.h"
#include "host.h"
#include "smp.h"
#include "x86_ops.h"

#define SLP_TYP_SHIFT 10 /* PM1 control register (ACPI 4.8.3.2.1) */
#define SLP_EN 0x2000u
#define SCI_EN 0x0001u
#define ENABLE_MAX_READS 1000000u
#define OFF_MS 2000u /* a chipset may take its time */
#define RESET_MS 100u

/* Where the emulators' chipsets have PM1 control when there are no tables; their SLP_TYP is 0. */
#define BOCHS_PM1_CONTROL 0xb004
#define QEMU_PM1_CONTROL 0x604
#define BOCHS_SHUTDOWN 0x8900 /* takes the word "Shutdown" */

#define PORT_CF9 0xcf9
#define CF9_RESET_ALL 0x06 /* bit 1: not the CPU alone; bit 2: now, when it rises */
#define I8042_COMMAND 0x64
#define I8042_BUSY 0x02u
#define I8042_PULSE_RESET 0xfe
#define I8042_MAX_READS 100000u

/* Nobody else touches the machine any more, or this CPU does not: another one is ending it. */
static void take_machine(void)
{
	console_flush();
	if (!cpu_stop_others())
		cpu_halt();
}

static void wait(u64 ms)
{
	u64 start = rdtsc();

	while (rdtsc() - start < ms * (tsc_hz() / 1000))
		cpu_pause();
}

static u16 control(u8 type)
{
	return (u16)((u32)type << SLP_TYP_SHIFT | SLP_EN);
}

static void acpi_off(const struct acpi_info *info)
{
	if (!info->pm1a_control || !info->have_s5)
		return;
	if (!(inw(info->pm1a_control) & SCI_EN) && info->smi_command && info->acpi_enable) {
		outb(info->smi_command, info->acpi_enable);
		for (u32 i = 0; i < ENABLE_MAX_READS && !(inw(info->pm1a_control) & SCI_EN); i++)
			cpu_pause();
	}
	outw(info->pm1a_control, control(info->s5_pm1a));
	if (info->pm1b_control)
		outw(info->pm1b_control, control(info->s5_pm1b));
	wait(OFF_MS);
}

void machine_poweroff(void)
{
	const char *word = "Shutdown";

	take_machine();
	acpi_off(acpi_info());
	outw(BOCHS_PM1_CONTROL, SLP_EN);
	outw(QEMU_PM1_CONTROL, SLP_EN);
	while (*word)
		outb(BOCHS_SHUTDOWN, (u8)*word++);
	console_panic_line("[socle] this machine does not switch off: it is safe to do it by hand");
	cpu_halt();
}

void machine_reset(void)
{
	const struct acpi_reset *r = &acpi_info()->reset;
	struct desc_ptr none = {0, 0};
	volatile u8 *p = r->address && r->space == 0 ? mmio_map(r->address, 1) : NULL;

	take_machine();
	if (r->address && r->space == 1)
		outb((u16)r->address, r->value);
	if (p)
		*p = r->value;
	for (u32 i = 0; i < I8042_MAX_READS && inb(I8042_COMMAND) & I8042_BUSY; i++)
		cpu_pause();
	outb(I8042_COMMAND, I8042_PULSE_RESET);
	wait(RESET_MS);
	outb(PORT_CF9, 0);
	outb(PORT_CF9, CF9_RESET_ALL);
	wait(RESET_MS);
	lidt(&none); /* no handler for the fault, none for the double fault: the CPU resets */
	__asm__ volatile("ud2");
	cpu_halt();
}
