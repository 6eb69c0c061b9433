/* SPDX-License-Identifier: Apache-2.0 */
/* Dates of the Gregorian calendar, UTC, as ISO 8601 writes them (lib/date.c). */
#pragma once

#include "types.h"

#define DATE_MAX 64 /* bytes of room for the text; it has 19 */

/* "2026-11-21T15:04:05" of seconds since 1970-01-01 00:00:00; years up to 9999, later ones show as that. */
void date_format(char text[DATE_MAX], u64 seconds);
/* The same back, from 1970 to 9999; a blank may stand for the T. False: it is no date. */
bool date_parse(const char *text, u64 *seconds);
