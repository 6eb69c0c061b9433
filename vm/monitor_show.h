/* SPDX-License-Identifier: Apache-2.0 */
/* What the monitor's reading commands share. */
#pragma once

#include "vm.h"

struct json;

/* CPU time of all its vCPUs since it started, the hypervisor's work for them included. */
u64 vm_run_ms(const struct vm *vm);
/* And what was billed to it: interrupts for it while others were running. */
u64 vm_used_ms(const struct vm *vm);
/* xl's six letters and the end of the string. */
void vm_state_letters(const struct vm *vm, char letters[8]);
/* Of all its disks and network interfaces, since it started. */
void io_json(struct json *j, const struct vm *vm);
/* What disks and network interfaces have in common in stats -j, within their object. */
void stats_device_json(struct json *j, const struct device_meters *m);
/* Its disks in stats; j NULL: for people. */
void stats_disks(struct json *j, const struct vm *vm);
/* Its network interfaces, likewise. */
void stats_nets(struct json *j, const struct vm *vm);
