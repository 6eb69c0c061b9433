/* SPDX-License-Identifier: Apache-2.0 */
/* The 8042 keyboard controller without a keyboard; see i8042.h. */
#include "i8042.h"

#include "guest.h"
#include "irq.h"

#define KBD_IRQ 1

#define STATUS_FULL 0x01
#define STATUS_SYSTEM 0x04 /* self test passed; follows the same bit of the command byte */
#define STATUS_COMMAND 0x08
#define STATUS_UNLOCKED 0x10
#define STATUS_AUX 0x20
#define STATUS_TIMEOUT 0x40

#define CTR_KBD_INT 0x01
#define CTR_SYSTEM 0x04
#define CTR_KBD_DISABLED 0x10
#define CTR_AUX_DISABLED 0x20

#define CMD_READ_RAM 0x20  /* .. 0x3f */
#define CMD_WRITE_RAM 0x60 /* .. 0x7f */
#define CMD_AUX_DISABLE 0xa7
#define CMD_AUX_ENABLE 0xa8
#define CMD_AUX_TEST 0xa9
#define CMD_SELF_TEST 0xaa
#define CMD_KBD_TEST 0xab
#define CMD_KBD_DISABLE 0xad
#define CMD_KBD_ENABLE 0xae
#define CMD_READ_INPUT 0xc0
#define CMD_READ_OUTPUT 0xd0
#define CMD_WRITE_OUTPUT 0xd1
#define CMD_KBD_LOOP 0xd2
#define CMD_AUX_LOOP 0xd3
#define CMD_AUX_SEND 0xd4
#define CMD_PULSE 0xf0 /* .. 0xff: pulses the output bits that are 0 */

#define SELF_TEST_PASSED 0x55
#define LINE_PASSED 0x00
#define LINE_CLOCK_LOW 0x01
#define INPUT_UNLOCKED 0x80
#define OUTPUT_NO_RESET 0x01
#define OUTPUT_A20 0x02
#define NO_DEVICE 0xfe

#define PORT92_RESET 0x01
#define PORT92_A20 0x02

static void i8042_update(struct i8042 *kbc)
{
	bool level = kbc->full && !(kbc->status & STATUS_AUX) && (kbc->ram[0] & CTR_KBD_INT);

	if (level == kbc->line)
		return;
	kbc->line = level;
	irq_set(kbc->irq, KBD_IRQ, level);
}

/* Puts a byte into the output buffer; whoever did not read the last one has lost it. */
static void i8042_answer(struct i8042 *kbc, u8 byte, u8 status)
{
	kbc->status = (kbc->status & (u8) ~(STATUS_AUX | STATUS_TIMEOUT)) | status;
	kbc->output = byte;
	kbc->full = true;
	i8042_update(kbc);
}

static void i8042_set_control(struct i8042 *kbc, u8 v)
{
	kbc->ram[0] = v;
	kbc->status = (kbc->status & (u8)~STATUS_SYSTEM) | (v & CTR_SYSTEM);
	i8042_update(kbc);
}

static void i8042_pulse(struct i8042 *kbc, u8 bits)
{
	if (!(bits & OUTPUT_NO_RESET))
		guest_stop(kbc->guest, GUEST_RESET, 0);
}

static void i8042_command(struct i8042 *kbc, u8 cmd)
{
	switch (cmd) {
	case CMD_AUX_DISABLE:
		i8042_set_control(kbc, kbc->ram[0] | CTR_AUX_DISABLED);
		break;
	case CMD_AUX_ENABLE:
		i8042_set_control(kbc, kbc->ram[0] & (u8)~CTR_AUX_DISABLED);
		break;
	case CMD_AUX_TEST: /* there is no auxiliary port */
		i8042_answer(kbc, LINE_CLOCK_LOW, 0);
		break;
	case CMD_SELF_TEST:
		i8042_set_control(kbc, kbc->ram[0] | CTR_SYSTEM);
		i8042_answer(kbc, SELF_TEST_PASSED, 0);
		break;
	case CMD_KBD_TEST:
		i8042_answer(kbc, LINE_PASSED, 0);
		break;
	case CMD_KBD_DISABLE:
		i8042_set_control(kbc, kbc->ram[0] | CTR_KBD_DISABLED);
		break;
	case CMD_KBD_ENABLE:
		i8042_set_control(kbc, kbc->ram[0] & (u8)~CTR_KBD_DISABLED);
		break;
	case CMD_READ_INPUT:
		i8042_answer(kbc, INPUT_UNLOCKED, 0);
		break;
	case CMD_READ_OUTPUT:
		i8042_answer(kbc, OUTPUT_NO_RESET | OUTPUT_A20, 0);
		break;
	case CMD_WRITE_OUTPUT:
	case CMD_KBD_LOOP:
	case CMD_AUX_LOOP:
	case CMD_AUX_SEND:
		kbc->command = cmd;
		break;
	default: /* the rest is of no effect on real controllers either */
		break;
	}
}

