/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of socle.conf that say who runs when: numbers within a range, and lists of CPUs. */
#include "config_internal.h"

#define CPUS 64 /* a pin list is a mask of 64 bits */

bool span_number(struct span *v, u64 *number)
{
	size_t n = 0;
	*number = 0;
	while (n < v->n && v->s[n] >= '0' && v->s[n] <= '9') {
		if (*number > (UINT64_MAX - 9) / 10)
			return false;
		*number = *number * 10 + (u64)(v->s[n++] - '0');
	}
	span_take(v, n);
	return n > 0;
}

int config_set_range(struct config_parser *p, const struct config_key *key, struct span value, void *field)
{
	const struct config_range *range = key->arg;
	u64 number;
	struct span rest = value;
	if (!span_number(&rest, &number) || rest.n || number < range->least || number > range->most)
		return config_fail_value(p, key, value);
	*(unsigned *)field = (unsigned)number;
	return 0;
}

/* "2" or "0-1", cut off the list. */
static bool take_cpus(struct span *list, u64 *first, u64 *last)
{
	*list = span_trim(*list);
	if (!span_number(list, first))
		return false;
	*last = *first;
	*list = span_trim(*list);
	if (list->n && list->s[0] == '-') {
		span_take(list, 1);
		*list = span_trim(*list);
		if (!span_number(list, last))
			return false;
		*list = span_trim(*list);
	}
	return *first <= *last && *last < CPUS;
}

/* As xl's cpus=: "all", or single CPUs and ranges with commas between. */
int config_set_cpus(struct config_parser *p, const struct config_key *key, struct span value, void *field)
{
	struct span list = value;
	u64 mask = 0, first, last;
	bool more = true;
	if (span_equal_nocase(value, "all")) {
		*(u64 *)field = ~(u64)0;
		return 0;
	}
	while (more) {
		if (!take_cpus(&list, &first, &last))
			return config_fail_value(p, key, value);
		for (u64 cpu = first; cpu <= last; cpu++)
			mask |= BIT(cpu);
		more = list.n && list.s[0] == ',';
		if (more)
			span_take(&list, 1);
	}
	if (list.n)
		return config_fail_value(p, key, value);
	*(u64 *)field = mask;
	return 0;
}
