/* SPDX-License-Identifier: Apache-2.0 */
/* Which policy it is. */
#include "internal.h"

static const struct sched_policy *const policies[] = {&sched_bvt, &sched_credit, &sched_rr};
const struct sched_policy *policy = &sched_bvt;
struct sched_constants sched_const;

#define LEAD_NS 5000000u
#define FRAME_NS 50000000u
#define CAP_PERIOD_NS 40000000u

void sched_constants_init(void)
{
	sched_const = (struct sched_constants){
	    .ms = ns_to_tsc(1000000),
	    .lead = ns_to_tsc(LEAD_NS),
	    .lead_vt = ns_to_tsc(LEAD_NS) * VT_PER_TICK,
	    .frame_vt = ns_to_tsc(FRAME_NS) * VT_PER_TICK,
	    .cap_period = ns_to_tsc(CAP_PERIOD_NS),
	};
}

int sched_select(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(policies); i++)
		if (!strcmp(policies[i]->name, name)) {
			policy = policies[i];
			return 0;
		}
	return ERR_INVAL;
}

const char *sched_policy_name(void)
{
	return policy->name;
}
