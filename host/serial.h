/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's first serial port. The caller holds the console's lock. */
#pragma once

#include "lib.h"

void serial_init(void);
bool serial_present(void);
/* Before serial_start_irq() returns when the bytes are in the transmitter; after it, when they are
 * in the ring that interrupts empty. Waits only while that ring is full. The payer is whose bytes they are.
 */
void serial_write(const char *buf, size_t n, void *payer);
/* Whose the next byte is that leaves; of none, whose the last one was. NULL: nobody's. */
void *serial_payer(void);
/* Who is no more does not pay. */
void serial_forget(const void *payer);
void serial_start_irq(void);
/* Output waits in the ring: interrupts will empty it. */
bool serial_is_busy(void);
/* Moves bytes both ways, as far as the chip is ready. Returns how many were received into buf. */
size_t serial_service(u8 *buf, size_t size);
/* True when input was read that serial_service() has not handed over. */
bool serial_has_input(void);
/* True when an interrupt is still to be served. */
bool serial_irq_pending(void);
/* Of the output that waits, keeps the last lines, at most so many bytes. */
void serial_shorten(u32 keep);
/* Waits until the last bit has left, or the port does not move any more. */
void serial_flush(void);
