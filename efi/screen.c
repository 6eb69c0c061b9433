/* SPDX-License-Identifier: Apache-2.0 */
/* Text on the firmware's console and on COM1. Where the firmware's console is on COM1 already, it is
 * not written to twice. */
#include "loader.h"
#include "x86_ops.h"

#define COM1 0x3f8
#define UART_DLL 0
#define UART_DLM 1
#define UART_FCR 2
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define UART_SCR 7
#define LCR_8N1 0x03
#define LCR_DLAB 0x80
#define LSR_THRE 0x20
#define LINE_MAX 400
#define PNP_UART 0x050141d0 /* compressed EISA identifier of PNP0501 */

/* UEFI 10.3: the nodes of a device path that matter here. */
#define NODE_ACPI 0x02
#define NODE_ACPI_HID 0x01
#define NODE_MESSAGING 0x03
#define NODE_UART 0x0e
#define NODE_END 0x7f
#define NODE_END_ENTIRE 0xff

/* UEFI 3.3: the variable ConOut lists the devices of the console, each by its device path. */
static bool console_is_on_com1(const u8 *path, UINTN size)
{
	bool at_com1 = false;
	for (UINTN at = 0; at + 4 <= size;) {
		const u8 *node = path + at;
		UINTN length = node[2] | (UINTN)node[3] << 8;
		if (length < 4 || length > size - at || (node[0] == NODE_END && node[1] == NODE_END_ENTIRE))
			break;
		if (node[0] == NODE_END)
			at_com1 = false; /* the next device begins */
		if (node[0] == NODE_ACPI && node[1] == NODE_ACPI_HID && length >= 12) {
			u32 hid, uid;
			memcpy(&hid, node + 4, 4);
			memcpy(&uid, node + 8, 4);
			at_com1 = hid == PNP_UART && uid == 0;
		}
		if (node[0] == NODE_MESSAGING && node[1] == NODE_UART && at_com1)
			return true;
		at += length;
	}
	return false;
}

static bool uart_present(void)
{
	outb(COM1 + UART_SCR, 0x5a);
	bool there = inb(COM1 + UART_SCR) == 0x5a;
	outb(COM1 + UART_SCR, 0xa5);
	return there && inb(COM1 + UART_SCR) == 0xa5;
}

static void uart_init(void)
{
	outb(COM1 + UART_LCR, LCR_DLAB | LCR_8N1);
	outb(COM1 + UART_DLL, 1); /* 115200 baud */
	outb(COM1 + UART_DLM, 0);
	outb(COM1 + UART_LCR, LCR_8N1);
	outb(COM1 + UART_FCR, 0x07);
	outb(COM1 + UART_MCR, 0x03);
}

static void uart_write(char c)
{
	/* A transmitter that stands still for longer than a character's time is not waited for. */
	for (unsigned spin = 0; spin < 1000000 && !(inb(COM1 + UART_LSR) & LSR_THRE); spin++)
		cpu_pause();
	outb(COM1, (u8)c);
}

void screen_init(struct loader *l)
{
	static EFI_GUID global = EFI_GLOBAL_VARIABLE;
	static CHAR16 name[] = u"ConOut";
	u8 path[1024];
	UINTN size = sizeof(path);
	bool mirrored = !EFI_ERROR(l->st->RuntimeServices->GetVariable(name, &global, NULL, &size, path)) &&
			console_is_on_com1(path, size);
	l->com1 = !mirrored && uart_present();
	if (l->com1)
		uart_init();
}

static void screen_write(struct loader *l, const char *s)
{
	CHAR16 wide[LINE_MAX + 2];
	unsigned n = 0;
	for (; *s && n < LINE_MAX; s++) {
		if (*s == '\n')
			wide[n++] = '\r';
		wide[n++] = (CHAR16)(u8)*s;
	}
	wide[n] = 0;
	if (l->st->ConOut)
		l->st->ConOut->OutputString(l->st->ConOut, wide);
	for (unsigned i = 0; l->com1 && i < n; i++)
		uart_write((char)wide[i]);
}

void screen_print(struct loader *l, const char *fmt, ...)
{
	char line[LINE_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	screen_write(l, line);
}

EFI_STATUS refuse(struct loader *l, EFI_STATUS status, const char *fmt, ...)
{
	char text[LINE_MAX - 40];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* Something, a row of dots perhaps, may stand on the line already. */
	if (l->st->ConOut && l->st->ConOut->Mode && l->st->ConOut->Mode->CursorColumn)
		screen_write(l, "\n");
	screen_print(l, "Socle cannot start: %s\n", text);
	return status;
}
