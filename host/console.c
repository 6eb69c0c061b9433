/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the operator's console: joins streams, log, serial port and framebuffer under one lock. */
#include "console.h"

#include "fb.h"
#include "host.h"
#include "log.h"
#include "mux.h"
#include "paging.h"
#include "serial.h"
#include "spinlock.h"
#include "x86.h"

#define COM1_IRQ 4
#define VECTOR_COM1 IRQ_VECTOR_FIRST
/* Rounds of one interrupt: the line is edge-triggered, so it has to be left without a cause; but a
 * broken chip must not hold the CPU. */
#define MAX_ROUNDS 64
#define SHORT_OUTPUT 1024 /* bytes: a tenth of a second */

static void out(const char *buf, size_t n);

static struct {
	struct spinlock lock;
	struct mux mux;
	bool by_irq;
	bool unfinished; /* an interrupt was left with a cause: no further edge will come */
	void (*input)(void *opaque, const u8 *buf, size_t n);
	void *input_opaque;
	void *payer; /* of what is being written */
	void (*bill)(void *payer, u64 ticks);
} console = {.mux.out = out};

static void out(const char *buf, size_t n)
{
	serial_write(buf, n, console.payer);
	fb_write(buf, n);
}

/* With the lock, after output and whenever some has left. */
static void settle(void)
{
	if (!serial_is_busy())
		mux_settle(&console.mux);
}

static void log_sink(enum log_level level, const char *line)
{
	(void)level;
	spin_lock(&console.lock);
	mux_line(&console.mux, line);
	settle();
	spin_unlock(&console.lock);
}

void log_console_init(const struct boot_info *bi)
{
	(void)bi; /* the framebuffer is not mapped yet */
	serial_init();
	log_add_sink(log_sink);
}

static void show_again(void *opaque, enum log_level level, const char *line)
{
	(void)opaque;
	if (level > LOG_INFO)
		return;
	fb_write(line, strlen(line));
	fb_write("\r\n", 2);
}

void console_start_screen(const struct boot_framebuffer *fb)
{
	/* UC-: the firmware may have made it write-combining by an MTRR (SDM vol. 3, 11.5.2.2). */
	void *pixels = fb->base ? vmap_device(fb->base, fb->size, PTE_PCD) : NULL;

	if (!pixels)
		return;
	spin_lock(&console.lock);
	fb_init(fb, pixels);
	spin_unlock(&console.lock);
	log_for_each(show_again, NULL);
}

/* ---- input, and the output that waits in the ring ---- */

/* A round is for whom output leaves; what follows from input, its receiver has to account for. */
static size_t service(void)
{
	u64 start = tsc_now();
	void *payer;
	u8 buf[64];
	size_t n;

	spin_lock(&console.lock);
	payer = serial_payer();
	n = serial_service(buf, sizeof(buf));
	settle();
	spin_unlock(&console.lock);
	if (console.bill)
		console.bill(payer, tsc_now() - start);
	if (n && console.input)
		console.input(console.input_opaque, buf, n); /* may write to the console */
	return n;
}

/* True when there was input. */
static bool serve_all(void)
{
	bool any = false;
	for (int i = 0; i < MAX_ROUNDS; i++) {
		size_t n = service();
		any |= n > 0;
		if (!n && !serial_irq_pending()) {
			console.unfinished = false;
			return any;
		}
	}
	console.unfinished = true;
	return any;
}

static void on_irq(void *opaque)
{
	(void)opaque;
	(void)serve_all();
}

bool console_poll(void)
{
	return (!console.by_irq || console.unfinished || serial_has_input()) && serve_all();
}

void console_init_irq(void)
{
	if (!serial_present())
		return;
	irq_register(VECTOR_COM1, on_irq, NULL);
	if (irq_route_isa(COM1_IRQ, VECTOR_COM1)) {
		log_warn("COM1 has no interrupt: it is polled");
		return;
	}
	console.by_irq = true;
	spin_lock(&console.lock);
	serial_start_irq();
	console.mux.lazy = true; /* an interrupt tells when the output has left */
	spin_unlock(&console.lock);
	on_irq(NULL); /* what arrived before made no edge that anyone saw */
}

void console_set_input(void (*fn)(void *opaque, const u8 *buf, size_t n), void *opaque)
{
	console.input = NULL;
	console.input_opaque = opaque;
	__atomic_store_n(&console.input, fn, __ATOMIC_RELEASE);
}

void console_set_bill(void (*fn)(void *payer, u64 ticks))
{
	__atomic_store_n(&console.bill, fn, __ATOMIC_RELEASE);
}

/* ---- streams ---- */

struct console_stream *console_open(const char *name, void *payer)
{
	struct console_stream *s = heap_alloc(sizeof(*s));

	if (s) {
		str_copy(s->name, name, sizeof(s->name));
		s->payer = payer;
	}
	return s;
}

void console_close(struct console_stream *s)
{
	if (!s)
		return;
	spin_lock(&console.lock);
	mux_end(&console.mux, s);
	serial_forget(s->payer);
	settle();
	spin_unlock(&console.lock);
	heap_free(s);
}

void console_write(struct console_stream *s, const char *buf, size_t n)
{
	spin_lock(&console.lock);
	console.payer = s->payer;
	mux_write(&console.mux, s, buf, n);
	console.payer = NULL;
	settle();
	spin_unlock(&console.lock);
}

void console_set_foreground(struct console_stream *s)
{
	spin_lock(&console.lock);
	mux_set_front(&console.mux, s);
	spin_unlock(&console.lock);
}

void console_shorten(void)
{
	spin_lock(&console.lock);
	serial_shorten(SHORT_OUTPUT);
	spin_unlock(&console.lock);
}

void console_flush(void)
{
	spin_lock(&console.lock);
	serial_flush();
	spin_unlock(&console.lock);
}

/* ---- the end ---- */

void console_panic_begin(void)
{
	out("\r\n", 2); /* wherever the cursor was */
}

void console_panic_line(const char *line)
{
	out(line, strlen(line));
	out("\r\n", 2);
	serial_flush();
}
