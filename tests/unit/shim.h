/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-ins for host/ and lib/log.c in unit tests. A test that needs another behaviour defines the
 * function itself; those here are weak. */
#pragma once

#include "poll.h"
#include "types.h"

extern u64 shim_tsc;            /* tsc_now() */
extern unsigned shim_log_lines; /* lines logged so far */
extern char shim_last_log[512];
extern int shim_quiet;         /* 1: do not print log lines */
extern long shim_pages_in_use; /* page_alloc() minus page_free(), 4 KiB units */
extern unsigned shim_polls;    /* calls of cpu_poll_interrupts() */
extern long shim_fail_after;   /* >= 0: page_alloc() fails after that many calls */
/* What poller_add() was given last, until it is removed; there is no CPU for it unless shim_polling. */
extern struct poller *shim_poller;
extern int shim_polling;
