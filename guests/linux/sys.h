/* SPDX-License-Identifier: Apache-2.0 */
/* Just enough of Linux's system calls for programs without a C library, so that what they measure
 * is the kernel and not their own start. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#define SYS_READ 0
#define SYS_WRITE 1
#define SYS_OPEN 2
#define SYS_CLOSE 3
#define SYS_RT_SIGPROCMASK 14
#define SYS_IOCTL 16
#define SYS_PAUSE 34
#define SYS_FORK 57
#define SYS_EXECVE 59
#define SYS_EXIT 60
#define SYS_WAIT4 61
#define SYS_RT_SIGTIMEDWAIT 128
#define SYS_SYNC 162
#define SYS_MOUNT 165
#define SYS_REBOOT 169

static inline long sys_call(long number, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = 0;
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static inline noreturn void sys_exit(int status)
{
	for (;;)
		sys_call(SYS_EXIT, status, 0, 0, 0, 0);
}

static inline uint64_t tsc_read(void)
{
	uint32_t low, high;
	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline size_t text_length(const char *s)
{
	size_t n = 0;
	while (s[n])
		n++;
	return n;
}

/* The decimal digits that a text begins with. */
static inline uint64_t text_number(const char *s)
{
	uint64_t n = 0;
	while (*s >= '0' && *s <= '9')
		n = n * 10 + (uint64_t)(*s++ - '0');
	return n;
}

static inline void print(const char *s)
{
	sys_call(SYS_WRITE, 1, (long)s, (long)text_length(s), 0, 0);
}

static inline void print_number(uint64_t value)
{
	char buf[24];
	size_t at = sizeof(buf) - 1;
	buf[at] = '\0';
	do
		buf[--at] = (char)('0' + value % 10);
	while (value /= 10);
	print(buf + at);
}

/* The C entry of a program: what the kernel left on the stack is argc, argv, NULL, envp (System V
 * ABI for x86-64, 3.4.1). */
noreturn void program_main(long argc, char **argv, char **envp);

__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov (%rsp), %rdi\n"
	"	lea 8(%rsp), %rsi\n"
	"	lea 8(%rsi,%rdi,8), %rdx\n"
	"	and $-16, %rsp\n"
	"	call program_main\n");
