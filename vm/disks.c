/* SPDX-License-Identifier: Apache-2.0 */
/* The disks of VMs: files of the boot volume, which stay in memory while the machine runs. What a VM has
 * written is there when it starts again; two VMs share one only if neither writes. */
#include "host.h"
#include "log.h"
#include "vm.h"

const struct boot_file *vm_file(const char *path)
{
	const struct boot_info *b = vm_host.boot;
	for (u32 i = 0; i < b->nr_files; i++)
		if (strcmp(b->files[i].path, path) == 0)
			return &b->files[i];
	return NULL;
}

/* What the configuration file says was checked as a whole; here are VMs that were typed, too. */
struct claim {
	const struct vm *vm;
	const struct config_disk *disk;
	const char *by; /* who has it as well */
};

/* The configuration's files are others' by name: a kernel may be needed at any time. */
static int used_by_config(void *opaque, const struct config_vm *section, const char *key, const char *path)
{
	struct claim *c = opaque;

	if (section != c->vm->config && str_casecmp(path, c->disk->path) == 0 &&
	    (!c->disk->read_only || strncmp(key, "disk", 4) == 0)) {
		const unsigned i = strncmp(key, "disk", 4) == 0 ? (unsigned)(key[4] - '1') : CONFIG_MAX_DISKS;
		if (i < CONFIG_MAX_DISKS && section->disks[i].read_only && c->disk->read_only)
			return 0;
		c->by = section->name;
		return ERR_EXIST;
	}
	return 0;
}

/* VMs are made and freed where this runs, so the list stays as it is. */
static void used_by_typed(struct claim *c)
{
	for (const struct list *l = vm_host.vms.next; l != &vm_host.vms; l = l->next) {
		const struct vm *other = list_entry(l, struct vm, node);
		if (other == c->vm || !other->own_config)
			continue;
		for (unsigned i = 0; i < CONFIG_MAX_DISKS; i++) {
			const struct config_disk *d = &other->config->disks[i];
			if (d->path[0] && str_casecmp(d->path, c->disk->path) == 0 &&
			    !(d->read_only && c->disk->read_only))
				c->by = other->name;
		}
	}
}

static int open_disk(struct vm *vm, unsigned i)
{
	const struct config_disk *d = &vm->config->disks[i];
	const struct boot_file *f = vm_file(d->path);
	struct claim c = {.vm = vm, .disk = d};

	if (!f || f->length < BLOCK_SECTOR) {
		log_error("%s: disk%u: %s was not loaded, or has less than a sector", vm->name, i + 1,
			  d->path);
		return ERR_NOENT;
	}
	config_for_each_file(&vm_host.config, used_by_config, &c);
	used_by_typed(&c);
	if (c.by) {
		log_error("%s: disk%u: %s is %s's: expected a file of its own, or ro", vm->name, i + 1,
			  d->path, c.by);
		return ERR_EXIST;
	}
	block_ram_init(&vm->disks[i], phys_to_virt(f->base), f->length, d->read_only ? BLOCK_READ_ONLY : 0);
	return 0;
}

int vm_open_disks(struct vm *vm)
{
	int rc = 0;

	for (unsigned i = 0; i < CONFIG_MAX_DISKS && !rc; i++)
		if (vm->config->disks[i].path[0])
			rc = open_disk(vm, i);
	return rc;
}
