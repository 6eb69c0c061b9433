/* SPDX-License-Identifier: Apache-2.0 */
/* Owns JSON's commas, quotes and escapes. */
#include "json.h"

static void put(struct json *j, const char *s)
{
	j->out(s, strlen(s));
}

static void quoted(struct json *j, const char *s)
{
	char code[8];
	put(j, "\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\') {
			put(j, "\\");
			j->out(s, 1);
		} else if ((u8)*s < ' ' || *s == 0x7f) {
			snprintf(code, sizeof(code), "\\u%04x", (unsigned)(u8)*s);
			put(j, code);
		} else {
			j->out(s, 1);
		}
	}
	put(j, "\"");
}

static void begin(struct json *j, const char *key)
{
	if (j->more)
		put(j, ",");
	j->more = true;
	if (key) {
		quoted(j, key);
		put(j, ":");
	}
}

void json_open(struct json *j, const char *key, char open)
{
	begin(j, key);
	j->out(&open, 1);
	j->more = false;
}

void json_close(struct json *j, char close)
{
	j->out(&close, 1);
	j->more = true;
}

void json_string(struct json *j, const char *key, const char *value)
{
	begin(j, key);
	quoted(j, value);
}

void json_number(struct json *j, const char *key, u64 value)
{
	char digits[24];
	begin(j, key);
	snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
	put(j, digits);
}

void json_thousandths(struct json *j, const char *key, u64 value)
{
	char digits[32];
	begin(j, key);
	snprintf(digits, sizeof(digits), "%llu.%03llu", (unsigned long long)value / 1000,
		 (unsigned long long)value % 1000);
	put(j, digits);
}
