/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor on the operator's console (private to vm/): a prompt behind the escape key. What is typed
 * comes in an interrupt handler and waits; commands run as work on the boot CPU's scheduler stack. */
#pragma once

#include "vm.h"
#include "words.h"

void monitor_init(void);
/* The prompt comes to the foreground. */
void monitor_open(void);
/* Another console took the foreground. */
void monitor_left(void);
bool monitor_is_open(void);
/* Bytes typed while it is open; from the interrupt handler of the boot CPU. */
void monitor_input(const u8 *buf, size_t n);
/* Something that a command may be waiting for has happened. */
void monitor_wake(void);

/* ---- for the commands ---- */
void monitor_write(const char *buf, size_t n);
void monitor_print(const char *fmt, ...) PRINTF(1, 2);
/* One line: the command's name, what was wrong, what was expected. */
void monitor_error(const struct call *c, const char *fmt, ...) PRINTF(2, 3);
/* No further command until waiting(arg) is false; Ctrl-C ends the wait. */
void monitor_wait(bool (*waiting)(u64 arg), u64 arg);
/* A command that waits for keys: the next one, -1: none has come. */
int monitor_key(void);
/* The next lines go to line(), until it returns false; NULL: it was interrupted. */
void monitor_read_lines(const char *prompt, bool (*line)(const char *text));
void monitor_close(void);

/* ---- monitor_table.c ---- */
extern const struct command monitor_commands[];
extern const unsigned monitor_nr_commands;
void command_help(struct call *c);
/* Calls fn for each word that could stand at this place. */
void monitor_candidates(enum word_kind kind, void (*fn)(void *opaque, const char *word), void *opaque);
/* Such a fn, which prints the first few after each other; opaque: an unsigned that counts all, from 0. */
void monitor_show_candidate(void *opaque, const char *word);
/* Completes the word that ends at text's end: puts what is to be added into add. Otherwise, where there
 * are several, shows them; true when it has printed something. */
bool monitor_complete(const char *text, char *add, size_t size);

/* ---- the commands, by file ---- */
void command_create(struct call *c); /* monitor_life.c */
void command_destroy(struct call *c);
void command_pause(struct call *c);
void command_unpause(struct call *c);
void command_reset(struct call *c);
void command_shutdown(struct call *c);
void command_console(struct call *c);
void command_quit(struct call *c);
void command_list(struct call *c); /* monitor_show.c */
void command_info(struct call *c);
void command_vcpu_list(struct call *c);
void command_stats(struct call *c);
void command_dmesg(struct call *c); /* monitor_debug.c */
void command_trace(struct call *c);
void command_debug_dump(struct call *c);
void command_sched(struct call *c); /* monitor_sched.c */
void command_vcpu_pin(struct call *c);
void command_tenant(struct call *c); /* monitor_tenant.c */
void command_date(struct call *c);   /* monitor_date.c */
void command_top(struct call *c);    /* monitor_top.c */
void command_check(struct call *c);  /* monitor_check.c */
