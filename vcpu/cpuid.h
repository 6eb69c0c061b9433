/* SPDX-License-Identifier: Apache-2.0 */
/* What CPUID tells a guest (private to vcpu/). */
#pragma once

#include "vcpu.h"

struct cpuid_policy *cpuid_create(const struct guest_config *config, const struct vmx_caps *caps);
void cpuid_destroy(struct cpuid_policy *p);
/* The CR4 bits that exist on this guest's processor. */
u64 cpuid_cr4_allowed(const struct cpuid_policy *p);
/* The EFER bits that exist. */
u64 cpuid_efer_allowed(const struct cpuid_policy *p);
unsigned cpuid_phys_bits(const struct cpuid_policy *p);
