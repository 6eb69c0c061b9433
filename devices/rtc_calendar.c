/* SPDX-License-Identifier: Apache-2.0 */
/* Dates in the registers of an MC146818; see rtc_calendar.h. */
#include "rtc_calendar.h"

#include "lib.h"
#include "rtc.h"

#define REG_SECOND 0
#define REG_SECOND_ALARM 1
#define REG_MINUTE 2
#define REG_MINUTE_ALARM 3
#define REG_HOUR 4
#define REG_HOUR_ALARM 5
#define REG_WEEKDAY 6
#define REG_DAY 7
#define REG_MONTH 8
#define REG_YEAR 9
#define REG_B 0x0b
#define B_BINARY 0x04
#define B_24H 0x02
#define HOUR_PM 0x80
#define ALARM_ANY 0xc0 /* both bits set: the field does not matter */

#define DAY 86400U
#define DAYS_TO_1970 719528U
#define DAYS_400_YEARS 146097U

static const u16 days_before_month[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};

static bool year_is_leap(u64 year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static u64 days_before_year(u64 year)
{
	return year * 365 + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
}

u64 calendar_from_unix(u64 seconds)
{
	return seconds + (u64)DAYS_TO_1970 * DAY;
}

static u8 field_encode(u64 v, const u8 *reg)
{
	return (u8)(reg[REG_B] & B_BINARY ? v : v / 10 % 10 << 4 | v % 10);
}

static unsigned field_decode(u8 v, const u8 *reg)
{
	return reg[REG_B] & B_BINARY ? v : (v >> 4) * 10U + (v & 15U);
}

static u8 hour_encode(unsigned hour, const u8 *reg)
{
	if (reg[REG_B] & B_24H)
		return field_encode(hour, reg);
	return (u8)(field_encode((hour + 11) % 12 + 1, reg) | (hour >= 12 ? HOUR_PM : 0));
}

static unsigned hour_decode(u8 v, const u8 *reg)
{
	if (reg[REG_B] & B_24H)
		return field_decode(v, reg);
	return field_decode(v & (u8)~HOUR_PM, reg) % 12 + (v & HOUR_PM ? 12 : 0);
}

/* 1 = Sunday. Day 0, Saturday the first of January of the year 0, gives 7. */
static unsigned weekday(u64 day, unsigned shift)
{
	return (unsigned)((day + 6 + shift) % 7 + 1);
}

void calendar_to_regs(u64 t, unsigned weekday_shift, u8 *reg)
{
	unsigned clock = (unsigned)(t % DAY), month = 1, leap;
	u64 day = t / DAY, year = day * 400 / DAYS_400_YEARS;

	reg[REG_SECOND] = field_encode(clock % 60, reg);
	reg[REG_MINUTE] = field_encode(clock / 60 % 60, reg);
	reg[REG_HOUR] = hour_encode(clock / 3600, reg);
	reg[REG_WEEKDAY] = field_encode(weekday(day, weekday_shift), reg);
	/* The estimate is right or one year off. */
	if (days_before_year(year) > day)
		year--;
	else if (days_before_year(year + 1) <= day)
		year++;
	day -= days_before_year(year);
	leap = year_is_leap(year);
	while (month < 12 && day >= days_before_month[month] + (month >= 2 ? leap : 0U))
		month++;
	day -= days_before_month[month - 1] + (month > 2 ? leap : 0U);
	reg[REG_DAY] = field_encode(day + 1, reg);
	reg[REG_MONTH] = field_encode(month, reg);
	reg[REG_YEAR] = field_encode(year % 100, reg);
	reg[RTC_CENTURY] = field_encode(year / 100, reg);
}

u64 calendar_from_regs(const u8 *reg, u8 *weekday_shift)
{
	u64 year = field_decode(reg[RTC_CENTURY], reg) * 100U + field_decode(reg[REG_YEAR], reg);
	unsigned month = field_decode(reg[REG_MONTH], reg), day_of_month = field_decode(reg[REG_DAY], reg);
	u64 day;

	month = MIN(MAX(month, 1U), 12U);
	day = days_before_year(year) + days_before_month[month - 1] + MAX(day_of_month, 1U) - 1;
	if (month > 2 && year_is_leap(year))
		day++;
	*weekday_shift = (u8)((field_decode(reg[REG_WEEKDAY], reg) + 7 - weekday(day, 0)) % 7);
	return day * DAY + hour_decode(reg[REG_HOUR], reg) * 3600U +
	       field_decode(reg[REG_MINUTE], reg) * 60U + field_decode(reg[REG_SECOND], reg);
}

bool calendar_is_time(unsigned index)
{
	switch (index) {
	case REG_SECOND:
	case REG_MINUTE:
	case REG_HOUR:
	case REG_WEEKDAY:
	case REG_DAY:
	case REG_MONTH:
	case REG_YEAR:
	case RTC_CENTURY:
		return true;
	default:
		return false;
	}
}

/* Moves t forward to where its field (unit seconds long, wrapping after span units) has the value
 * wanted; true when it stands there already. */
static bool alarm_advance(u64 *t, unsigned unit, unsigned span, unsigned wanted)
{
	unsigned value = (unsigned)(*t / unit % span);

	if (value == wanted)
		return true;
	*t += (u64)((wanted + span - value) % span) * unit - *t % unit;
	return false;
}

bool calendar_next_alarm(const u8 *reg, u64 t, u64 *alarm)
{
	bool any_hour = reg[REG_HOUR_ALARM] >= ALARM_ANY, any_minute = reg[REG_MINUTE_ALARM] >= ALARM_ANY;
	bool any_second = reg[REG_SECOND_ALARM] >= ALARM_ANY;
	unsigned hour = hour_decode(reg[REG_HOUR_ALARM], reg);
	unsigned minute = field_decode(reg[REG_MINUTE_ALARM], reg);
	unsigned second = field_decode(reg[REG_SECOND_ALARM], reg);

	if ((!any_hour && hour > 23) || (!any_minute && minute > 59) || (!any_second && second > 59))
		return false;
	/* Each step fixes the first field that is wrong; a carry may spoil one before it, once. */
	for (unsigned steps = 0; steps < 8; steps++) {
		if (!any_hour && !alarm_advance(&t, 3600, 24, hour))
			continue;
		if (!any_minute && !alarm_advance(&t, 60, 60, minute))
			continue;
		if (!any_second && !alarm_advance(&t, 1, 60, second))
			continue;
		*alarm = t;
		return true;
	}
	return false;
}
