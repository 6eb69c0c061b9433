/* SPDX-License-Identifier: Apache-2.0 */
/* PAUSE-loop exiting: a vCPU has spun in its kernel for longer than a lock is held (SDM volume 3, 25.6.13; at
 * CPL 0 only), so the one that it waits for may be waiting for a CPU. Which one that is nobody tells; but it
 * is not one that computes for a user, and hardly one that spins itself. The spinner gives its place to the
 * next of the others, in turn. */
#include "exit.h"
#include "vcpu.h"

/* Whether another, that waits for a CPU, may be the one waited for. */
static bool may_help(struct vcpu *v)
{
	if (__atomic_load_n(&v->attention, __ATOMIC_RELAXED) & VCPU_REQUESTS)
		return true; /* an interrupt: perhaps its answer is waited for */
	if (__atomic_load_n(&v->left_user, __ATOMIC_RELAXED))
		return false;
	if (!__atomic_load_n(&v->spins, __ATOMIC_RELAXED))
		return true;
	/* What it has waited for may have come: every second time it is as good as others. */
	bool passed = __atomic_load_n(&v->passed, __ATOMIC_RELAXED);
	__atomic_store_n(&v->passed, !passed, __ATOMIC_RELAXED);
	return passed;
}

static void help_another(struct vcpu *v)
{
	struct guest *g = v->guest;
	unsigned i = __atomic_load_n(&g->last_helped, __ATOMIC_RELAXED);
	for (unsigned n = 0; n < g->nr_vcpus; n++) {
		i = i + 1 < g->nr_vcpus ? i + 1 : 0;
		struct vcpu *other = g->vcpus[i];
		if (other != v && may_help(other) && task_give_place(&other->task)) {
			__atomic_store_n(&g->last_helped, i, __ATOMIC_RELAXED);
			return;
		}
	}
}

void exit_pause(struct vcpu *v)
{
	vcpu_skip();
	__atomic_store_n(&v->passed, false, __ATOMIC_RELAXED);
	__atomic_store_n(&v->spins, true, __ATOMIC_RELAXED);
	help_another(v);
	vcpu_yield(v);
	__atomic_store_n(&v->spins, false, __ATOMIC_RELAXED);
}
