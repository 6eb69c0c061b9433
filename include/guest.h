/* SPDX-License-Identifier: Apache-2.0 */
/* What all vCPUs of one VM share (owner: vcpu/). vm/ embeds it in struct vm; devices/ hold a pointer
 * to it and use the functions here, in io.h, lapic.h and gmem.h. */
#pragma once

#include "lib.h"

struct guest;

/* Why a VM stops running. */
enum guest_stop {
	GUEST_RUNNING,
	GUEST_POWEROFF,   /* the guest asked for it */
	GUEST_RESET,      /* the guest asked for it, or a triple fault where the VM says so */
	GUEST_DEBUG_EXIT, /* isa-debug-exit port; code = value written */
	GUEST_CRASHED,    /* guest_fail() */
	GUEST_HALTED,     /* halted with interrupts off: nothing can wake it */
	GUEST_DESTROYED   /* the operator asked for it */
};
/* The code of a GUEST_RESET that a triple fault caused. */
#define GUEST_TRIPLE_FAULT 1u

/* Asks every vCPU of the guest to stop before its next instruction. The first reason wins. From any
 * context; returns at once. */
void guest_stop(struct guest *g, enum guest_stop why, u32 code);

/* The guest did something that ends it (a failed VM entry, no memory behind RAM, ...). Logs the
 * reason, then guest_stop(GUEST_CRASHED); the dump follows when its vCPUs have stopped. */
void guest_fail(struct guest *g, const char *fmt, ...) PRINTF(2, 3);

const char *guest_name(const struct guest *g);
struct gmem *guest_mem(struct guest *g);
unsigned guest_vcpu_count(const struct guest *g);
