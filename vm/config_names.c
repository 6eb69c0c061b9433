/* SPDX-License-Identifier: Apache-2.0 */
/* The VMs that a section makes: one of its own name, or `count` of them. */
#include "config_internal.h"

/* What the hypervisor takes for a VM beside its memory: for tables by size, for devices, for each vCPU. */
#define TABLES_SHARE 100 /* one part in this of its memory */
#define BYTES_PER_VM ((u64)192 << 10)
#define BYTES_PER_VCPU ((u64)48 << 10)
/* A disk or a network interface: for itself, for each of its queues or pairs of queues. The heap gives memory
 * of this size by powers of two. */
#define BYTES_PER_DEVICE ((u64)8 << 10)
#define BYTES_PER_DISK_QUEUE ((u64)40 << 10)
#define DISK_QUEUES_MAX 8u
#define BYTES_PER_NET_PAIR ((u64)60 << 10)
#define NET_PAIRS_MAX 4u
#define BYTES_PER_PLAIN_DEVICE ((u64)64 << 10) /* that is not virtio's */

#define NUMBERED_MAX (CONFIG_NAME_MAX + 12)

static int number(const struct config_vm *vm, unsigned n, char name[NUMBERED_MAX])
{
	return snprintf(name, NUMBERED_MAX, "%s-%u", vm->name, n);
}

void config_vm_name(const struct config_vm *vm, unsigned index, char name[CONFIG_NAME_MAX])
{
	char numbered[NUMBERED_MAX];
	number(vm, index + 1, numbered);
	str_copy(name, vm->count == 1 ? vm->name : numbered, CONFIG_NAME_MAX);
}

/* Whether the section has a VM of that name. */
static bool names(const struct config_vm *vm, const char *name, unsigned *index)
{
	size_t n = strlen(vm->name);
	u64 n_th;
	*index = 0;
	if (strncmp(name, vm->name, n) != 0)
		return false;
	if (vm->count == 1)
		return !name[n];
	struct span rest = {name + n + 1, strlen(name) - MIN(strlen(name), n + 1)};
	/* No second way to write the same number. */
	if (name[n] != '-' || name[n + 1] == '0' || !span_number(&rest, &n_th) || rest.n)
		return false;
	*index = (unsigned)(n_th - 1);
	return n_th <= vm->count;
}

const struct config_vm *config_find(const struct config *c, const char *name, unsigned *index)
{
	for (unsigned i = 0; i < c->nr_vms; i++)
		if (names(&c->vms[i], name, index))
			return &c->vms[i];
	return NULL;
}

unsigned config_vms_before(const struct config *c, const struct config_vm *vm)
{
	unsigned sum = 0;
	for (const struct config_vm *other = c->vms; other < vm; other++)
		sum += other->count;
	return sum;
}

unsigned config_vms_total(const struct config *c)
{
	return config_vms_before(c, c->vms + c->nr_vms);
}

static u64 power_of_two(u64 least)
{
	u64 bytes = 4096;

	while (bytes < least)
		bytes *= 2;
	return bytes;
}

static u64 disk_bytes(const struct config_vm *vm, enum disk_model model)
{
	if (model != DISK_SPLIT && model != DISK_PACKED)
		return BYTES_PER_PLAIN_DEVICE;
	return power_of_two(BYTES_PER_DEVICE + MIN(vm->vcpus, DISK_QUEUES_MAX) * BYTES_PER_DISK_QUEUE);
}

static u64 net_bytes(const struct config_vm *vm, enum net_model model)
{
	if (model != NET_SPLIT && model != NET_PACKED)
		return BYTES_PER_PLAIN_DEVICE;
	return power_of_two(BYTES_PER_DEVICE + MIN(vm->vcpus, NET_PAIRS_MAX) * BYTES_PER_NET_PAIR);
}

#define BYTES_PER_FILTER 1024 /* CONFIG_MAX_RULES of a switch's */

static u64 fixed_bytes(const struct config_vm *vm)
{
	u64 bytes = BYTES_PER_VM + vm->vcpus * BYTES_PER_VCPU;

	for (unsigned i = 0; i < CONFIG_MAX_DISKS; i++)
		bytes += vm->disks[i].path[0] ? disk_bytes(vm, vm->disks[i].model) : 0;
	for (unsigned i = 0; i < CONFIG_MAX_NETS; i++)
		bytes += vm->nets[i].bridge[0]
			     ? net_bytes(vm, vm->nets[i].model) + (vm->nr_rules ? BYTES_PER_FILTER : 0)
			     : 0;
	return bytes;
}

u64 config_vm_footprint(const struct config_vm *vm)
{
	return vm->memory + vm->memory / TABLES_SHARE + fixed_bytes(vm);
}

u64 config_vm_room(const struct config_vm *vm, u64 bytes)
{
	u64 usable = bytes - MIN(bytes, fixed_bytes(vm));
	return usable - usable / TABLES_SHARE;
}

static int check_length(struct config_parser *p, const struct config_vm *vm)
{
	char last[NUMBERED_MAX];
	int n = number(vm, vm->count, last);
	if (vm->count == 1 || n < CONFIG_NAME_MAX)
		return 0;
	p->line = config_key_line(vm, "count");
	return config_fail(p, "count", "the name \"%s\" has %d characters: expected at most %d", last, n,
			   CONFIG_NAME_MAX - 1);
}

/* Names of two sections differ; that of one VM may be one of those that another section makes. */
static int check_unique(struct config_parser *p, const struct config_vm *vm)
{
	unsigned index;
	for (const struct config_vm *other = p->config->vms; other < p->config->vms + p->config->nr_vms;
	     other++)
		if (vm->count == 1 && other->count > 1 && names(other, vm->name, &index)) {
			p->line = MAX(vm->line, other->line);
			return config_fail(p, "", "duplicate VM \"%s\", first on line %u", vm->name,
					   MIN(vm->line, other->line));
		}
	return 0;
}

int config_check_names(struct config_parser *p)
{
	u64 sum = 0;
	int err = 0;
	for (unsigned i = 0; i < p->config->nr_vms && !err; i++) {
		const struct config_vm *vm = &p->config->vms[i];
		sum += vm->count;
		err = check_length(p, vm);
		if (err || sum <= CONFIG_MAX_VMS)
			continue;
		p->line = config_key_line(vm, "count");
		err = config_fail(p, "count", "more than %u VMs: %u would be left for this section",
				  CONFIG_MAX_VMS, CONFIG_MAX_VMS - (unsigned)(sum - vm->count));
	}
	for (unsigned i = 0; i < p->config->nr_vms && !err; i++)
		err = check_unique(p, &p->config->vms[i]);
	return err;
}
