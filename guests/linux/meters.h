/* SPDX-License-Identifier: Apache-2.0 */
/* The meters of the VM, which the test device tells (`testdev = yes`): exits and instructions. */
#pragma once

#include "sys.h"

#define SYS_IOPL 172
#define METER_PORT 0x2020
static const struct {
	const char *name;
	uint32_t which;
} meters[] = {{"exits", 0x100},    {"guest", 0x101}, {"hypervisor", 0x102}, {"billed", 0x103},
	      {"interrupts", 1},   {"hlt", 12},      {"vmcall", 18},        {"ports", 30},
	      {"violations", 48},  {"msrs", 32},     {"timer", 52},         {"doorbells", 0x105},
	      {"notified", 0x106}, {"copied", 0x104}};
#define METERS (sizeof(meters) / sizeof(*meters))

static uint32_t port_read(uint16_t port)
{
	uint32_t value;
	__asm__ volatile("in %%dx, %%eax" : "=a"(value) : "d"(port));
	return value;
}

static uint64_t meter(unsigned i)
{
	__asm__ volatile("out %%eax, %%dx" : : "a"(meters[i].which), "d"((uint16_t)METER_PORT));
	uint64_t low = port_read(METER_PORT);
	return low | (uint64_t)port_read(METER_PORT + 4) << 32;
}

/* What the kernel says to being asked for the ports; 0: yes. */
static long meters_open(void)
{
	return sys_call(SYS_IOPL, 3, 0, 0, 0, 0);
}

static void meters_read(uint64_t *values)
{
	for (unsigned i = 0; i < METERS; i++)
		values[i] = meter(i);
}

static void row(const char *name, uint64_t value)
{
	print(" ");
	print(name);
	print(" ");
	print_number(value);
}

static void meters_print(const uint64_t *before, const uint64_t *after)
{
	for (unsigned i = 0; i < METERS; i++)
		row(meters[i].name, after[i] - before[i]);
}
