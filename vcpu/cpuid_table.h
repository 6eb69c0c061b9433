/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the CPUID policy (private to vcpu/). SDM volume 2A, CPUID. */
#pragma once

#include "lib.h"

#define CPUID_INDEXED 1u    /* ECX selects a subleaf; rows of a leaf follow each other */
#define CPUID_DYNAMIC 2u    /* part of the answer depends on the vCPU's state */
#define CPUID_CALCULATED 4u /* cpuid_calculate() fills it when the guest is made */
#define CPUID_HYPERVISOR 8u /* only where the guest may know */

enum { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

struct cpuid_row {
	u32 leaf, subleaf;
	u32 mask[4]; /* bits of the host's answer that stay */
	u32 set[4];  /* bits added */
	u32 flags;
};

extern const struct cpuid_row cpuid_rows[];
extern const unsigned cpuid_nr_rows;
