/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the conversion between clocks and the meaning of the CMOS clock's registers. */
#include "clock.h"

#define STATUS_B_BINARY 0x04u
#define STATUS_B_24H 0x02u
#define HOUR_PM 0x80u

struct clock_scale clock_scale_make(u64 from, u64 to)
{
	struct clock_scale s = {.shift = 63};

	/* mul_div saturates where the factor is too big. */
	while (s.shift && mul_div(to, BIT(s.shift), from) == UINT64_MAX)
		s.shift--;
	s.factor = mul_div(to, BIT(s.shift), from);
	return s;
}

static unsigned number(u8 v, u8 status_b)
{
	return status_b & STATUS_B_BINARY ? v : (unsigned)(v >> 4) * 10 + (v & 15);
}

/* Days from 1970-01-01, counted in years that begin in March so that the leap day is the last. */
static u64 days_since_1970(unsigned year, unsigned month, unsigned day)
{
	unsigned y = month <= 2 ? year - 1 : year;
	unsigned m = month <= 2 ? month + 9 : month - 3; /* March is 0 */

	return (u64)365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

u64 cmos_to_seconds(const struct cmos_time *t)
{
	u8 b = t->status_b;
	unsigned hour = number(b & STATUS_B_24H ? t->hour : (u8)(t->hour & ~HOUR_PM), b);
	unsigned minute = number(t->minute, b), second = number(t->second, b);
	unsigned month = number(t->month, b), day = number(t->day, b), year = number(t->year, b);

	if (!(b & STATUS_B_24H))
		hour = hour % 12 + (t->hour & HOUR_PM ? 12 : 0);
	year += t->century ? number(t->century, b) * 100 : year < 70 ? 2000 : 1900;
	if (hour > 23 || minute > 59 || second > 60 || month < 1 || month > 12 || day < 1 || day > 31 ||
	    year < 1970)
		return 0;
	return days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}
