/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's check, between its files (private to vm/). */
#pragma once

#include "vm.h"

/* Within a look: something does not hold, of a VM or of the machine (vm NULL). */
void check_found(const struct vm *vm, const char *what, u64 a, u64 b);
/* Takes a look, and again as long as it finds something: what is on its way on another CPU arrives. What the
 * last look has found is said. */
void check_settled(void (*look)(void));

void check_queues(void); /* check_queues.c: a look at run queues, tasks, groups, timers */
void check_clocks(void); /* check_clocks.c: a look at whose time it was, TSCs, virtual time, wall clocks */
/* After the looks: what there is now is what the next check compares with. */
void check_clocks_note(void);
/* All time since the CPUs began to count, and whose it was. */
void check_clocks_show(void);
