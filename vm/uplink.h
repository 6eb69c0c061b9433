/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's network card as a port of one bridge (private to vm/). */
#pragma once

#include "bridge.h"

/* Joins the bridge, which stays from then on. Once. False, with the reason logged: the bridge has no way out.
 */
bool uplink_join(struct bridge *b);
/* Bytes that it takes. */
u64 uplink_usage(void);
