/* SPDX-License-Identifier: Apache-2.0 */
/* The first C function: takes what the loader left and calls the list of steps in vm/main.c. */
#include "start.h"
#include "boot_info.h"
#include "host.h"
#include "log.h"

uintptr_t __stack_chk_guard;
__attribute__((noreturn)) void __stack_chk_fail(void);
__attribute__((noreturn)) void socle_main(const struct boot_info *bi);
void host_start(const struct boot_info *bi);

/* The loader's copy lies in BOOT_MEM_LOADER memory, which paging_init() gives to the allocator. */
static struct boot_info boot_info;

void host_start(const struct boot_info *bi)
{
	boot_info = *bi;
	socle_main(&boot_info);
}

void __stack_chk_fail(void)
{
	panic("a function wrote over its stack canary");
}
