/* SPDX-License-Identifier: Apache-2.0 */
/* socle.conf (owner: vm/): one parser in pure C, used by efi/, by the hypervisor and by the checker
 * on the build host. It allocates nothing and trusts nothing. */
#pragma once

#include "disk_model.h"
#include "lib.h"
#include "net_model.h"

#define CONFIG_MAX_VMS 1024 /* sections, and VMs of all of them together */
#define CONFIG_NAME_MAX 32
#define CONFIG_MAX_DISKS 4
#define CONFIG_MAX_NETS 4
#define CONFIG_BRIDGE_MAX 16    /* name of a bridge, with its end */
#define CONFIG_BRIDGE_PORTS 128 /* interfaces on one bridge */
#define CONFIG_MAX_MODULES 8
#define CONFIG_MAX_RULES 16 /* of a VM's packet filters */
#define CONFIG_PATH_MAX 128
#define CONFIG_CMDLINE_MAX 1024
#define CONFIG_MAX_VCPUS 16
#define CONFIG_MAX_TENANTS 32
#define CONFIG_MAX_TENANT_KEYS 4
#define CONFIG_MAX_KEYS 40 /* rows of the larger of the two key tables */

enum on_idle { ON_IDLE_POWEROFF, ON_IDLE_WAIT };
enum on_event { ON_EVENT_DESTROY, ON_EVENT_RESTART, ON_EVENT_PRESERVE };
enum console_kind { CONSOLE_SERIAL, CONSOLE_VIRTIO, CONSOLE_NONE };

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
	int log_level;                  /* enum log_level */
	unsigned poll;                  /* CPUs that poll rings */
	char uplink[CONFIG_BRIDGE_MAX]; /* the bridge that has the machine's network card; "": none */
};

/* A disk of the machine, or a part of it: phys:hda, phys:hda1, phys:hda@FIRST+COUNT. */
struct config_phys {
	bool used;
	u8 unit;          /* hda is 0; below CONFIG_PHYS_UNITS */
	u16 partition;    /* from 1; 0: it is not one */
	u64 first, count; /* sectors of 512 bytes; count 0: the whole disk, or partition */
};
#define CONFIG_PHYS_UNITS 4

/* A disk of a VM: a file of the boot volume, in memory; or one that keeps nothing (null:SIZE); or one of the
 * machine. */
struct config_disk {
	char path[CONFIG_PATH_MAX]; /* "": there is none */
	u64 null_bytes;             /* 0: it is not of that kind */
	struct config_phys phys;
	bool read_only;
	bool polled; /* its rings are looked at by CPUs that do nothing else */
	enum disk_model model;
};
static inline bool config_disk_is_file(const struct config_disk *d)
{
	return d->path[0] && !d->null_bytes && !d->phys.used;
}

/* A network interface of a VM. */
struct config_net {
	char bridge[CONFIG_BRIDGE_MAX]; /* "": there is no interface */
	enum net_model model;
	bool has_mac;
	bool spoof;  /* frames may leave it from any address */
	bool polled; /* its rings are looked at by CPUs that do nothing else */
	u8 mac[6];
	u64 rate; /* bytes per second that may leave it, 0: any */
};

/* A rule of a packet filter; see struct net_rule, whose fields of the same names these become. */
struct config_rule {
	unsigned line; /* where it stands */
	u8 nets;       /* bit 0: net1; 0: all interfaces of the VM */
	bool incoming, drop;
	u8 protocol;
	u16 ethertype, port_first, port_last;
	u32 source, source_mask, target, target_mask;
};

/* A [vm NAME] section. */
struct config_vm {
	char name[CONFIG_NAME_MAX]; /* of the section; see config_vm_name() */
	unsigned line;              /* of the [vm NAME] header */
	unsigned count;             /* VMs of this section */
	unsigned vcpus;
	u64 memory;          /* bytes */
	unsigned page_order; /* 0, 9 or 18 */
	char kernel[CONFIG_PATH_MAX];
	char initrd[CONFIG_PATH_MAX];
	char firmware[CONFIG_PATH_MAX];
	char modules[CONFIG_MAX_MODULES][CONFIG_PATH_MAX]; /* Multiboot modules: path, then arguments */
	unsigned nr_modules;
	struct config_disk disks[CONFIG_MAX_DISKS]; /* disk1 first */
	struct config_net nets[CONFIG_MAX_NETS];    /* net1 first */
	struct config_rule rules[CONFIG_MAX_RULES]; /* in their order */
	unsigned nr_rules;
	char cmdline[CONFIG_CMDLINE_MAX];
	enum console_kind console;
	bool autostart;
	bool testdev;
	bool rng; /* a virtio entropy device */
	bool hpet;
	bool hypervisor_cpuid;                          /* off: the guest sees no hypervisor at all (M10) */
	unsigned weight, cap, warp, warp_limit, unwarp; /* as sched_set() takes them */
	char tenant[CONFIG_NAME_MAX];                   /* "": nobody's */
	u64 pin;                                        /* CPUs, by index */
	enum on_event on_poweroff, on_reboot, on_crash;
	/* Where each key stood, for errors that only show later; see config_error_at(). */
	unsigned lines[CONFIG_MAX_KEYS];
	unsigned module_lines[CONFIG_MAX_MODULES];
};

