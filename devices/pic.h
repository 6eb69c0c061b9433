/* SPDX-License-Identifier: Apache-2.0 */
/* The 8259A programmable interrupt controller pair of a PC: master at ports 0x20 and 0x21, slave at
 * 0xa0 and 0xa1 behind the master's input 2, edge/level control (ELCR) at 0x4d0 and 0x4d1.
 * Sources: Intel 8259A data sheet (231468), PIIX3 data sheet (290550) for the ELCR. */
#pragma once

#include "spinlock.h"

enum pic_step { PIC_READY, PIC_ICW2, PIC_ICW3, PIC_ICW4, PIC_UNINITIALISED };

struct pic_chip {
	struct pic *pic;
	u8 lines;  /* levels of the inputs */
	u8 latch;  /* edge-triggered requests not yet acknowledged */
	u8 isr;    /* in service */
	u8 imr;    /* masked */
	u8 elcr;   /* 1: level triggered */
	u8 base;   /* first vector */
	u8 lowest; /* the input with the lowest priority; 7 unless rotated */
	u8 elcr_writable;
	u8 withdraws;       /* inputs whose fall takes a latched edge back; see pic.c */
	enum pic_step step; /* what the next write to the odd port is */
	bool single, need_icw4;
	bool read_isr, poll;
	bool special_mask, special_nested;
	bool auto_eoi, auto_rotate;
};

struct pic {
	struct spinlock lock;    /* everything below; taken inside the interrupt router's */
	struct pic_chip chip[2]; /* master, slave */
	void (*intr)(void *opaque, bool level);
	void *opaque;
	bool out; /* level of the INTR output */
	/* Without the lock, after an edge was acknowledged or forgotten while `watched`. */
	void (*accepted)(void *opaque);
	void *accepted_opaque;
	bool watched; /* atomic */
};

/* intr is called whenever the INTR output changes; it must not call back into the PIC. */
void pic_init(struct pic *pic, void (*intr)(void *opaque, bool level), void *opaque);
/* As after power-on: masked, INTR low, waiting for ICW1. Input levels stay: they belong to devices. */
void pic_reset(struct pic *pic);

/* Level of input irq (0..15; others and 2, the cascade, do nothing). */
void pic_set_line(struct pic *pic, unsigned irq, bool level);
/* An edge-triggered input falls and rises. False: the last edge was not acknowledged yet, so this one changes
 * nothing, and `accepted` will be called when another would. */
bool pic_pulse(struct pic *pic, unsigned irq);
/* INTA cycle: the vector; the spurious one (input 7) when the request has gone. opaque: struct pic. */
u8 pic_ack(void *opaque);

/* Ports: the chips' opaque is their struct pic_chip, the ELCR's is struct pic. */
u64 pic_read(void *opaque, u64 offset, unsigned size);
void pic_write(void *opaque, u64 offset, unsigned size, u64 value);
u64 pic_elcr_read(void *opaque, u64 offset, unsigned size);
void pic_elcr_write(void *opaque, u64 offset, unsigned size, u64 value);
