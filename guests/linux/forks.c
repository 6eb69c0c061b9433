/* SPDX-License-Identifier: Apache-2.0 */
/* forks: makes processes without end, and they do, too; each writes to memory of its own. Of four new ones
 * one ends at once, so that there is room for the next when the kernel has no more. Says so when there are as
 * many as there can be: from then on its kernel does nothing but make and end processes. */
#include "sys.h"

#define SYS_RT_SIGACTION 13
#define O_WRONLY_CREAT_EXCL 0301
#define SIGCHLD 17
#define PAGE 4096
#define PAGES 4

struct kernel_sigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

static volatile char memory[PAGES * PAGE];

static void touch(void)
{
	for (unsigned i = 0; i < PAGES; i++)
		memory[i * PAGE]++;
}

/* The first of all processes that comes here. */
static void say_full(void)
{
	if (sys_call(SYS_OPEN, (long)"/tmp/full", O_WRONLY_CREAT_EXCL, 0600, 0, 0) >= 0)
		print("forks: as many as there can be\n");
}

noreturn void program_main(long argc, char **argv, char **envp)
{
	/* Ignored: who ends leaves nothing behind that somebody would have to wait for. */
	struct kernel_sigaction ignore = {.handler = (void *)1};
	int may_say = 1;
	(void)argc, (void)argv, (void)envp;
	sys_call(SYS_RT_SIGACTION, SIGCHLD, (long)&ignore, 0, sizeof(ignore.mask), 0);
	print("forks: begins\n");
	for (;;) {
		touch();
		long pid = sys_call(SYS_FORK, 0, 0, 0, 0, 0);
		if (pid == 0 && !(tsc_read() & 3))
			sys_exit(0);
		if (pid < 0 && may_say) {
			say_full();
			may_say = 0;
		}
	}
}
