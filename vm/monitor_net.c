/* SPDX-License-Identifier: Apache-2.0 */
/* What the monitor says of the network interfaces of a VM. */
#include "json.h"
#include "monitor.h"
#include "monitor_show.h"

static void nic_json(struct json *j, const char *key, const char *bridge, const char *address,
		     const struct net_meters *m, const struct device_meters *d)
{
	json_open(j, NULL, '{');
	json_string(j, "key", key);
	json_string(j, "bridge", bridge);
	json_string(j, "address", address);
	json_number(j, "sent_frames", m->tx_frames);
	json_number(j, "sent_bytes", m->tx_bytes);
	json_number(j, "bad", m->tx_bad);
	json_number(j, "spoofed", m->tx_spoofed);
	json_number(j, "sent_filtered", m->tx_filtered);
	json_number(j, "received_frames", m->rx_frames);
	json_number(j, "received_bytes", m->rx_bytes);
	json_number(j, "dropped", m->rx_dropped);
	json_number(j, "received_filtered", m->rx_filtered);
	json_number(j, "copied_sending", m->tx_copied);
	json_number(j, "copied_receiving", m->rx_copied);
	json_number(j, "received_flipped", m->rx_flipped);
	stats_device_json(j, d);
	json_close(j, '}');
}

static void nic_text(const char *key, const char *bridge, const char *address, const struct net_meters *m,
		     const struct device_meters *d)
{
	monitor_print("%12lu  frames sent, %lu bytes, by %s, %s on %s; %lu bad, %lu spoofed, %lu filtered\n",
		      m->tx_frames, m->tx_bytes, key, address, bridge, m->tx_bad, m->tx_spoofed,
		      m->tx_filtered);
	monitor_print("%12lu  frames received, %lu bytes; %lu dropped, %lu filtered\n", m->rx_frames,
		      m->rx_bytes, m->rx_dropped, m->rx_filtered);
	monitor_print(
	    "%12lu  doorbells, %lu interrupts, %lu suppressed; %lu exits, %lu and %lu bytes copied\n",
	    d->doorbells, d->interrupts, d->suppressed, d->accesses, m->tx_copied, m->rx_copied);
}

static void nic_row(const struct vm *vm, unsigned net, unsigned nic, struct json *j)
{
	const struct net_meters m = pc_nic_meters(vm->pc, nic);
	struct device_meters d;
	const char key[] = {'n', 'e', 't', (char)('1' + net), 0};
	const char *bridge = vm->config->nets[net].bridge;
	char address[18];
	u8 a[6];

	pc_nic_device_meters(vm->pc, nic, &d);
	config_net_mac(vm->config, vm->index, net, a);
	snprintf(address, sizeof(address), "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4],
		 a[5]);
	if (j)
		nic_json(j, key, bridge, address, &m, &d);
	else
		nic_text(key, bridge, address, &m, &d);
}

void stats_nets(struct json *j, const struct vm *vm)
{
	unsigned nic = 0;

	if (j)
		json_open(j, "networks", '[');
	for (unsigned i = 0; vm->pc && i < CONFIG_MAX_NETS; i++)
		if (vm->config->nets[i].bridge[0])
			nic_row(vm, i, nic++, j);
	if (j)
		json_close(j, ']');
}
