/* SPDX-License-Identifier: Apache-2.0 */
/* A bare guest is a table of tests. The words of its command line (behind the file's name) choose among
 * them: none runs every test that is not marked ON_DEMAND, `name` runs that one, `-name` leaves it out,
 * `key=value` is for the tests, `bochs` says that the machine below is Bochs 2.7, for checks that it does not
 * make, `bochs-vid` that its virtual-interrupt delivery is in use. Output: one line `PASS name`, `FAIL name:
 * why` or `SKIP name: why` for each, then `N passed, N failed, N skipped`. The guest ends by isa-debug-exit
 * with 0 where nothing failed. */
#pragma once

#include "base.h"

enum exit_code { EXIT_PASSED = 0, EXIT_FAILED = 1, EXIT_CRASHED = 2 };

enum test_flags { ON_DEMAND = 1 };

struct test {
	const char *name;
	void (*run)(void);
	u32 flags;
};

/* Each guest defines these two. */
extern const struct test guest_tests[];
extern const unsigned guest_nr_tests;

enum platform {
	PLATFORM_BARE, /* no hypervisor says its name: a real machine or Bochs */
	PLATFORM_SOCLE,
	PLATFORM_TCG, /* QEMU's interpreter, where some checks of the architecture are missing */
	PLATFORM_OTHER,
};
enum platform guest_platform(void);

/* Inside a test: a false ok makes it fail; it goes on. Returns ok. */
bool expect(bool ok, const char *fmt, ...) PRINTF(2, 3);
bool expect_eq(u64 got, u64 want, const char *what);
/* got, want: vectors or NO_FAULT. */
bool expect_vector(u32 got, u32 want, const char *what);
/* The test says nothing of this machine: it is neither passed nor failed, unless something failed before. */
void test_skip(const char *why);

/* The value of `key=` on the command line, or NULL. The text ends at a space. */
const char *test_option(const char *key);
bool test_has_word(const char *word);
_Noreturn void guest_exit(enum exit_code code);
/* Ends the machine without a debug-exit port: ACPI power-off, then halts for ever. */
_Noreturn void guest_poweroff(void);
