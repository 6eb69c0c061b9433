/* SPDX-License-Identifier: Apache-2.0 */
/* For unit tests, which set the time as they like: shim.c's, or their own. */
#pragma once

#include "types.h"

u64 tsc_now(void);
