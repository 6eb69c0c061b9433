/* SPDX-License-Identifier: Apache-2.0 */
/* A piece of host memory: what queues, disks and networks hand to each other instead of bytes. */
#pragma once

#include "types.h"

/* Any alignment, validated and pinned by who hands it on. A guest may change it meanwhile: its bytes are
 * data, never decided upon. */
struct piece {
	u8 *base;
	u32 length; /* bytes, at least 1 */
};
