/* SPDX-License-Identifier: Apache-2.0 */
/* Dates as text. Days are counted in years that begin with March, so that a leap day is a year's last. */
#include "date.h"

#include "lib.h"

#define DAY 86400u
#define DAYS_400_YEARS 146097u
#define DAYS_TO_1970 719468u      /* from 0000-03-01 */
#define LAST_SECOND 253402300799u /* of the year 9999 */

/* From 0000-03-01 to the first of a month, counted from March. */
static u64 days_to(u64 year, unsigned month)
{
	return year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5;
}

static u64 seconds_of(const unsigned *part)
{
	unsigned month = (part[1] + 9) % 12;
	u64 year = part[0] - (part[1] <= 2), days = days_to(year, month) + part[2] - 1 - DAYS_TO_1970;
	return days * DAY + part[3] * 3600u + part[4] * 60u + part[5];
}

void date_format(char text[DATE_MAX], u64 seconds)
{
	seconds = MIN(seconds, (u64)LAST_SECOND);
	u64 days = seconds / DAY + DAYS_TO_1970, rest = seconds % DAY;
	u64 year = days * 400 / DAYS_400_YEARS;
	unsigned month = 11;
	while (days_to(year, 0) > days)
		year--;
	while (days_to(year + 1, 0) <= days)
		year++;
	while (days_to(year, month) > days)
		month--;
	u64 day = days - days_to(year, month) + 1;
	month = month < 10 ? month + 3 : month - 9;
	snprintf(text, DATE_MAX, "%04lu-%02u-%02luT%02lu:%02lu:%02lu", year + (month <= 2), month, day,
		 rest / 3600, rest / 60 % 60, rest % 60);
}

static bool number(const char **text, unsigned digits, unsigned *value)
{
	*value = 0;
	for (; digits; digits--, (*text)++) {
		if (**text < '0' || **text > '9')
			return false;
		*value = *value * 10 + (unsigned)(**text - '0');
	}
	return true;
}

bool date_parse(const char *text, u64 *seconds)
{
	static const char between[] = "--T::";
	static const unsigned least[] = {1970, 1, 1, 0, 0, 0}, most[] = {9999, 12, 31, 23, 59, 59};
	unsigned part[6];
	char back[DATE_MAX];
	const char *at = text;
	for (unsigned i = 0; i < ARRAY_SIZE(part); i++) {
		if (i && *at != between[i - 1] && !(i == 3 && *at == ' '))
			return false;
		at += i != 0;
		if (!number(&at, i ? 2 : 4, &part[i]) || part[i] < least[i] || part[i] > most[i])
			return false;
	}
	*seconds = seconds_of(part);
	/* A day that the month does not have comes back as another one's. */
	date_format(back, *seconds);
	return !*at && memcmp(back, text, 10) == 0;
}
