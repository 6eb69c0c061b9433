/* SPDX-License-Identifier: Apache-2.0 */
/* CPUs that look at devices' rings all the time, and run no guest (owner: sched/): who fills a ring that is
 * polled needs no exit to say so. The last CPUs of the machine are taken for it. */
#pragma once

#include "list.h"
#include "types.h"

struct sched_group;
struct sched_cpu;

struct poller {
	struct list node;
	/* On one CPU, over and over, in hypervisor context with interrupts off; what it does is limited, as
	 * others wait. True: it has done something, for which the group pays. It may do all that the fire()
	 * of a timer may, but add and remove pollers. */
	bool (*poll)(void *opaque);
	void *opaque;
	struct sched_group *group;
	struct sched_cpu *cpu; /* NULL: none calls it */
};

/* Before any CPU runs sched_run(): the last `wanted` of the machine's poll, but not the first. How many. */
unsigned sched_poll_cpus(unsigned wanted);
/* CPUs that run guests: those of index 0 to n - 1. */
unsigned sched_guest_cpus(void);

/* Any CPU, any context but NMI and poll(). ERR_NOENT: no CPU polls. The poller is all zero but for its first
 * fields, and stays until poller_remove(). */
int poller_add(struct poller *p);
/* Does nothing where it was not added. poll() does not run any more after it; the caller holds no lock that
 * poll() takes. */
void poller_remove(struct poller *p);
