/* SPDX-License-Identifier: Apache-2.0 */
/* Owns text on the framebuffer that the firmware left. Reading a framebuffer is slow, so what is on
 * the screen is kept in cells[]; and it scrolls by half a screen, redrawing only cells that differ:
 * a line then costs little more than drawing its characters. */
#include "fb.h"

#include "escape.h"
#include "font.h"

#define CELL_WIDTH 8
#define CELL_HEIGHT (2 * FONT_ROWS) /* each row of the font twice */
#define MAX_COLUMNS 256
#define MAX_ROWS 160
#define GREY 0xc0u
#define TAB 8u

static struct {
	u32 *pixels; /* NULL: there is no framebuffer */
	u64 ink[4];  /* two dots: neither, right, left, both */
	u32 stride, columns, rows, x, y;
	enum escape escape;
	u32 escape_len; /* bytes of the sequence, up to 3 */
	char cells[MAX_ROWS][MAX_COLUMNS];
} fb;

typedef u64 __attribute__((may_alias, aligned(4))) pixel_pair;

static void draw_row(u32 *pixels, u8 dots)
{
	pixel_pair *at = (pixel_pair *)pixels;

	at[0] = fb.ink[dots >> 6];
	at[1] = fb.ink[dots >> 4 & 3];
	at[2] = fb.ink[dots >> 2 & 3];
	at[3] = fb.ink[dots & 3];
}

static void cell_draw(u32 x, u32 y, char c)
{
	u32 *at = fb.pixels + (u64)y * CELL_HEIGHT * fb.stride + x * CELL_WIDTH;
	const u8 *rows = font_rows[c - FONT_FIRST];

	if (fb.cells[y][x] == c)
		return;
	fb.cells[y][x] = c;
	for (u32 i = 0; i < FONT_ROWS; i++) {
		draw_row(at, rows[i]);
		draw_row(at + fb.stride, rows[i]);
		at += 2 * fb.stride;
	}
}

static void scroll(void)
{
	u32 step = MAX(fb.rows / 2, 1);

	for (u32 y = 0; y < fb.rows; y++)
		for (u32 x = 0; x < fb.columns; x++)
			cell_draw(x, y, y + step < fb.rows ? fb.cells[y + step][x] : ' ');
	fb.y -= step;
}

static void line_feed(void)
{
	if (++fb.y == fb.rows)
		scroll();
}

static void clear(u32 y, u32 from)
{
	for (u32 x = from; x < fb.columns; x++)
		cell_draw(x, y, ' ');
}

/* The control sequences that the monitor uses, without parameters: cursor home, erase to the end of the
 * line, or of the screen (ECMA-48 8.3.21, 8.3.41, 8.3.39). */
static void sequence(char last)
{
	if (last == 'H') {
		fb.x = fb.y = 0;
	} else if (last == 'K' || last == 'J') {
		clear(fb.y, fb.x);
		for (u32 y = fb.y + 1; last == 'J' && y < fb.rows; y++)
			clear(y, 0);
	}
}

/* What belongs to a sequence; its bytes between '[' and the last are parameters. */
static void escape_seen(char c)
{
	if (fb.escape == ESCAPE_LAST && fb.escape_len == 2)
		sequence(c);
	fb.escape_len += fb.escape_len < 3;
	if (fb.escape_len == 2 && c != '[')
		fb.escape_len = 3;
}

static void put(char c)
{
	if (!escape_unfinished(fb.escape))
		fb.escape_len = 0;
	if (escape_step(&fb.escape, c)) {
		escape_seen(c);
		return;
	}
	if (c == '\n') {
		line_feed();
	} else if (c == '\r') {
		fb.x = 0;
	} else if (c == '\b') {
		fb.x -= fb.x > 0;
	} else if (c == '\t') {
		fb.x = MIN(ALIGN_DOWN(fb.x, TAB) + TAB, fb.columns - 1);
	} else if ((u8)c >= ' ' && c != 0x7f) {
		if (fb.x == fb.columns) {
			fb.x = 0;
			line_feed();
		}
		cell_draw(fb.x++, fb.y, (u8)c < 0x7f ? c : '?');
	}
}

void fb_write(const char *buf, size_t n)
{
	if (!fb.pixels)
		return;
	for (size_t i = 0; i < n; i++)
		put(buf[i]);
}

void fb_init(const struct boot_framebuffer *info, void *pixels)
{
	u64 need = (u64)info->stride * info->height * sizeof(u32);

	fb.columns = MIN(info->width / CELL_WIDTH, MAX_COLUMNS);
	fb.rows = MIN(info->height / CELL_HEIGHT, MAX_ROWS);
	if (!fb.columns || !fb.rows || info->stride < info->width || need > info->size ||
	    MAX(info->red_shift, MAX(info->green_shift, info->blue_shift)) > 24)
		return; /* a firmware that contradicts itself gets no text */
	fb.stride = info->stride;
	fb.x = fb.y = 0;
	fb.ink[2] = GREY << info->red_shift | GREY << info->green_shift | GREY << info->blue_shift;
	fb.ink[1] = fb.ink[2] << 32;
	fb.ink[3] = fb.ink[1] | fb.ink[2];
	memset(fb.cells, ' ', sizeof(fb.cells));
	memset(pixels, 0, need);
	fb.pixels = pixels;
}