/* A [tenant NAME] section: what all VMs that name it may have together. */
struct config_tenant {
	char name[CONFIG_NAME_MAX];
	unsigned line;
	unsigned cap; /* percent of one CPU, 0: no cap */
	u64 memory;   /* bytes, 0: no limit */
	unsigned lines[CONFIG_MAX_TENANT_KEYS];
};

struct config {
	struct config_socle socle;
	struct config_tenant tenants[CONFIG_MAX_TENANTS];
	unsigned nr_tenants;
	const struct config *outer; /* the caller's: its tenants may be named as well; NULL: none */
	unsigned socle_line;        /* of the [socle] header, 0: there is none */
	unsigned nr_vms;            /* sections */
	unsigned room;              /* of vms[] */
	struct config_vm *vms;      /* the caller's */
};

struct config_error {
	unsigned line;  /* 0: the file as a whole */
	char key[32];   /* "" where no key is concerned */
	char text[240]; /* what was wrong and what was expected */
};

/* How many [vm NAME] sections the text has at most, from 1 to CONFIG_MAX_VMS: room for them is enough. */
unsigned config_count_sections(const char *text, size_t length);
/* 0, or ERR_INVAL with *err filled with the first error. text need not be terminated. c->vms has c->room
 * elements, whatever is in them, and stays the caller's. */
int config_parse(struct config *c, const char *text, size_t length, struct config_error *err);
/* Fills *err for a key of a VM whose value turns out to be wrong after parsing (file not found, more
 * memory than there is): the line is where the key stood, else the VM's header. path tells apart
 * keys that repeat; NULL where the key names no file. */
void config_error_at(struct config_error *err, const struct config_vm *vm, const char *key, const char *path,
		     const char *fmt, ...) PRINTF(5, 6);
/* The words for them. */
const char *config_console_word(enum console_kind kind);
const char *config_disk_word(enum disk_model model);
const char *config_net_word(enum net_model model);
/* "FILE:LINE: KEY: TEXT" into buf. */
void config_format_error(char *buf, size_t size, const char *file, const struct config_error *err);
/* Calls fn for each file the configuration names (path normalised: '/' separated, no leading '/'),
 * until it returns non-zero, which is then returned. */
int config_for_each_file(const struct config *c,
			 int (*fn)(void *opaque, const struct config_vm *vm, const char *key,
				   const char *path),
			 void *opaque);

/* ---- a section makes one VM of its own name, or `count` of them, NAME-1 to NAME-count ---- */
/* index 0 .. count - 1. */
void config_vm_name(const struct config_vm *vm, unsigned index, char name[CONFIG_NAME_MAX]);
/* The section whose VM is called so, and its index there; NULL: none. */
const struct config_vm *config_find(const struct config *c, const char *name, unsigned *index);
/* VMs of all sections before that one. */
unsigned config_vms_before(const struct config *c, const struct config_vm *vm);
unsigned config_vms_total(const struct config *c);
/* Bytes that one VM of the section may take, with what the hypervisor needs for it. */
u64 config_vm_footprint(const struct config_vm *vm);
/* The memory that it may have for its footprint to be that many bytes; a little less. */
u64 config_vm_room(const struct config_vm *vm, u64 bytes);
/* NULL: none of that name. */
const struct config_tenant *config_find_tenant(const struct config *c, const char *name);
/* The address of an interface, 0 .. CONFIG_MAX_NETS - 1, of the VM of that index: the one that was written
 * down, or one made of the VM's name, always the same and locally administered (IEEE 802, 8.4). */
void config_net_mac(const struct config_vm *vm, unsigned index, unsigned net, u8 mac[6]);
