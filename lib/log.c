/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the log: a ring of finished lines in memory, and the sinks that get each line as it comes.
 * Lock order: a sink may take the console's lock; nobody may log while holding that one. */
#include "log.h"

#include "spinlock.h"

#define RING_SIZE 65536u /* power of two */
#define MAX_SINKS 4

/* A record is this header and the text, wrapped around the end of the ring byte by byte. */
struct record {
	u16 length;
	u8 level;
};

static struct {
	struct spinlock lock;
	u64 head, tail; /* bytes ever written, bytes ever dropped */
	u64 (*clock_ns)(void);
	log_sink_fn sinks[MAX_SINKS];
	unsigned nr_sinks;
	char ring[RING_SIZE];
} log;
static enum log_level max_level = LOG_INFO;

static void ring_put(u64 pos, const void *src, size_t n)
{
	const char *s = src;

	for (size_t i = 0; i < n; i++)
		log.ring[(pos + i) % RING_SIZE] = s[i];
}

static void ring_get(u64 pos, void *dst, size_t n)
{
	char *d = dst;

	for (size_t i = 0; i < n; i++)
		d[i] = log.ring[(pos + i) % RING_SIZE];
}

static void ring_append(enum log_level level, const char *line, size_t n)
{
	struct record r = {.length = (u16)n, .level = (u8)level}, old;

	while (log.head + sizeof(r) + n - log.tail > RING_SIZE) {
		ring_get(log.tail, &old, sizeof(old));
		log.tail += sizeof(old) + old.length;
	}
	ring_put(log.head, &r, sizeof(r));
	ring_put(log.head + sizeof(r), line, n);
	log.head += sizeof(r) + n;
}

static size_t format_stamp(char *buf, size_t size, enum log_level level)
{
	static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
	u64 us = log.clock_ns ? log.clock_ns() / 1000 : 0;

	return (size_t)snprintf(buf, size, "[socle %4lu.%06lu] %s", us / 1000000, us % 1000000, names[level]);
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	size_t n = format_stamp(line, sizeof(line), level);
	va_list ap;

	va_start(ap, fmt);
	n += (size_t)vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	n = MIN(n, sizeof(line) - 1);
	for (size_t i = 0; i < n; i++) /* one line, whatever a name from a guest or a file contains */
		if ((u8)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	spin_lock(&log.lock);
	ring_append(level, line, n);
	if (level <= max_level)
		for (unsigned i = 0; i < log.nr_sinks; i++)
			log.sinks[i](level, line);
	spin_unlock(&log.lock);
}

void log_set_level(enum log_level level)
{
	max_level = level;
}

void log_set_clock(u64 (*ns)(void))
{
	log.clock_ns = ns;
}

int log_add_sink(log_sink_fn fn)
{
	int err = ERR_NOMEM;

	spin_lock(&log.lock);
	if (log.nr_sinks < MAX_SINKS) {
		log.sinks[log.nr_sinks++] = fn;
		err = 0;
	}
	spin_unlock(&log.lock);
	return err;
}

/* Copies the record at *pos, or the oldest one when that was overwritten meanwhile. */
static bool ring_next(u64 *pos, u64 end, struct record *r, char line[LOG_LINE_MAX])
{
	bool found = false;

	spin_lock(&log.lock);
	*pos = MAX(*pos, log.tail);
	if (*pos < end) {
		ring_get(*pos, r, sizeof(*r));
		ring_get(*pos + sizeof(*r), line, r->length);
		line[r->length] = '\0';
		*pos += sizeof(*r) + r->length;
		found = true;
	}
	spin_unlock(&log.lock);
	return found;
}

void log_for_each(void (*fn)(void *opaque, enum log_level level, const char *line), void *opaque)
{
	u64 pos = 0, end = __atomic_load_n(&log.head, __ATOMIC_ACQUIRE);
	char line[LOG_LINE_MAX];
	struct record r;

	/* fn runs without the lock, so it may log; lines logged meanwhile are not shown. */
	while (ring_next(&pos, end, &r, line))
		fn(opaque, r.level, line);
}
