/* SPDX-License-Identifier: Apache-2.0 */
/* What the processor admits to have, and what it refuses: CPUID, MSRs, control registers. M24, M67. */
#include "policy.h"

const struct test guest_tests[] = {
    {"cpuid-walk", cpuid_walk_test, 0},
    {"cpuid-sane", cpuid_sane_test, 0},
    {"cpuid-xsave", cpuid_xsave_test, 0},
    {"cpuid-hypervisor", cpuid_hypervisor_test, 0},
    {"cpuid-hidden", cpuid_hidden_test, 0},
    {"msr-walk", msr_walk_test, 0},
    {"msr-deny", msr_deny_test, 0},
    {"msr-reserved", msr_reserved_test, 0},
    {"msr-hold", msr_hold_test, 0},
    {"cr0", cr0_test, 0},
    {"cr3", cr3_test, 0},
    {"cr4", cr4_test, 0},
    {"cr8", cr8_test, 0},
    {"xcr0", xcr0_test, 0},
    {"debug-registers", debug_registers_test, 0},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
