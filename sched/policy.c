/* SPDX-License-Identifier: Apache-2.0 */
/* Which policy it is. */
#include "internal.h"

static const struct sched_policy *const policies[] = {&sched_bvt, &sched_credit, &sched_rr};
const struct sched_policy *policy = &sched_bvt;

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
