/* SPDX-License-Identifier: Apache-2.0 */
/* The console's other ends inside host/. */
#pragma once

#include "boot_info.h"
#include "lib.h"

/* Called by paging_init() once device memory can be mapped: starts the framebuffer and shows there
 * what was logged before. */
void console_start_screen(const struct boot_framebuffer *fb);
/* Serves the serial port by hand where its interrupt does not arrive. True when input was handed on:
 * a task may be ready now, or a timer armed. */
bool console_poll(void);
/* panic(): from now on without lock and interrupts, and only this. */
void console_panic_begin(void);
void console_panic_line(const char *line);
