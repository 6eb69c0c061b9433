/* SPDX-License-Identifier: Apache-2.0 */
/* A virtual machine (private to vm/): its configuration, what all its vCPUs share, its devices, its console
 * and its life. */
#pragma once

#include "boot_info.h"
#include "config.h"
#include "pc.h"
#include "vcpu.h"

enum vm_state { VM_CREATED, VM_RUNNING, VM_DEAD };

struct vm_console;

struct vm {
	struct guest guest;
	const struct config_vm *config;
	struct pc *pc;
	struct vm_console *console;
	enum vm_state state;
};

/* The machine's VMs and what they are made of. */
struct vm_host {
	const struct boot_info *boot;
	struct config config;
	struct vmx_caps caps;
	unsigned nr_vms, nr_alive;
	struct vm *vms[CONFIG_MAX_VMS];
};
extern struct vm_host vm_host;

/* Builds the VM and starts it. 0, or negative with the reason logged and nothing left behind. */
int vm_create(const struct config_vm *config, struct vm **out);
void vm_start(struct vm *vm);
void vm_destroy(struct vm *vm);
/* Leaves VMX operation and ends the machine. */
__attribute__((noreturn)) void vm_power_off(void);
/* After the last VM has ended: powers off, or says that Socle waits. */
void vm_check_idle(void);

/* build.c: memory, tables, kernel, registers. */
int vm_build(struct vm *vm);

/* hypercall.c */
u64 vm_hypercall(void *opaque, struct vcpu *v, u64 number);

/* ---- console.c ---- */
void vm_console_init(void); /* the operator's keys */
int vm_console_open(struct vm *vm);
void vm_console_close(struct vm *vm); /* also when open failed, or never was */
/* What the guest prints, on whichever path; opaque is the struct vm. */
void vm_console_output(void *opaque, const u8 *buf, size_t n);
/* The guest's UART has room again. */
void vm_console_room(struct vm *vm);