static void i8042_take_command(struct i8042 *kbc, u8 cmd)
{
	kbc->status |= STATUS_COMMAND;
	kbc->command = 0;
	if ((cmd & 0xe0) == CMD_READ_RAM)
		i8042_answer(kbc, kbc->ram[cmd & 0x1f], 0);
	else if ((cmd & 0xe0) == CMD_WRITE_RAM)
		kbc->command = cmd;
	else if (cmd >= CMD_PULSE)
		i8042_pulse(kbc, cmd);
	else
		i8042_command(kbc, cmd);
}

void i8042_write_command(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct i8042 *kbc = opaque;

	(void)offset, (void)size;
	spin_lock(&kbc->lock);
	i8042_take_command(kbc, (u8)value);
	spin_unlock(&kbc->lock);
}

static void i8042_take_data(struct i8042 *kbc, u8 v)
{
	u8 cmd = kbc->command;

	kbc->status &= (u8)~STATUS_COMMAND;
	kbc->command = 0;
	switch (cmd) {
	case CMD_WRITE_RAM:
		i8042_set_control(kbc, v);
		break;
	case CMD_WRITE_OUTPUT:
		i8042_pulse(kbc, v);
		break;
	case CMD_KBD_LOOP:
	case CMD_AUX_LOOP: /* without an auxiliary port it comes back as the keyboard's */
		i8042_answer(kbc, v, 0);
		break;
	case CMD_AUX_SEND:
		i8042_answer(kbc, NO_DEVICE, STATUS_AUX | STATUS_TIMEOUT);
		break;
	case 0: /* for the keyboard, which does not take it */
		kbc->ram[0] &= (u8)~CTR_KBD_DISABLED;
		i8042_answer(kbc, NO_DEVICE, STATUS_TIMEOUT);
		break;
	default: /* CMD_WRITE_RAM + 1 .. 0x7f */
		kbc->ram[cmd & 0x1f] = v;
		break;
	}
}

void i8042_write_data(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct i8042 *kbc = opaque;

	(void)offset, (void)size;
	spin_lock(&kbc->lock);
	i8042_take_data(kbc, (u8)value);
	spin_unlock(&kbc->lock);
}

u64 i8042_read_data(void *opaque, u64 offset, unsigned size)
{
	struct i8042 *kbc = opaque;
	u8 v;

	(void)offset, (void)size;
	spin_lock(&kbc->lock);
	kbc->full = false;
	kbc->status &= (u8) ~(STATUS_AUX | STATUS_TIMEOUT);
	i8042_update(kbc);
	v = kbc->output;
	spin_unlock(&kbc->lock);
	return v;
}

u64 i8042_read_status(void *opaque, u64 offset, unsigned size)
{
	const struct i8042 *kbc = opaque;

	(void)offset, (void)size;
	return kbc->status | STATUS_UNLOCKED | (kbc->full ? STATUS_FULL : 0);
}

u64 i8042_read_port92(void *opaque, u64 offset, unsigned size)
{
	(void)opaque, (void)offset, (void)size;
	return PORT92_A20;
}

void i8042_write_port92(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct i8042 *kbc = opaque;

	(void)offset, (void)size;
	if (value & PORT92_RESET)
		guest_stop(kbc->guest, GUEST_RESET, 0);
}

void i8042_reset(struct i8042 *kbc)
{
	spin_lock(&kbc->lock);
	memset(kbc->ram, 0, sizeof(kbc->ram));
	kbc->status = kbc->output = kbc->command = 0;
	kbc->full = false;
	/* As firmware leaves it: self test passed, keyboard enabled, no interrupt. */
	i8042_set_control(kbc, CTR_SYSTEM | CTR_AUX_DISABLED);
	spin_unlock(&kbc->lock);
}

void i8042_init(struct i8042 *kbc, struct guest *g, struct irq_router *irq)
{
	*kbc = (struct i8042){.guest = g, .irq = irq};
	i8042_reset(kbc);
}
