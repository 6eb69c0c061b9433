/* SPDX-License-Identifier: Apache-2.0 */
/* /init, the guest's first user process: says what the time stamp counter was when it began, mounts
 * what everything needs, finds a console where the kernel had none for it, runs /etc/rc, and ends the machine
 * when that has ended or when busybox's poweroff, reboot or halt asks for it by a signal. */
#include "sys.h"

#define SIGUSR1 10 /* halt */
#define SIGUSR2 12 /* poweroff */
#define SIGTERM 15 /* reboot */
#define SIGCHLD 17
#define SIGNAL_BIT(n) ((uint64_t)1 << ((n)-1))
#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define WNOHANG 1
#define TCSBRK 0x5409
#define SYS_FCNTL 72
#define F_GETFD 1
#define O_RDWR 2
#define EINTR_RESULT (-4)

/* reboot(2) */
#define REBOOT_MAGIC1 0xfee1dead
#define REBOOT_MAGIC2 672274793
#define REBOOT_RESTART 0x01234567
#define REBOOT_HALT 0xcdef0123
#define REBOOT_POWER_OFF 0x4321fedc

static void mount_fs(const char *type, const char *where)
{
	if (sys_call(SYS_MOUNT, (long)type, (long)where, (long)type, 0, 0) < 0) {
		print("init: cannot mount ");
		print(where);
		print("\n");
	}
}

static noreturn void machine_end(long command)
{
	sys_call(SYS_SYNC, 0, 0, 0, 0, 0);
	sys_call(SYS_IOCTL, 1, TCSBRK, 1, 0, 0); /* the console has sent everything */
	sys_call(SYS_REBOOT, (long)REBOOT_MAGIC1, REBOOT_MAGIC2, command, 0, 0);
	for (;;)
		sys_call(SYS_PAUSE, 0, 0, 0, 0, 0);
}

static void change_mask(int how, uint64_t set)
{
	sys_call(SYS_RT_SIGPROCMASK, how, (long)&set, 0, sizeof(set), 0);
}

static long run_script(char *script, char **envp, uint64_t signals)
{
	char *argv[] = {"/bin/sh", script, NULL};
	long pid = sys_call(SYS_FORK, 0, 0, 0, 0, 0);
	if (pid == 0) {
		change_mask(SIG_UNBLOCK, signals);
		sys_call(SYS_EXECVE, (long)argv[0], (long)argv, (long)envp, 0, 0);
		print("init: cannot run /bin/sh\n");
		sys_exit(1);
	}
	return pid;
}

/* The kernel's console is a module's: without it /dev/console could not be opened for us. */
static int has_console(void)
{
	return sys_call(SYS_FCNTL, 1, F_GETFD, 0, 0, 0) >= 0;
}

/* Files 0, 1 and 2. What the script itself says, nobody sees. */
static void find_console(char **envp)
{
	long script = run_script("/etc/console", envp, 0);
	while (script > 0 && sys_call(SYS_WAIT4, script, 0, 0, 0, 0) == EINTR_RESULT)
		;
	for (int i = 0; i < 3; i++)
		sys_call(SYS_OPEN, (long)"/dev/console", O_RDWR, 0, 0, 0);
}

/* Collects everything that has ended, orphans included; ends the machine after the script. */
static void reap(long script)
{
	long pid;
	while ((pid = sys_call(SYS_WAIT4, -1, 0, WNOHANG, 0, 0)) > 0)
		if (pid == script)
			machine_end(REBOOT_POWER_OFF);
}

static void say_tsc(uint64_t tsc)
{
	print("guest: first user process, tsc ");
	print_number(tsc);
	print("\n");
}

noreturn void program_main(long argc, char **argv, char **envp)
{
	uint64_t tsc = tsc_read();
	uint64_t signals =
	    SIGNAL_BIT(SIGUSR1) | SIGNAL_BIT(SIGUSR2) | SIGNAL_BIT(SIGTERM) | SIGNAL_BIT(SIGCHLD);
	(void)argc;
	(void)argv;
	if (has_console())
		say_tsc(tsc);
	mount_fs("devtmpfs", "/dev");
	mount_fs("proc", "/proc");
	mount_fs("sysfs", "/sys");
	if (!has_console()) {
		find_console(envp);
		say_tsc(tsc);
	}
	change_mask(SIG_BLOCK, signals);
	long script = run_script("/etc/rc", envp, signals);
	for (;;) {
		switch (sys_call(SYS_RT_SIGTIMEDWAIT, (long)&signals, 0, 0, sizeof(signals), 0)) {
		case SIGUSR1:
			machine_end(REBOOT_HALT);
		case SIGUSR2:
			machine_end(REBOOT_POWER_OFF);
		case SIGTERM:
			machine_end(REBOOT_RESTART);
		default:
			reap(script);
		}
	}
}
