/* SPDX-License-Identifier: Apache-2.0 */
/* A UEFI application that sends back every byte that COM1 receives, until Ctrl-D; then it powers off by
 * the ports of Bochs and QEMU. Ctrl-E makes it hang. For the tests of scripts/run. */
#include <efi.h>

#include "types.h"
#include "x86_ops.h"

#define COM1 0x3f8
#define LSR_READY 0x01
#define LSR_ROOM 0x20
#define LSR_EMPTY 0x40

static void send(u8 byte)
{
	while (!(inb(COM1 + 5) & LSR_ROOM))
		cpu_pause();
	outb(COM1, byte);
}

static u8 receive(void)
{
	while (!(inb(COM1 + 5) & LSR_READY))
		cpu_pause();
	return inb(COM1);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);
EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	(void)image;
	(void)st;
	cli(); /* the firmware's own serial driver keeps away */
	for (const char *s = "echo ready\r\n"; *s; s++)
		send((u8)*s);
	for (u8 byte; (byte = receive()) != 4;) {
		send(byte);
		while (byte == 5)
			cpu_pause();
	}
	while (!(inb(COM1 + 5) & LSR_EMPTY))
		cpu_pause();
	for (;;) {
		outw(0xb004, 0x2000);
		outw(0x604, 0x2000);
	}
}
