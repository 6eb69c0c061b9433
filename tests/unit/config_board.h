/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the configuration parser share; one file of a program includes it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config.h"
#include "shim.h"

static struct config_vm c_vms[CONFIG_MAX_VMS];
static struct config c = {.vms = c_vms, .room = CONFIG_MAX_VMS};
static struct config_error e;

static inline int parse_bytes(const char *text, size_t n)
{
	/* An exact heap copy: the parser must not read the byte behind the file. */
	char *copy = calloc(n ? n : 1, 1);
	memcpy(copy, text, n);
	int err = config_parse(&c, copy, n, &e);
	free(copy);
	return err;
}

static inline int parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

#define VM_HEAD "[vm a]\nkernel = k\nmemory = 64M\n"

static inline void accept(const char *text)
{
	int err = parse(text);
	if (err)
		fail_msg("line %u key \"%s\": %s\nin: %s", e.line, e.key, e.text, text);
}

static inline void refuse_bytes(const char *text, size_t n, unsigned line, const char *key, const char *part)
{
	assert_int_equal(parse_bytes(text, n), ERR_INVAL);
	if (e.line != line || strcmp(e.key, key) != 0 || !strstr(e.text, part))
		fail_msg("got line %u key \"%s\" text \"%s\"\nexpected line %u key \"%s\" text with \"%s\"",
			 e.line, e.key, e.text, line, key, part);
}

static inline void refuse(const char *text, unsigned line, const char *key, const char *part)
{
	refuse_bytes(text, strlen(text), line, key, part);
}
