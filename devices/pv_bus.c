/* SPDX-License-Identifier: Apache-2.0 */
/* Devices behind Socle rings, by number. */
#include "pv_bus.h"

#include "lib.h"

_Static_assert(sizeof(struct socle_device) == 64, "ABI");

int pv_bus_add(struct pv_bus *bus, struct pv_device *d)
{
	if (bus->nr_devices == PV_MAX_DEVICES)
		return ERR_NOMEM;
	bus->devices[bus->nr_devices++] = d;
	return 0;
}

static struct pv_device *find(const struct pv_bus *bus, u64 device, u64 ring)
{
	if (device >= bus->nr_devices || ring >= bus->devices[device]->nr_rings)
		return NULL;
	return bus->devices[device];
}

int pv_query(const struct pv_bus *bus, u64 device, struct socle_device *out)
{
	const struct pv_device *d = find(bus, device, 0);

	if (!d)
		return ERR_NOENT;
	memset(out, 0, sizeof(*out));
	out->nr_rings = d->nr_rings;
	d->ops->query(d, out);
	return 0;
}

int pv_open(struct pv_bus *bus, u64 device, u64 ring, gpa_t base, u64 size, u32 event)
{
	struct pv_device *d = find(bus, device, ring);

	return d ? d->ops->open(d, (unsigned)ring, base, size, event) : ERR_NOENT;
}

int pv_close(struct pv_bus *bus, u64 device, u64 ring)
{
	struct pv_device *d = find(bus, device, ring);

	return d ? d->ops->close(d, (unsigned)ring) : ERR_NOENT;
}

int pv_doorbell(struct pv_bus *bus, u64 device, u64 ring)
{
	struct pv_device *d = find(bus, device, ring);

	return d ? d->ops->doorbell(d, (unsigned)ring) : ERR_NOENT;
}
