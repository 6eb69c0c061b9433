/* SPDX-License-Identifier: Apache-2.0 */
/* A virtual machine (private to vm/): its configuration, what all its vCPUs share, its devices, its console
 * and its life. VMs are made, changed and freed on the boot CPU's scheduler stack only, never in an
 * interrupt handler; whoever else looks at the list takes its lock. */
#pragma once

#include "block_queue.h"
#include "boot_info.h"
#include "boot_load.h"
#include "config.h"
#include "pc.h"
#include "spinlock.h"
#include "vcpu.h"

/* VM_STOPPED: it has ended and is kept for debug-dump (on_... = preserve). */
enum vm_state { VM_CREATED, VM_RUNNING, VM_STOPPED };
/* What the operator asked for while the guest was still running; goes before what the configuration says. */
enum vm_wish { VM_WISH_NONE, VM_WISH_RESET, VM_WISH_DESTROY };

struct events;
struct tenant;
struct vm_bridge;
struct vm_console;
struct medium;

/* A disk of a VM: its port of the queue that the medium has, which other VMs may have one of, too. */
struct vm_disk {
	struct block_port port;
	struct medium *medium; /* NULL: there is none */
};

struct vm {
	struct list node; /* in vm_host.vms, by id */
	u32 id;           /* from 1, never used twice; a VM that starts again gets a new one */
	unsigned place;   /* of its console, from 1: as in the configuration, or the first that was free */
	struct guest guest;
	struct boot_later later; /* of its files; its first vCPU copies it */
	char name[CONFIG_NAME_MAX];
	const struct config_vm *config; /* its section, which other VMs may share */
	unsigned index;                 /* there */
	struct config_vm *own_config;   /* a copy of one that was typed, else NULL */
	struct tenant *tenant;          /* NULL: nobody's */
	struct pc *pc;
	struct vm_disk disks[CONFIG_MAX_DISKS];     /* those that the configuration has */
	struct vm_bridge *bridges[CONFIG_MAX_NETS]; /* NULL: no such interface */
	struct net_rule *rules[CONFIG_MAX_NETS];    /* of its filter; NULL: there are none */
	struct vm_console *console;
	struct timer ends;     /* when it has stopped, and its end has to wait for others */
	struct events *events; /* NULL until the guest uses them; set with the list's lock */
	enum vm_state state;
	bool paused;
	u32 pauses; /* how often it was paused */
	enum vm_wish wish;
	struct {               /* as check saw it last */
		u32 id, pause; /* pause: of vm.pauses, 0 when it did not stand still */
		u64 run[GUEST_MAX_VCPUS], virtual_ticks[GUEST_MAX_VCPUS];
	} checked;
	struct { /* as top saw it last */
		u64 used_ms, exits;
	} top;
};

/* The machine's VMs and what they are made of. */
struct vm_host {
	const struct boot_info *boot;
	struct config config;
	struct vmx_caps caps;
	struct spinlock lock; /* vms and what is in it may be read with it */
	struct list vms;
	struct list bridges; /* see nets.c */
	u32 next_id;
	unsigned nr_alive; /* started, and not ended */
	u64 past_ticks;    /* of VMs' lives that have ended: TSC ticks of all CPUs */
};
extern struct vm_host vm_host;

void vm_init(void); /* once, before the first VM */

/* Builds the VM of that index, 0 .. count - 1, of a section of vm_host.config, or of one that was typed and
 * need not outlive the call. 0, or negative with the reason logged and nothing left behind. ERR_EXIST: there
 * is one of that name. ERR_NOMEM: more memory than is left. */
int vm_create(const struct config_vm *config, unsigned index, bool typed, struct vm **out);
void vm_start(struct vm *vm);
/* By name or by number. NULL: there is none. */
struct vm *vm_find(const char *name_or_id);

/* For a VM that runs; at any moment, whatever the guest is doing. ERR_INVAL: it does not run, or is
 * paused already, or is not. */
int vm_pause(struct vm *vm);
int vm_unpause(struct vm *vm);
int vm_power_button(struct vm *vm);
/* As after power-on; also brings back a VM that was kept. ERR_INVAL: it is ending. ERR_NOMEM: it has
 * ended instead. */
int vm_reset(struct vm *vm);
/* It ends soon, and is in the list until it has. */
void vm_destroy_async(struct vm *vm);

