/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the command line that are lists (test_option() of test.h). */
#pragma once

#include "base.h"

/* The number after a list's comma, of which *list then stands behind; 0: there is none. */
u32 option_element(const char **list);
/* The first number of key=, or what it is without it. */
u32 option_number(const char *key, u32 otherwise);
/* Whether the word begins somewhere in what key= says. */
bool option_has(const char *key, const char *word);
