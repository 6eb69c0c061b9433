/* SPDX-License-Identifier: Apache-2.0 */
/* Owns time: the TSC (time-stamp counter), its frequency measured against a clock of known frequency,
 * and the date. What CPUID says of the frequency is not used: emulators get it wrong. */
#include "acpi.h"
#include "clock.h"
#include "host.h"
#include "log.h"
#include "x86_ops.h"

#define NS_PER_SECOND 1000000000u

#define PM_TIMER_HZ 3579545u /* ACPI 4.8.2.1 */
#define PM_TIMER_MASK 0xffffffu
#define PM_TIMER_TICKS (PM_TIMER_HZ / 20)
#define PM_TIMER_MAX_READS 10000000u

#define PIT_HZ 1193182u
#define PIT_CHANNEL2 0x42
#define PIT_COMMAND 0x43
#define PIT_CHANNEL2_MODE0 0xb0 /* low byte then high, interrupt on terminal count */
#define PIT_TICKS (PIT_HZ / 20)
#define PORT_61 0x61
#define PORT_61_GATE 0x01u
#define PORT_61_SPEAKER 0x02u
#define PORT_61_OUT 0x20u
#define PIT_MAX_READS 10000000u

#define CMOS_INDEX 0x70
#define CMOS_DATA 0x71
#define CMOS_NMI_OFF 0x80u
#define CMOS_MAX_READS 1000000u

static struct {
	u64 hz, boot_tsc, boot_seconds;
	struct clock_scale to_ns, to_tsc;
} timing;

u64 tsc_hz(void)
{
	return timing.hz;
}

u64 tsc_to_ns(u64 ticks)
{
	return clock_convert(timing.to_ns, ticks);
}

u64 ns_to_tsc(u64 ns)
{
	return clock_convert(timing.to_tsc, ns);
}

struct tsc_scale tsc_scale(void)
{
	return (struct tsc_scale){timing.to_ns.factor, timing.to_ns.shift};
}

u64 tsc_at_boot(void)
{
	return timing.boot_tsc;
}

u64 real_ns(void)
{
	return tsc_to_ns(rdtsc() - timing.boot_tsc);
}

u64 wall_ns_at_boot(void)
{
	return timing.boot_seconds * NS_PER_SECOND;
}

u64 wall_seconds(void)
{
	return timing.boot_seconds + real_ns() / NS_PER_SECOND;
}

/* ---- calibration ---- */

/* Waits for the timer's next step: *tsc is then the time of it, up to one read of the port. */
static bool pm_timer_edge(u16 port, u32 *count, u64 *tsc)
{
	u32 first = inl(port) & PM_TIMER_MASK;

	for (u32 i = 0; i < PM_TIMER_MAX_READS; i++) {
		*count = inl(port) & PM_TIMER_MASK;
		*tsc = rdtsc();
		if (*count != first)
			return true;
	}
	return false; /* it does not run */
}

static u64 calibrate_by_pm_timer(u16 port)
{
	u32 start, now, reads = 0;
	u64 tsc_start, tsc_end;

	if (!pm_timer_edge(port, &start, &tsc_start))
		return 0;
	do
		now = inl(port) & PM_TIMER_MASK;
	while (((now - start) & PM_TIMER_MASK) < PM_TIMER_TICKS && ++reads < PM_TIMER_MAX_READS);
	if (!pm_timer_edge(port, &now, &tsc_end))
		return 0;
	return mul_div(tsc_end - tsc_start, PM_TIMER_HZ, (now - start) & PM_TIMER_MASK);
}

static u64 calibrate_by_pit(void)
{
	u8 old = inb(PORT_61), gate_off = (u8)(old & ~(PORT_61_GATE | PORT_61_SPEAKER));
	u32 reads = 0;
	u64 tsc_start, tsc_end;

	outb(PORT_61, gate_off);
	outb(PIT_COMMAND, PIT_CHANNEL2_MODE0);
	outb(PIT_CHANNEL2, PIT_TICKS & 0xff);
	outb(PIT_CHANNEL2, PIT_TICKS >> 8);
	outb(PORT_61, gate_off | PORT_61_GATE);
	tsc_start = rdtsc();
	while (!(inb(PORT_61) & PORT_61_OUT) && ++reads < PIT_MAX_READS)
		cpu_pause();
	tsc_end = rdtsc();
	outb(PORT_61, old);
	if (reads == PIT_MAX_READS || reads < 2)
		return 0;
	return mul_div(tsc_end - tsc_start, PIT_HZ, PIT_TICKS);
}

/* ---- the date ---- */

static u8 cmos_read(u8 index)
{
	outb(CMOS_INDEX, CMOS_NMI_OFF | index);
	return inb(CMOS_DATA);
}

static struct cmos_time cmos_read_time(u8 century)
{
	return (struct cmos_time){
	    .second = cmos_read(0),
	    .minute = cmos_read(2),
	    .hour = cmos_read(4),
	    .day = cmos_read(7),
	    .month = cmos_read(8),
	    .year = cmos_read(9),
	    .century = century ? cmos_read(century) : 0,
	    .status_b = cmos_read(11),
	};
}

static u64 cmos_seconds(u8 century)
{
	struct cmos_time a, b;
	u32 reads = 0;

	do { /* twice the same, or an update came between */
		while (cmos_read(10) & 0x80 && ++reads < CMOS_MAX_READS)
			cpu_pause();
		a = cmos_read_time(century);
		b = cmos_read_time(century);
	} while (memcmp(&a, &b, sizeof(a)) && ++reads < CMOS_MAX_READS);
	outb(CMOS_INDEX, 0); /* NMIs on again */
	return cmos_to_seconds(&a);
}

u64 wall_seconds_by_cmos(void)
{
	return cmos_seconds(acpi_info()->century);
}

void time_init(const struct boot_info *bi)
{
	const struct acpi_info *acpi = acpi_info();
	const char *clock = "the ACPI PM timer";
	u64 now;

	if (acpi->pm_timer)
		timing.hz = calibrate_by_pm_timer(acpi->pm_timer);
	if (!timing.hz) {
		clock = "the 8254";
		timing.hz = calibrate_by_pit();
	}
	if (!timing.hz)
		panic("neither the ACPI PM timer nor the 8254 runs: the TSC cannot be calibrated");
	timing.to_ns = clock_scale_make(timing.hz, NS_PER_SECOND);
	timing.to_tsc = clock_scale_make(NS_PER_SECOND, timing.hz);
	timing.boot_tsc = bi->tsc_at_entry;
	now = cmos_seconds(acpi->century);
	timing.boot_seconds = now - MIN(now, real_ns() / NS_PER_SECOND);
	log_set_clock(real_ns);
	log_info("TSC %lu.%03lu MHz, measured against %s", timing.hz / 1000000, timing.hz / 1000 % 1000,
		 clock);
}
