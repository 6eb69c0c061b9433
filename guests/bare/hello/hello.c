/* SPDX-License-Identifier: Apache-2.0 */
/* The thinnest guest: one line on COM1, one on port 0xe9, and out. */
#include "cpu.h"
#include "multiboot.h"
#include "print.h"
#include "test.h"

#define PORT_DEBUG_TEXT 0xe9

static void hello_test(void)
{
	print("hello from a bare guest\n");
	for (const char *s = "hello from port 0xe9\n"; *s; s++)
		outb(PORT_DEBUG_TEXT, (u8)*s);
	expect_eq(multiboot_magic, MULTIBOOT_LOADER_MAGIC, "Multiboot magic");
}

static void poweroff_test(void)
{
	print("going down\n");
	guest_poweroff();
}

const struct test guest_tests[] = {
    {"hello", hello_test, 0}, {"poweroff", poweroff_test, ON_DEMAND}, /* ACPI instead of the debug port */
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
