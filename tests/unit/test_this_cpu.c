/* SPDX-License-Identifier: Apache-2.0 */
/* Who runs this, in a function that goes on on another CPU: the header as the hypervisor has it, with a GS
 * base of this process' own. */
#include <asm/prctl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../include/this_cpu.h"

struct cpu {
	struct cpu *self;
	unsigned index;
};

char this_cpu_changes;
static struct cpu cpus[2] = {{&cpus[0], 0}, {&cpus[1], 1}};

/* As after a switch of tasks. */
__attribute__((noinline)) static void go_to(unsigned index)
{
	assert_int_equal(syscall(SYS_arch_prctl, ARCH_SET_GS, &cpus[index]), 0);
}
static void (*volatile go)(unsigned index) = go_to; /* the compiler is not to look inside */

static void read_again_after_a_call(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		go(i & 1);
		assert_ptr_equal(this_cpu(), &cpus[i & 1]);
		assert_int_equal(this_cpu()->index, i & 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(read_again_after_a_call)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
