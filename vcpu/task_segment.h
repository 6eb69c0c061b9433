/* SPDX-License-Identifier: Apache-2.0 */
/* Segment descriptors as a task switch loads them (private to vcpu/). */
#pragma once

#include "linear.h"

/* A hardware task switch under way. */
struct task_switch {
	struct vcpu *v;
	u16 selector; /* of the new TSS */
	u8 source;
	u8 ext; /* bit 0 of error codes: an event from outside the program caused the switch */
	struct gwalk_in paging;
};

/* An 8-byte descriptor and where it lies. */
struct descriptor {
	u64 raw;
	struct linear_span span;
};
#define DESC_TYPE(raw) ((unsigned)((raw) >> 40) & 0xf)
#define DESC_S BIT(44) /* code or data */
#define DESC_DPL(raw) ((unsigned)((raw) >> 45) & 3)
#define DESC_P BIT(47)

/* Raises a fault whose error code is the selector. Returns ERR_FAULT. */
int task_fault(const struct task_switch *t, unsigned vector, u16 selector);
/* Reads a descriptor of the GDT or LDT; access is GWALK_WRITE where it is going to be written. Beyond the
 * table: `vector` with the selector. 0, ERR_FAULT (raised), ERR_AGAIN. */
int descriptor_find(const struct task_switch *t, u16 selector, u32 access, unsigned vector,
		    struct descriptor *d);
/* Replaces the byte with type, S, DPL and P. */
void descriptor_set_type(const struct task_switch *t, struct descriptor *d, unsigned type);
struct segment descriptor_segment(const struct descriptor *d, u16 selector);

/* The six selectors alone: what a fault finds that comes while their descriptors are loaded. In
 * virtual-8086 mode there is no more to load. */
void task_set_selectors(const u32 *selectors, bool vm86);
/* Loads LDTR and, without vm86, the six descriptors of the new task, with the checks of SDM volume 3,
 * table 8-1. 0, ERR_FAULT (raised), ERR_AGAIN. */
int task_load_segments(const struct task_switch *t, const u32 *selectors, u16 ldt, bool vm86);
