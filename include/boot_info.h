/* SPDX-License-Identifier: Apache-2.0 */
/* What efi/ hands to the hypervisor (written by efi/, read by vm/ and host/). All addresses are
 * host-physical. The hypervisor copies what it wants to keep: memory of type BOOT_MEM_LOADER may be
 * reused once it has. */
#pragma once

#include "types.h"

#define BOOT_INFO_MAGIC 0x31454c434f53u /* "SOCLE1" */
#define BOOT_MAX_MEM 256
#define BOOT_MAX_FILES 64
#define BOOT_MAX_CPUS 64
#define BOOT_PATH_MAX 128

enum boot_mem_type {
	BOOT_MEM_USABLE,   /* free RAM: conventional and boot-services memory */
	BOOT_MEM_LOADER,   /* RAM holding this structure, the page tables made by efi/, stacks */
	BOOT_MEM_IMAGE,    /* RAM holding the hypervisor's segments: never freed */
	BOOT_MEM_FILES,    /* RAM holding the files[] and the configuration text */
	BOOT_MEM_ACPI,     /* ACPI tables (reclaimable or NVS): readable RAM, not to be handed out */
	BOOT_MEM_RUNTIME,  /* UEFI runtime code and data: fenced, never called */
	BOOT_MEM_RESERVED, /* anything else that must not be touched */
	BOOT_MEM_MMIO,     /* memory-mapped I/O */
};

struct boot_mem {
	u64 base, length; /* bytes, multiples of 4096; sorted, not overlapping */
	u32 type;         /* enum boot_mem_type */
	u32 reserved;
};

struct boot_file {
	char path[BOOT_PATH_MAX]; /* as written in the configuration, '/' separated, no leading '/' */
	u64 base, length;         /* page-aligned base; length in bytes */
};

struct boot_framebuffer {
	u64 base, size;                         /* base 0: there is none */
	u32 width, height, stride;              /* pixels; stride in pixels per line */
	u32 red_shift, green_shift, blue_shift; /* of a 32-bit pixel */
};

struct boot_cpu {
	u32 apic_id;
	u32 is_bsp;
};

/* Functions of the hypervisor, for backtraces: `count` entries sorted by offset, then their names. */
struct boot_symbol {
	u32 offset; /* of the function's first byte from VIRT_IMAGE */
	u32 name;   /* offset of its NUL-terminated name from symbols_base */
};

struct boot_symbols {
	u32 count, reserved;
	struct boot_symbol sym[];
};

/* The volume that Socle was started from, as far as its device path tells (UEFI 2.10, 10.3). */
enum boot_signature { BOOT_SIGNATURE_NONE, BOOT_SIGNATURE_MBR, BOOT_SIGNATURE_GUID }; /* 10.3.5.1 */
struct boot_volume {
	bool is_ide; /* the disk is one of a PCI IDE controller: the next four */
	u8 pci_device, pci_function, channel, slave;
	u8 signature_type; /* enum boot_signature */
	u8 signature[16];  /* of the disk (MBR, its first four bytes), or of the partition (GUID) */
};

struct boot_info {
	u64 magic;
	u64 image_base, image_size;     /* where the hypervisor's segments were loaded */
	u64 symbols_base, symbols_size; /* struct boot_symbols, in BOOT_MEM_IMAGE memory; 0: none */
	u64 config_base, config_size;   /* text of socle.conf */
	u64 rsdp;                       /* ACPI root pointer, 0 where the firmware has none */
	u64 low_page;                   /* two free pages below 1 MiB for starting CPUs; 0: none */
	u64 tsc_at_entry;               /* TSC when efi_main began */
	u64 tsc_after_files;            /* TSC when the last file had been read */
	struct boot_framebuffer fb;
	struct boot_volume volume;
	u32 nr_mem, nr_files, nr_cpus, reserved;
	struct boot_mem mem[BOOT_MAX_MEM];
	struct boot_file files[BOOT_MAX_FILES];
	struct boot_cpu cpus[BOOT_MAX_CPUS];
};

/* Where the hypervisor lives (linker script, efi/ and host/ agree on these). */
#define VIRT_DIRECT_MAP 0xffff800000000000u /* all RAM, RW, no execute */
#define VIRT_DYNAMIC 0xffffc00000000000u    /* stacks with guard pages, MMIO windows */
#define VIRT_IMAGE 0xffffffff80000000u      /* the ELF is linked here */
