/* SPDX-License-Identifier: Apache-2.0 */
/* Records a vCPU's exits while the operator wants it: its VMCS then names another exit stub, so that the
 * usual way costs nothing. */
#include "exit.h"
#include "host.h"
#include "vcpu.h"
#include "x86_ops.h"

const char *vcpu_exit_name(unsigned reason)
{
	return reason < VCPU_EXIT_REASONS ? exit_table[reason].name : "unknown";
}

int vcpu_trace_set(struct vcpu *v, bool on)
{
	if (on && !v->trace) {
		struct vcpu_trace *t = heap_alloc(sizeof(*t));
		if (!t)
			return ERR_NOMEM;
		__atomic_store_n(&v->trace, t, __ATOMIC_RELEASE);
	}
	v->tracing = on;
	vcpu_request(v, VCPU_REQ_TRACE);
	return 0;
}

void vcpu_trace_exit(void *slot)
{
	struct vcpu *v = slot;
	struct vcpu_trace *t = v->trace;
	u64 count = t->count;
	t->entry[count % VCPU_TRACE_ENTRIES] = (struct vcpu_trace_entry){
	    .tsc = rdtsc(),
	    .rip = vmread(GUEST_RIP),
	    .qualification = vmread(EXIT_QUALIFICATION),
	    .reason = vmread(EXIT_REASON),
	};
	__atomic_store_n(&t->count, count + 1, __ATOMIC_RELEASE);
}
