/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's devices behind Socle rings (owner: devices/): what the calls of include/socle/ring.h come to.
 * Numbers and addresses are the guest's, unchecked. Any vCPU of the guest, several at once. */
#pragma once

#include "socle/ring.h"
#include "types.h"

struct pc;
struct pv_bus;
struct pv_bus *pc_pv(struct pc *pc);

/* ERR_NOENT. */
int pv_query(const struct pv_bus *bus, u64 device, struct socle_device *out);
/* event: given to pc_config.event; 0: none. ERR_NOENT; ERR_EXIST: it is open; ERR_INVAL, ERR_FAULT: see
 * pv_ring_init(); ERR_AGAIN: too many pages pinned. */
int pv_open(struct pv_bus *bus, u64 device, u64 ring, gpa_t base, u64 size, u32 event);
/* ERR_NOENT; ERR_AGAIN: not yet. */
int pv_close(struct pv_bus *bus, u64 device, u64 ring);
/* ERR_NOENT. */
int pv_doorbell(struct pv_bus *bus, u64 device, u64 ring);
