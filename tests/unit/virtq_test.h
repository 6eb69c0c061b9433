/* SPDX-License-Identifier: Apache-2.0 */
/* One virtqueue with its driver over a guest's memory, for cmocka tests. */
#pragma once

#include "virtq_driver.h"

#define QUEUE 0x8000ull /* where the rings begin */
#define DATA 0x20000ull /* buffers */

static struct virtq queue;
static struct driver driver;

static int setup(void **state)
{
	(void)state;
	ram_create();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ram_destroy();
	return (int)shim_pages_in_use;
}
