/* SPDX-License-Identifier: Apache-2.0 */
/* A failed expectation of a fake or a driver of tests: abort() is a failure for cmocka and for libFuzzer. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#define MUST(cond)                                                                                           \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                           \
			abort();                                                                             \
		}                                                                                            \
	} while (0)
