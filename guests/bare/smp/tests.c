/* SPDX-License-Identifier: Apache-2.0 */
/* Several processors, as one guest: how they start, what they say of themselves, and what they
 * send each other, in both modes of the local APIC. */
#include "smp.h"

static bool started;

/* Whether all processors are there, in the mode wanted; the second mode restarts them. */
static bool ready(bool x2)
{
	if (x2 && !apic_has_x2()) {
		test_skip("no x2APIC");
		return false;
	}
	if (!started || apic_is_x2() != x2) {
		apic_init(x2);
		started = cpus_start();
	}
	return started;
}

#define IN_BOTH_MODES(name)                                                                                  \
	static void name##_xapic(void)                                                                       \
	{                                                                                                    \
		if (ready(false))                                                                            \
			name();                                                                              \
	}                                                                                                    \
	static void name##_x2apic(void)                                                                      \
	{                                                                                                    \
		if (ready(true))                                                                             \
			name();                                                                              \
	}
IN_BOTH_MODES(start_test)
IN_BOTH_MODES(topology_test)
IN_BOTH_MODES(init_test)
IN_BOTH_MODES(sipi_test)
IN_BOTH_MODES(restart_test)
IN_BOTH_MODES(tsc_test)
IN_BOTH_MODES(destinations_test)
IN_BOTH_MODES(nobody_test)
IN_BOTH_MODES(lowest_test)
IN_BOTH_MODES(nmi_test)
IN_BOTH_MODES(hammer_test)
IN_BOTH_MODES(shoot_test)
IN_BOTH_MODES(locks_test)
IN_BOTH_MODES(holders_test)
IN_BOTH_MODES(emulation_test)
IN_BOTH_MODES(clocks_test)
IN_BOTH_MODES(monotonic_test)
IN_BOTH_MODES(alarms_test)
IN_BOTH_MODES(events_test)
IN_BOTH_MODES(event_target_test)
IN_BOTH_MODES(masked_test)
IN_BOTH_MODES(tokens_test)

#define ROWS(mode)                                                                                           \
	{"start-" #mode, start_test_##mode, 0}, {"topology-" #mode, topology_test_##mode, 0},                \
	    {"init-" #mode, init_test_##mode, 0}, {"sipi-" #mode, sipi_test_##mode, 0},                      \
	    {"restart-" #mode, restart_test_##mode, 0}, {"tsc-" #mode, tsc_test_##mode, 0},                  \
	    {"destinations-" #mode, destinations_test_##mode, 0}, {"nobody-" #mode, nobody_test_##mode, 0},  \
	    {"lowest-" #mode, lowest_test_##mode, 0}, {"nmi-" #mode, nmi_test_##mode, 0},                    \
	    {"hammer-" #mode, hammer_test_##mode, 0}, {"shoot-" #mode, shoot_test_##mode, 0},                \
	    {"locks-" #mode, locks_test_##mode, 0}, {"holders-" #mode, holders_test_##mode, 0},              \
	    {"clocks-" #mode, clocks_test_##mode, 0},                                                        \
	    {"monotonic-" #mode, monotonic_test_##mode, ON_DEMAND},                                          \
	    {"alarms-" #mode, alarms_test_##mode, 0}, {"events-" #mode, events_test_##mode, 0},              \
	    {"event-target-" #mode, event_target_test_##mode, 0}, {"masked-" #mode, masked_test_##mode, 0},  \
	    {"tokens-" #mode, tokens_test_##mode, 0},                                                        \
	{                                                                                                    \
		"emulation-" #mode, emulation_test_##mode, 0                                                 \
	}

const struct test guest_tests[] = {ROWS(xapic), ROWS(x2apic)};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
