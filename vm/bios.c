/* SPDX-License-Identifier: Apache-2.0 */
/* The traces that a PC BIOS leaves in memory, for guests that go back to real mode or read the BIOS
 * data area. Behind the vectors are hardware interrupt handlers (tick counter, end of interrupt) and
 * the two calls that only read the data area; any other call returns with CF set and AH = 86h,
 * "function not supported". */
#include "bios.h"

#include "load.h"
#include "memmap.h"

#define ROM_SEGMENT 0xf000
#define ROM_BASE 0xfff00
#define ROM_OFFSET (ROM_BASE - ROM_SEGMENT * 16)

/* Entry points, as offsets into rom[]. */
#define ENTRY_PIC1 0x00
#define ENTRY_PIC2 0x08
#define ENTRY_TIMER 0x14
#define ENTRY_MEMORY_SIZE 0x28
#define ENTRY_EQUIPMENT 0x32
#define ENTRY_UNSUPPORTED 0x3c
#define ENTRY_RESET 0x48
#define ENTRY_IRET 0x53     /* f000:ff53, where PC BIOSes have it */
#define ENTRY_POWER_UP 0xf0 /* f000:fff0, where a processor starts */
#define ROM_DATE 0xf5
#define ROM_MODEL 0xfe

/* Offsets from segment 0 (BIOS data area, 40h:0). */
#define BDA_COM1 0x400
#define BDA_EBDA_SEGMENT 0x40e
#define BDA_EQUIPMENT 0x410
#define BDA_MEMORY_KIB 0x413
#define BDA_KEY_HEAD 0x41a
#define BDA_KEY_TAIL 0x41c
#define BDA_KEY_BUFFER 0x480
#define BDA_KEY_BUFFER_END 0x482
#define BDA_END 0x500

/* clang-format off */
static const u8 rom[256] = {
	[ENTRY_PIC1] = 0x50,            /* push ax */
	0xb0, 0x20, 0xe6, 0x20,         /* mov al, 20h; out 20h, al */
	0x58, 0xcf,                     /* pop ax; iret */
	[ENTRY_PIC2] = 0x50,            /* push ax */
	0xb0, 0x20, 0xe6, 0xa0,         /* mov al, 20h; out 0a0h, al */
	0xe6, 0x20,                     /* out 20h, al */
	0x58, 0xcf,                     /* pop ax; iret */
	[ENTRY_TIMER] = 0x1e, 0x50,     /* push ds; push ax */
	0x31, 0xc0, 0x8e, 0xd8,         /* xor ax, ax; mov ds, ax */
	0x66, 0xff, 0x06, 0x6c, 0x04,   /* inc dword [46ch]: the tick counter */
	0xb0, 0x20, 0xe6, 0x20,         /* mov al, 20h; out 20h, al */
	0x58, 0x1f, 0xcf,               /* pop ax; pop ds; iret */
	[ENTRY_MEMORY_SIZE] = 0x1e,     /* push ds */
	0x31, 0xc0, 0x8e, 0xd8,         /* xor ax, ax; mov ds, ax */
	0xa1, 0x13, 0x04, 0x1f, 0xcf,   /* mov ax, [413h]; pop ds; iret */
	[ENTRY_EQUIPMENT] = 0x1e,       /* push ds */
	0x31, 0xc0, 0x8e, 0xd8,         /* xor ax, ax; mov ds, ax */
	0xa1, 0x10, 0x04, 0x1f, 0xcf,   /* mov ax, [410h]; pop ds; iret */
	[ENTRY_UNSUPPORTED] = 0x55,     /* push bp */
	0x89, 0xe5,                     /* mov bp, sp */
	0x80, 0x4e, 0x06, 0x01,         /* or byte [bp + 6], 1: CF of the caller */
	0x5d, 0xb4, 0x86, 0xcf,         /* pop bp; mov ah, 86h; iret */
	[ENTRY_RESET] = 0xfa,           /* cli */
	0xb0, 0xfe, 0xe6, 0x64,         /* mov al, 0feh; out 64h, al: reset by the keyboard controller */
	0xf4, 0xeb, 0xfd,               /* hlt; jmp to the hlt */
	[ENTRY_IRET] = 0xcf,            /* iret */
	[ENTRY_POWER_UP] = 0xe9, 0x55, 0xff, /* jmp ENTRY_RESET */
	[ROM_DATE] = '0', '1', '/', '0', '1', '/', '2', '4',
	[ROM_MODEL] = 0xfc,             /* PC/AT */
};
/* clang-format on */
_Static_assert((u16)(ENTRY_POWER_UP + 3 + 0xff55) == ENTRY_RESET, "displacement of the jump at fff0h");

static u8 vector_entry(unsigned vector)
{
	if (vector == 0x08)
		return ENTRY_TIMER;
	if (vector > 0x08 && vector <= 0x0f)
		return ENTRY_PIC1;
	if (vector == 0x11)
		return ENTRY_EQUIPMENT;
	if (vector == 0x12)
		return ENTRY_MEMORY_SIZE;
	if (vector >= 0x10 && vector <= 0x1a)
		return ENTRY_UNSUPPORTED;
	if (vector >= 0x70 && vector <= 0x77)
		return ENTRY_PIC2;
	return ENTRY_IRET;
}

static void fill_vectors(u8 *page)
{
	for (unsigned vector = 0; vector < 256; vector++) {
		store_u16(page + 4 * vector, (u16)(ROM_OFFSET + vector_entry(vector)));
		store_u16(page + 4 * vector + 2, ROM_SEGMENT);
	}
}

static void fill_data_area(u8 *page)
{
	store_u16(page + BDA_COM1, 0x3f8);
	store_u16(page + BDA_EBDA_SEGMENT, MEMMAP_LOW_END >> 4);
	store_u16(page + BDA_EQUIPMENT, 1 << 9 | 1 << 1); /* one serial port, coprocessor */
	store_u16(page + BDA_MEMORY_KIB, MEMMAP_LOW_END >> 10);
	store_u16(page + BDA_KEY_HEAD, 0x1e);
	store_u16(page + BDA_KEY_TAIL, 0x1e);
	store_u16(page + BDA_KEY_BUFFER, 0x1e);
	store_u16(page + BDA_KEY_BUFFER_END, 0x3e);
}

int bios_write_memory(struct gmem *mem)
{
	static const u8 ebda_kib = 1; /* the area's first byte is its size */
	u8 low[BDA_END] = {0};
	fill_vectors(low);
	fill_data_area(low);
	int err = gmem_write(mem, 0, low, sizeof(low));
	if (!err)
		err = gmem_write(mem, MEMMAP_LOW_END, &ebda_kib, 1);
	if (!err)
		err = gmem_write(mem, ROM_BASE, rom, sizeof(rom));
	return err;
}
