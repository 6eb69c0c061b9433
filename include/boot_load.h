/* SPDX-License-Identifier: Apache-2.0 */
/* Loading a guest (owner: vm/): from the files that the configuration names to guest memory and the
 * registers of the first vCPU. Pure but for gmem.h: the loader of the hypervisor (efi/) links it to a
 * guest memory that keeps nothing, and so learns what would fail while there is still a way back. */
#pragma once

#include "config.h"
#include "gmem.h"
#include "vcpu.h"

struct boot_module {
	const char *string; /* path, then arguments */
	const u8 *data;
	u64 size;
};

/* Copies that are still to be made: large parts of files, which stay where they are. */
#define BOOT_LATER_MAX (CONFIG_MAX_MODULES + 8)
struct boot_later {
	unsigned count;
	struct {
		gpa_t gpa;
		const u8 *data;
		u64 size;
	} part[BOOT_LATER_MAX];
};

/* What to load. Everything it points to stays with the caller. */
struct boot_image {
	const char *path; /* of the kernel */
	const u8 *kernel;
	u64 kernel_size;
	const u8 *initrd; /* NULL: none */
	u64 initrd_size;
	const char *cmdline; /* "": none */
	struct boot_module modules[CONFIG_MAX_MODULES];
	unsigned nr_modules;
	struct boot_later *later; /* takes what is large; NULL: all is copied at once */
	gpa_t rsdp;               /* ACPI root pointer in guest memory; 0: none */
};

enum boot_mode {
	BOOT_LONG64, /* 64-bit mode, paging on */
	BOOT_PROT32, /* flat protected mode, paging off */
};

/* Registers of the vCPU at its first instruction. What is not here is 0. */
struct boot_state {
	enum boot_mode mode;
	u64 rip, rsp, rflags;
	u64 rax, rbx, rsi;
	u64 cr0, cr3, cr4, efer;
	u64 gdt_base, idt_base;
	u32 gdt_limit, idt_limit;
	struct segment segments[SEG_TR + 1];
	/* After an error: the key of the configuration that is at fault, and where it may repeat its value;
	 * as config_error_at() takes them. */
	const char *fault_key, *fault_path;
};

/* The RAM of a PC with `memory` bytes, as slots; low and high are the parts below and above 4 GiB. */
int boot_add_ram(struct gmem *mem, u64 memory, u64 *low, u64 *high);

/* Loads whatever the kernel file is: a Linux bzImage or a 32-bit ELF with a Multiboot 1 header. Also
 * writes what a PC BIOS leaves in memory. 0, or an error with one line in why. */
int boot_load(struct gmem *mem, const struct boot_image *image, struct boot_state *state, char *why,
	      size_t why_size);
