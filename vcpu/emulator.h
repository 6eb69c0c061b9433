/* SPDX-License-Identifier: Apache-2.0 */
/* What one vCPU keeps between emulated instructions (private to emulation.c and fastlane.c). */
#pragma once

#include "emulate.h"
#include "gwalk.h"

/* What the decoder's cache compares; no instruction is longer than 15 bytes. */
#define FETCH_BYTES 16

struct emulator {
	struct emulate_ctx ctx;
	struct insn_cache cache;
	struct gwalk_cache walks;
	struct gwalk_in paging;
	bool paging_valid; /* paging was read from the VMCS in this exit */
};
