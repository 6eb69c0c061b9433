/* SPDX-License-Identifier: Apache-2.0 */
/* The console's typeface. */
#pragma once

#include "types.h"

#define FONT_FIRST ' '
#define FONT_LAST '~'
#define FONT_ROWS 8

extern const u8 font_rows[FONT_LAST - FONT_FIRST + 1][FONT_ROWS];
