/* SPDX-License-Identifier: Apache-2.0 */
/* As what a guest finds one of its network interfaces (owner: devices/): model= in netN of socle.conf. */
#pragma once

enum net_model {
	NET_SPLIT,  /* virtio, split virtqueues */
	NET_PACKED, /* virtio, packed virtqueues offered too */
	NET_E1000,  /* Intel 82540EM */
	NET_SOCLE,  /* behind Socle rings: not on the PCI bus */
	NET_MODELS
};
