/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the loader share. The loader is an application of the UEFI firmware (Unified
 * Extensible Firmware Interface, specification 2.10): until loader_exit_firmware() it may fail, and
 * then the firmware gets everything back; after it there is no firmware any more. */
#pragma once

#include <efi.h>

#include "boot_info.h"
#include "config.h"

#define LOADER_MAX_REGIONS 128
#define LOADER_CONFIG_PATH "EFI/socle/socle.conf"
#define LOADER_CONFIG_NAME "\\EFI\\socle\\socle.conf"
#define LOADER_STACK_PAGES 4

/* Memory taken from the firmware, and what it will be for the hypervisor. */
struct region {
	u64 base, pages;
	enum boot_mem_type type;
};

struct loader {
	EFI_HANDLE image;
	EFI_SYSTEM_TABLE *st;
	EFI_BOOT_SERVICES *bs;
	bool com1;                 /* text goes to COM1, too */
	EFI_FILE_PROTOCOL *volume; /* root of the boot volume, NULL: not open */
	struct boot_info *info;
	struct config *config;
	u64 entry, cr3, stack_top; /* for loader_jump(); the first and last are hypervisor addresses */
	void *map;                 /* buffer for the firmware's memory map */
	UINTN map_room;
	unsigned nr_regions;
	struct region regions[LOADER_MAX_REGIONS];
};

/* ---- screen.c ---- */
void screen_init(struct loader *l);
void screen_print(struct loader *l, const char *fmt, ...) PRINTF(2, 3);
/* Says on one line why Socle cannot start; returns status. */
EFI_STATUS refuse(struct loader *l, EFI_STATUS status, const char *fmt, ...) PRINTF(3, 4);

/* ---- memory.c ---- */
/* Page-aligned memory at any address. Zeroed for type BOOT_MEM_LOADER. */
EFI_STATUS memory_alloc(struct loader *l, u64 bytes, enum boot_mem_type type, u64 *base);
void memory_release_all(struct loader *l);
/* RAM that the hypervisor will be able to hand out, in bytes. */
EFI_STATUS memory_count_free(struct loader *l, u64 *bytes);
/* Two free pages below 1 MiB, or 0. */
u64 memory_alloc_low(struct loader *l);
/* Fetches the firmware's map into l->map. */
EFI_STATUS memory_fetch_map(struct loader *l, UINTN *size, UINTN *key, UINTN *desc_size);
/* Turns it into info->mem[]; calls no firmware. */
void memory_export(struct loader *l, UINTN size, UINTN desc_size);

/* ---- bootvolume.c ---- */
/* What a device path says of the disk it leads to; *v is zeros. */
void volume_describe(const EFI_DEVICE_PATH_PROTOCOL *path, struct boot_volume *v);

/* ---- volume.c ---- */
EFI_STATUS volume_open(struct loader *l);
void volume_close(struct loader *l);
/* NULL, or what is wrong with the file, completing "PATH: ". */
const char *volume_read(struct loader *l, const char *path, u64 max, bool progress, u64 *base, u64 *length);

/* ---- files.c ---- */
/* As refuse(), naming the configuration file, line and key. */
EFI_STATUS refuse_key(struct loader *l, EFI_STATUS status, const struct config_error *err);
const struct boot_file *file_find(const struct boot_info *info, const char *path);

/* ---- the steps, in the order in which main.c takes them ---- */
EFI_STATUS loader_check_cpu(struct loader *l);       /* cpu.c: VT-x as far as this CPU tells */
EFI_STATUS loader_prepare(struct loader *l);         /* main.c: memory for what follows */
EFI_STATUS loader_read_config(struct loader *l);     /* files.c */
EFI_STATUS loader_read_files(struct loader *l);      /* files.c */
EFI_STATUS loader_check_vms(struct loader *l);       /* check.c: kernels, memory */
EFI_STATUS loader_find_platform(struct loader *l);   /* platform.c: ACPI, framebuffer, low page */
EFI_STATUS loader_load_hypervisor(struct loader *l); /* hypervisor.c: the embedded ELF */
EFI_STATUS loader_build_tables(struct loader *l);    /* paging.c */
EFI_STATUS loader_enable_vmx(struct loader *l);      /* smp.c: every CPU; fills info->cpus[] */
EFI_STATUS loader_exit_firmware(struct loader *l);   /* memory.c */

/* smp.c: on this CPU, sets and locks IA32_FEATURE_CONTROL where it is open. False: VMXON is locked
 * out. */
bool cpu_unlock_vmxon(bool write);

/* payload.asm */
extern const u8 payload_elf[], payload_elf_end[];
extern const u8 payload_symbols[], payload_symbols_end[];
/* jump.asm: loads cr3 and continues at entry (RDI = info, interrupts off). Its code lies in one page. */
__attribute__((noreturn)) void loader_jump(u64 info, u64 cr3, u64 stack_top, u64 entry);
