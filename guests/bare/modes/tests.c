/* SPDX-License-Identifier: Apache-2.0 */
/* All modes of the processor: the transitions, and what exits, faults and interrupts look like in each. */
#include "modes.h"

extern u8 low_start[], low_end[], low_load[];

void low_install(void)
{
	memcpy(low_start, low_load, (size_t)(low_end - low_start));
}

const struct test guest_tests[] = {
    {"real-state", real_state_test, 0},
    {"real-segments", real_segments_test, 0},
    {"real-strings", real_strings_test, 0},
    {"real-exits", real_exits_test, 0},
    {"real-interrupts", real_interrupts_test, 0},
    {"real-faults", real_faults_test, 0},
    {"real-halt", real_halt_test, 0},
    {"real-moved-idt", real_moved_idt_test, 0},
    {"real-big", real_big_test, 0},
    {"real-bios", real_bios_test, 0},
    {"real-often", real_often_test, 0},
    {"protected", protected_test, 0},
    {"protected-faults", protected_faults_test, 0},
    {"paging-32", paging32_test, 0},
    {"paging-pae", paging_pae_test, 0},
    {"pdpte", pdpte_test, 0},
    {"compatibility", compat_test, 0},
    {"compatibility-ring3", compat_user_test, 0},
    {"v86", v86_test, 0},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
