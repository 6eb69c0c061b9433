/* SPDX-License-Identifier: Apache-2.0 */
/* vcpu.c and guest.c between themselves. */
#pragma once

struct guest;

void guest_free_vcpus(struct guest *g);
