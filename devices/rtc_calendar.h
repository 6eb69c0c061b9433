/* SPDX-License-Identifier: Apache-2.0 */
/* Dates in the registers of an MC146818: binary or BCD, 12 or 24 hours, and its alarm. Private to
 * rtc*.c. Times are seconds since the year 0 of the Gregorian calendar; reg[] is the register file,
 * whose register B says in which format the others are. Any register contents give some time. */
#pragma once

#include "types.h"

u64 calendar_from_unix(u64 seconds);
/* weekday_shift is added to the calendar's weekday (0..6). */
void calendar_to_regs(u64 t, unsigned weekday_shift, u8 *reg);
u64 calendar_from_regs(const u8 *reg, u8 *weekday_shift);
/* True for registers that hold the time of day or the date, alarms not included. */
bool calendar_is_time(unsigned index);
/* The first second >= t that the alarm registers match; false: none ever does. */
bool calendar_next_alarm(const u8 *reg, u64 t, u64 *alarm);
