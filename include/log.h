/* SPDX-License-Identifier: Apache-2.0 */
/* The log (owner: lib/): levels, a ring in memory, and sinks that host/ registers. Also the two
 * ways for the hypervisor itself to die. Never called on the exit path except to report a guest's
 * end or a condition that is logged once. */
#pragma once

#include "lib.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* One line without its newline. A time stamp and the level's name are put before it; what is longer
 * than LOG_LINE_MAX - 1 bytes in all is cut. Any CPU, but neither NMI nor panic(). */
#define LOG_LINE_MAX 240
void log_msg(enum log_level level, const char *fmt, ...) PRINTF(2, 3);
#define log_error(...) log_msg(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_msg(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_msg(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_DEBUG, __VA_ARGS__)

/* Lines above this level are kept in the ring but not sent to the sinks. */
void log_set_level(enum log_level level);

/* Nanoseconds since the machine was started, for the time stamps; 0 until this is called. */
void log_set_clock(u64 (*ns)(void));

/* At most 4 sinks. A sink gets one finished line without newline. */
typedef void (*log_sink_fn)(enum log_level level, const char *line);
int log_add_sink(log_sink_fn fn);

/* Reads the ring, oldest first: calls fn for each line kept. */
void log_for_each(void (*fn)(void *opaque, enum log_level level, const char *line), void *opaque);

/* The hypervisor itself is broken: report with registers and backtrace, stop every CPU. Nothing
 * that a guest does may get here. */
__attribute__((noreturn)) void panic(const char *fmt, ...) PRINTF(1, 2);
#define ASSERT(cond)                                                                                         \
	do {                                                                                                 \
		if (unlikely(!(cond)))                                                                       \
			panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #cond);                     \
	} while (0)
