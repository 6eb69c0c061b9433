/* SPDX-License-Identifier: Apache-2.0 */
/* Text output to COM1. */
#pragma once

#include "base.h"

void serial_init(void);
void print_char(char c);
/* Conversions: d u x s c %, flag 0, width, l and ll. */
void print(const char *fmt, ...) PRINTF(1, 2);
void print_va(const char *fmt, va_list ap);
