/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the guest's table of tests, reports, and ends the machine. */
#include "test.h"
#include "cpu.h"
#include "irqchip.h"
#include "multiboot.h"
#include "print.h"
#include "trap.h"

#define PORT_DEBUG_EXIT 0xf4
#define PORT_PM1A_CONTROL 0x604        /* QEMU's and Socle's machine */
#define PORT_PM1A_CONTROL_PIIX4 0xb004 /* Bochs */
#define PM1_SLEEP_S5 0x2000
#define MAX_FAILURES_SHOWN 20U

static struct {
	const char *name, *skipped;
	unsigned failures;
} current;

void guest_start(u32 magic, const struct multiboot_info *info);

static const char *cmdline_words(void)
{
	const char *s = "";

	if (multiboot_info->flags & MULTIBOOT_HAS_CMDLINE)
		s = (const char *)(u64)multiboot_info->cmdline;
	while (*s && *s != ' ')
		s++;
	return s;
}

/* The first word that begins with text; exact: and ends there. */
static const char *cmdline_find(const char *text, bool exact)
{
	const char *s = cmdline_words();
	size_t len = strlen(text);

	for (;;) {
		while (*s == ' ')
			s++;
		if (!*s)
			return NULL;
		if (!strncmp(s, text, len) && (!exact || s[len] == ' ' || !s[len]))
			return s;
		while (*s && *s != ' ')
			s++;
	}
}

bool test_has_word(const char *word)
{
	return cmdline_find(word, true);
}

const char *test_option(const char *key)
{
	char text[32];
	size_t len = strlen(key);
	const char *found;

	if (len > sizeof(text) - 2)
		return NULL;
	memcpy(text, key, len);
	text[len] = '=';
	text[len + 1] = '\0';
	found = cmdline_find(text, false);
	return found ? found + len + 1 : NULL;
}

enum platform guest_platform(void)
{
	struct cpuid_regs r;

	if (!(cpuid(1, 0).ecx & BIT(31)))
		return PLATFORM_BARE;
	r = cpuid(0x40000000, 0);
	if (!memcmp(&r.ebx, "SocleSocleSo", 12))
		return PLATFORM_SOCLE;
	return memcmp(&r.ebx, "TCGTCGTCGTCG", 12) ? PLATFORM_OTHER : PLATFORM_TCG;
}

static bool failed(void)
{
	if (current.failures++ < MAX_FAILURES_SHOWN) {
		print("FAIL %s: ", current.name);
		return true;
	}
	return false;
}

bool expect(bool ok, const char *fmt, ...)
{
	va_list ap;

	if (ok || !failed())
		return ok;
	va_start(ap, fmt);
	print_va(fmt, ap);
	va_end(ap);
	print("\n");
	return false;
}

bool expect_eq(u64 got, u64 want, const char *what)
{
	return expect(got == want, "%s: got 0x%lx, expected 0x%lx", what, got, want);
}

static void print_vector(u32 vector)
{
	if (vector == NO_FAULT)
		print("no fault");
	else
		print("vector %u", vector);
}

bool expect_vector(u32 got, u32 want, const char *what)
{
	if (got == want || !failed())
		return got == want;
	print("%s: got ", what);
	print_vector(got);
	print(", expected ");
	print_vector(want);
	print("\n");
	return false;
}

void test_skip(const char *why)
{
	current.skipped = why;
}

_Noreturn void guest_poweroff(void)
{
	outw(PORT_PM1A_CONTROL, PM1_SLEEP_S5);
	outw(PORT_PM1A_CONTROL_PIIX4, PM1_SLEEP_S5);
	irq_disable();
	for (;;)
		__asm__ volatile("hlt");
}

_Noreturn void guest_exit(enum exit_code code)
{
	outl(PORT_DEBUG_EXIT, code);
	guest_poweroff();
}

static bool selected(const struct test *t)
{
	char without[40] = "-";

	memcpy(without + 1, t->name, strlen(t->name) + 1);
	if (test_has_word(without))
		return false;
	if (test_has_word(t->name))
		return true;
	for (unsigned i = 0; i < guest_nr_tests; i++) {
		if (test_has_word(guest_tests[i].name))
			return false;
	}
	return !(t->flags & ON_DEMAND);
}

static void run_protected(void *test)
{
	((const struct test *)test)->run();
}

static void run_tests(unsigned *passed, unsigned *failures, unsigned *skipped)
{
	for (unsigned i = 0; i < guest_nr_tests; i++) {
		const struct test *t = &guest_tests[i];
		u32 vector;

		if (!selected(t))
			continue;
		current.name = t->name;
		current.failures = 0;
		current.skipped = NULL;
		vector = trap_catch(run_protected, (void *)(u64)t);
		if (vector != NO_FAULT)
			expect(false, "unexpected vector %u, error 0x%lx, rip 0x%lx, cr2 0x%lx", vector,
			       trap_last.error, trap_last.rip, trap_last.cr2);
		if (current.failures) {
			(*failures)++;
		} else if (current.skipped) {
			(*skipped)++;
			print("SKIP %s: %s\n", t->name, current.skipped);
		} else {
			(*passed)++;
			print("PASS %s\n", t->name);
		}
	}
}

void guest_start(u32 magic, const struct multiboot_info *info)
{
	unsigned passed = 0, failures = 0, skipped = 0;

	multiboot_keep(magic, info);
	serial_init();
	trap_init();
	pic_init();
	run_tests(&passed, &failures, &skipped);
	print("%u passed, %u failed, %u skipped\n", passed, failures, skipped);
	guest_exit(failures || !(passed + skipped) ? EXIT_FAILED : EXIT_PASSED);
}
