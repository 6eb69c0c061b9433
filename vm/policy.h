/* SPDX-License-Identifier: Apache-2.0 */
/* What follows the end of a guest (private to vm/). */
#pragma once

#include "vm.h"

/* What the configuration says for this reason, unless the operator wished something else. */
static inline enum on_event policy_after(const struct config_vm *c, enum guest_stop stop, enum vm_wish wish)
{
	if (wish != VM_WISH_NONE)
		return wish == VM_WISH_RESET ? ON_EVENT_RESTART : ON_EVENT_DESTROY;
	switch (stop) {
	case GUEST_RESET:
		return c->on_reboot;
	case GUEST_CRASHED:
		return c->on_crash;
	case GUEST_DESTROYED:
		return ON_EVENT_DESTROY;
	default:
		return c->on_poweroff;
	}
}
