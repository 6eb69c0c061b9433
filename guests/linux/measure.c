/* SPDX-License-Identifier: Apache-2.0 */
/* measure NAME COUNT PROGRAM [ARGUMENT...]: runs a program COUNT times, one after the other, and
 * prints "bench NAME TICKS" with the ticks of the time stamp counter for all of it: fork, exec and
 * wait included. */
#include "sys.h"

static unsigned parse_count(const char *s)
{
	unsigned n = 0;
	while (*s >= '0' && *s <= '9')
		n = n * 10 + (unsigned)(*s++ - '0');
	return n;
}

static int run_once(char **argv, char **envp)
{
	int status = 0;
	long pid = sys_call(SYS_FORK, 0, 0, 0, 0, 0);
	if (pid == 0) {
		sys_call(SYS_EXECVE, (long)argv[0], (long)argv, (long)envp, 0, 0);
		sys_exit(127);
	}
	if (pid < 0 || sys_call(SYS_WAIT4, pid, (long)&status, 0, 0, 0) != pid)
		return -1;
	return status;
}

noreturn void program_main(long argc, char **argv, char **envp)
{
	if (argc < 4) {
		print("Usage: measure NAME COUNT PROGRAM [ARGUMENT...]\n");
		sys_exit(2);
	}
	unsigned count = parse_count(argv[2]);
	uint64_t start = tsc_read();
	for (unsigned i = 0; i < count; i++) {
		if (run_once(argv + 3, envp)) {
			print("measure: a run failed\n");
			sys_exit(1);
		}
	}
	uint64_t ticks = tsc_read() - start;
	print("bench ");
	print(argv[1]);
	print(" ");
	print_number(ticks);
	print("\n");
	sys_exit(0);
}
