/* SPDX-License-Identifier: Apache-2.0 */
/* Writes JSON (RFC 8259) on one line, piece by piece. */
#pragma once

#include "lib.h"

struct json {
	void (*out)(const char *buf, size_t n);
	bool more; /* something stands before, at this level */
};

/* key NULL: in an array, or at the top. open is '{' or '[', close what fits it. */
void json_open(struct json *j, const char *key, char open);
void json_close(struct json *j, char close);
void json_string(struct json *j, const char *key, const char *value);
void json_number(struct json *j, const char *key, u64 value);
/* value / 1000, with three digits behind the point. */
void json_thousandths(struct json *j, const char *key, u64 value);
