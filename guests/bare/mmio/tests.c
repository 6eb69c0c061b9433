/* SPDX-License-Identifier: Apache-2.0 */
/* Memory-mapped and port I/O by every form of instruction, against the memory and the latch of pc-testdev. */
#include "mmio.h"

const struct test guest_tests[] = {
    {"forms64", forms64_test, 0},
    {"forms32", forms32_test, 0},
    {"forms16", forms16_test, 0},
    {"absolute", absolute_test, 0},
    {"rip-relative", rip_relative_test, 0},
    {"code-crossing", code_crossing_test, 0},
    {"mapped-crossing", mapped_crossing_test, 0},
    {"long-string", long_string_test, 0},
    {"fault-inside-string", fault_inside_string_test, 0},
    {"port-sizes", port_sizes_test, 0},
    {"port-strings", port_strings_test, 0},
    {"port-string-faults", port_string_faults_test, 0},
    {"port-string-forms", port_string_forms_test, 0},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
