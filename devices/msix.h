/* SPDX-License-Identifier: Apache-2.0 */
/* MSI-X (message signalled interrupts, extended) of a PCI function: its capability, its table of vectors and
 * the pending bits. Source: PCI Local Bus Specification 3.0, 6.8.2. */
#pragma once

#include "lib.h"
#include "pci.h"
#include "spinlock.h"

#define MSIX_MAX 16
#define MSIX_TABLE_BYTES(vectors) (16u * (vectors))
#define MSIX_PENDING_BYTES 8u

struct msix {
	struct guest *guest;
	struct pci_function *function;
	unsigned capability; /* its offset in configuration space */
	unsigned vectors;
	struct spinlock lock; /* what follows; after the bus's */
	u64 pending;
	struct msix_entry {
		u32 word[4]; /* address, upper address, data, vector control */
	} entry[MSIX_MAX];
};

/* Before pci_add(). vectors: 1 to MSIX_MAX; the table and the pending bits are at those offsets, multiples of
 * 8, of the same BAR. ERR_NOMEM: no room for the capability. */
int msix_init(struct msix *m, struct guest *g, struct pci_function *f, unsigned vectors, unsigned bar,
	      u32 table, u32 pending);
void msix_reset(struct msix *m);
/* Whether the guest has turned it on: then the function asserts no pin. */
bool msix_is_on(const struct msix *m);
/* Sends the vector's message, or remembers that it is pending while it is masked or the function may not
 * master the bus. Vectors that there are not: nothing. Any CPU. */
void msix_fire(struct msix *m, unsigned vector);
/* After the guest wrote the capability or the command register. */
void msix_written(struct msix *m);

/* The table and the pending bits; aligned accesses of 4 and 8 bytes, others read 0 and write nothing. */
u64 msix_table_read(struct msix *m, u64 offset, unsigned size);
void msix_table_write(struct msix *m, u64 offset, unsigned size, u64 value);
u64 msix_pending_read(struct msix *m, u64 offset, unsigned size);