/* Asked to stop, and not stopped yet. */
bool vm_is_dying(const struct vm *vm);
/* One word or a few: "running", "paused", "dying", "crashed", ... */
const char *vm_state_text(const struct vm *vm);
/* What a new VM may take: free pages that no VM has been promised, in units of 4 KiB. */
u64 vm_pages_left(void);

/* Bytes that Socle takes for a VM beside the VM's own memory. */
u64 vm_usage(const struct vm *vm);
/* Bytes that Socle takes in all: what is neither free nor a VM's memory nor a file. */
u64 vm_socle_usage(void);

/* Leaves VMX operation and ends the machine. */
__attribute__((noreturn)) void vm_power_off(void);
/* After the last VM has ended: powers off, or says that Socle waits. */
void vm_check_idle(void);

/* cpus.c: every CPU of the machine enters VMX operation; vm_host.caps is what all of them can do. */
void vm_enter_vmx(const struct boot_info *bi);

/* meter.c: all that its vCPUs have had of the CPUs in this life, and with what was billed to it besides; TSC
 * ticks up to now. */
u64 vm_vcpu_ticks(const struct vm *vm, u64 now);
u64 vm_ticks(const struct vm *vm, u64 now);

/* io.c: all its disks and network interfaces together. */
struct vm_io {
	u64 disk_ops[2], disk_bytes[2];  /* reads, writes */
	u64 net_frames[2], net_bytes[2]; /* sent, received */
	u64 net_dropped;                 /* that came and found no room */
	struct device_meters device;     /* copied: what disks and bridges copied, too */
};
void vm_io(const struct vm *vm, struct vm_io *io);
/* pc_config.meter; opaque is the struct vm. */
u64 vm_meter(void *opaque, u32 which);

/* disks.c: what a disk of the VM has done in this life of it. */
struct disk_meters {
	struct block_meters block;
	struct device_meters device;
};
/* i: disk1 is 0. Takes no lock; each figure is right by itself. All 0: there is no such disk. */
void vm_disk_meters(const struct vm *vm, unsigned i, struct disk_meters *m);

/* disks.c: a file that the firmware's part has loaded; NULL: there is none of that path. */
const struct boot_file *vm_file(const char *path);
/* disks.c: the media of its disks. ERR_NOENT: one was not loaded; ERR_EXIST: another VM has it, and one of
 * them writes; ERR_NOMEM; the reason is logged. What was opened before an error is to be closed. */
int vm_open_disks(struct vm *vm);
void vm_close_disks(struct vm *vm);      /* after the devices are gone */
u64 vm_disks_usage(const struct vm *vm); /* bytes that they take: its part of what is shared */

/* nets.c: the bridges of its interfaces, and what the PC is to know of them. Negative with the reason logged;
 * vm_close_nets() all the same, when the PC is gone. */
int vm_open_nets(struct vm *vm, struct pc_config *cfg);
void vm_close_nets(struct vm *vm);
struct net_switch *vm_bridge_switch(struct vm_bridge *b);

/* build.c: memory, tables, kernel, registers. */
int vm_build(struct vm *vm);
/* guest_config.prepare: the large parts of its files. opaque is the struct vm. */
void vm_copy_files(void *opaque, struct vcpu *v);

/* hypercall.c */
u64 vm_hypercall(void *opaque, struct vcpu *v, u64 number);

/* ---- events.c ---- */
/* Before guest_destroy(): no event comes any more; and after it. */
void vm_events_stop(struct vm *vm);
void vm_events_destroy(struct vm *vm);
u64 vm_events_usage(const struct vm *vm); /* bytes that they take */
/* guest_config.event; opaque is the struct vm. */
void vm_event_alarm(void *opaque, u32 number);

/* ---- console.c ---- */
void vm_console_init(void); /* the operator's keys */
int vm_console_open(struct vm *vm);
void vm_console_close(struct vm *vm);      /* also when open failed, or never was */
u64 vm_console_usage(const struct vm *vm); /* bytes that it takes */
/* What the guest prints, on whichever path; opaque is the struct vm. */
void vm_console_output(void *opaque, const u8 *buf, size_t n);
/* The VM's console comes to the foreground; NULL: the one that was there last. False: it has none. */
bool vm_console_bring(struct vm *vm);
/* The guest's UART has room again. */
void vm_console_room(struct vm *vm);
