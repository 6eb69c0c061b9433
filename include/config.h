/* SPDX-License-Identifier: Apache-2.0 */
/* socle.conf (owner: vm/): one parser in pure C, used by efi/, by the hypervisor and by the checker
 * on the build host. It allocates nothing and trusts nothing. */
#pragma once

#include "lib.h"

#define CONFIG_MAX_VMS 16
#define CONFIG_MAX_DISKS 4
#define CONFIG_MAX_NETS 4
#define CONFIG_MAX_MODULES 8
#define CONFIG_PATH_MAX 128
#define CONFIG_CMDLINE_MAX 1024
#define CONFIG_MAX_VCPUS 16
#define CONFIG_MAX_KEYS 32 /* rows of the larger of the two key tables */

enum on_idle { ON_IDLE_POWEROFF, ON_IDLE_WAIT };
enum on_event { ON_EVENT_DESTROY, ON_EVENT_RESTART, ON_EVENT_PRESERVE };
enum console_kind { CONSOLE_SERIAL, CONSOLE_NONE };

/* Optional VT-x features; each is used where the processor has it unless its key says off. */
struct config_features {
	bool vid;      /* virtual-interrupt delivery and APIC-register virtualization */
	bool vid_auto; /* ... but not on a processor that is known to do it wrongly */
	bool tpr_shadow;
	bool vpid;
	bool preemption_timer;
	bool ept_1g;
	bool ept_ad;
};

enum config_sched { CONFIG_SCHED_BVT, CONFIG_SCHED_CREDIT, CONFIG_SCHED_RR };

struct config_socle {
	struct config_features features;
	enum on_idle on_idle;
	enum config_sched sched;
	int log_level; /* enum log_level */
};

struct config_vm {
	char name[32];
	unsigned line; /* of the [vm NAME] header */
	unsigned vcpus;
	u64 memory;          /* bytes */
	unsigned page_order; /* 0, 9 or 18 */
	char kernel[CONFIG_PATH_MAX];
	char initrd[CONFIG_PATH_MAX];
	char firmware[CONFIG_PATH_MAX];
	char modules[CONFIG_MAX_MODULES][CONFIG_PATH_MAX]; /* Multiboot modules: path, then arguments */
	unsigned nr_modules;
	char cmdline[CONFIG_CMDLINE_MAX];
	enum console_kind console;
	bool autostart;
	bool testdev;
	bool hypervisor_cpuid;                          /* off: the guest sees no hypervisor at all (M10) */
	unsigned weight, cap, warp, warp_limit, unwarp; /* as sched_set() takes them */
	u64 pin;                                        /* CPUs, by index */
	enum on_event on_poweroff, on_reboot, on_crash;
	/* Where each key stood, for errors that only show later; see config_error_at(). */
	unsigned lines[CONFIG_MAX_KEYS];
	unsigned module_lines[CONFIG_MAX_MODULES];
};

struct config {
	struct config_socle socle;
	unsigned nr_vms;
	struct config_vm vms[CONFIG_MAX_VMS];
};

struct config_error {
	unsigned line;  /* 0: the file as a whole */
	char key[32];   /* "" where no key is concerned */
	char text[200]; /* what was wrong and what was expected */
};

/* 0, or ERR_INVAL with *err filled with the first error. text need not be terminated. */
int config_parse(struct config *c, const char *text, size_t length, struct config_error *err);
/* Fills *err for a key of a VM whose value turns out to be wrong after parsing (file not found, more
 * memory than there is): the line is where the key stood, else the VM's header. path tells apart
 * keys that repeat; NULL where the key names no file. */
void config_error_at(struct config_error *err, const struct config_vm *vm, const char *key, const char *path,
		     const char *fmt, ...) PRINTF(5, 6);
/* "FILE:LINE: KEY: TEXT" into buf. */
void config_format_error(char *buf, size_t size, const char *file, const struct config_error *err);
/* Calls fn for each file the configuration names (path normalised: '/' separated, no leading '/'),
 * until it returns non-zero, which is then returned. */
int config_for_each_file(const struct config *c,
			 int (*fn)(void *opaque, const struct config_vm *vm, const char *key,
				   const char *path),
			 void *opaque);
