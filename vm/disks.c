/* SPDX-License-Identifier: Apache-2.0 */
/* The disks of VMs: files of the boot volume, which stay in memory while the machine runs, and parts of the
 * machine's own disks (phys.c). What a VM has written is there when it starts again; two VMs share sectors
 * only if neither writes. Each medium has one block queue, and each VM that uses it a port. */
#include "host.h"
#include "log.h"
#include "phys.h"
#include "vm.h"

#define SHARE 64 /* requests of one VM that compete at a disk */

/* In one list while somebody uses it; on the boot CPU's scheduler stack only, as VMs are. */
struct medium {
	struct list node;
	const struct boot_file *file; /* NULL: it is none */
	unsigned users;
	struct block *disk; /* one of the two, or a disk of the machine */
	struct block_ram ram;
	struct block null;
	struct block_queue queue;
};

static struct list media = {&media, &media};

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
			if (config_disk_is_file(d) && str_casecmp(d->path, c->disk->path) == 0 &&
			    !(d->read_only && c->disk->read_only))
				c->by = other->name;
		}
	}
}

/* ---- media ---- */
/* What a VM's disk is made of. */
struct source {
	const struct boot_file *file; /* NULL: it is none */
	struct block *machine;        /* one of the machine's own disks; NULL: it is none */
	u64 null_bytes;
	u64 base, sectors; /* of the medium; 0 sectors: all of them */
};

static struct medium *medium_of(const struct source *s)
{
	list_for_each(n, &media)
	{
		struct medium *m = list_entry(n, struct medium, node);
		if ((s->file && m->file == s->file) || (s->machine && m->disk == s->machine))
			return m;
	}
	return NULL;
}

static void medium_init(struct medium *m, const struct source *s)
{
	m->file = s->file;
	if (s->file)
		block_ram_init(&m->ram, phys_to_virt(s->file->base), s->file->length, 0);
	else
		block_null_init(&m->null, s->null_bytes / BLOCK_SECTOR);
	m->disk = s->machine ? s->machine : s->file ? &m->ram.block : &m->null;
	/* A real disk has one head: what waits is put in order here. */
	block_queue_init(&m->queue, m->disk, s->machine ? 1 : BLOCK_QUEUE_DEPTH);
	list_insert(&media, &m->node);
}

/* NULL: no memory. */
static struct medium *medium_open(const struct source *s)
{
	struct medium *m = medium_of(s);

	if (!m) {
		m = heap_alloc(sizeof(*m));
		if (!m)
			return NULL;
		medium_init(m, s);
	}
	m->users++;
	return m;
}

/* That of a machine's disk stays: another CPU may be on its way out of its queue. */
static void medium_close(struct medium *m)
{
	if (--m->users || (m->disk != &m->ram.block && m->disk != &m->null))
		return;
	list_remove(&m->node);
	heap_free(m);
}

/* ---- disks ---- */
static int connect(struct vm *vm, unsigned i, const struct source *s)
{
	struct medium *m = medium_open(s);
	int rc = m ? block_port_init(&vm->disks[i].port, &m->queue, s->base,
				     s->sectors ? s->sectors : m->disk->sectors,
				     vm->config->disks[i].read_only ? BLOCK_READ_ONLY : 0, SHARE)
		   : ERR_NOMEM;

	if (rc && m)
		medium_close(m);
	if (rc) {
		log_error("%s: disk%u: no memory, or too many requests for its queue", vm->name, i + 1);
		return rc;
	}
	vm->disks[i].medium = m;
	vm->disks[i].port.payer = &vm->guest.group;
	return 0;
}

/* A part of a machine's disk that somebody has, while one of the two may write to it. */
static bool overlaps(const struct vm_disk *d, const struct phys_part *p, bool read_only)
{
	u64 end = p->extent.first + p->extent.count;

	return d->medium && d->medium->disk == p->disk && d->port.base < end &&
	       p->extent.first < d->port.base + d->port.block.sectors &&
	       !(read_only && d->port.block.flags & BLOCK_READ_ONLY);
}

static int check_part(const struct vm *vm, const struct vm *other, unsigned i, const struct phys_part *p)
{
	const struct config_disk *d = &vm->config->disks[i];

	for (unsigned k = 0; k < CONFIG_MAX_DISKS; k++)
		if ((other != vm || k != i) && overlaps(&other->disks[k], p, d->read_only)) {
			log_error("%s: disk%u: %s overlaps disk%u of %s: expected ro, or another part",
				  vm->name, i + 1, d->path, k + 1, other->name);
			return ERR_EXIST;
		}
	return 0;
}

static int open_phys(struct vm *vm, unsigned i)
{
	struct phys_part p;
	int rc = vm_find_phys(vm, i, &p);

	rc = rc ? rc : check_part(vm, vm, i, &p);
	for (const struct list *l = vm_host.vms.next; l != &vm_host.vms && !rc; l = l->next) {
		const struct vm *other = list_entry(l, struct vm, node);
		if (other != vm)
			rc = check_part(vm, other, i, &p);
	}
	return rc ? rc
		  : connect(vm, i,
			    &(struct source){
				.machine = p.disk, .base = p.extent.first, .sectors = p.extent.count});
}

static int open_disk(struct vm *vm, unsigned i)
{
	const struct config_disk *d = &vm->config->disks[i];
	const struct boot_file *f = vm_file(d->path);
	struct claim c = {.vm = vm, .disk = d};

	if (d->phys.used)
		return open_phys(vm, i);
	if (d->null_bytes)
		return connect(vm, i, &(struct source){.null_bytes = d->null_bytes});
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
	return connect(vm, i, &(struct source){.file = f});
}

int vm_open_disks(struct vm *vm)
{
	int rc = 0;

	for (unsigned i = 0; i < CONFIG_MAX_DISKS && !rc; i++)
		if (vm->config->disks[i].path[0])
			rc = open_disk(vm, i);
	return rc;
}

/* Nothing is on its way any more but the last steps of another CPU. */
void vm_close_disks(struct vm *vm)
{
	for (unsigned i = 0; i < CONFIG_MAX_DISKS; i++) {
		struct vm_disk *d = &vm->disks[i];
		if (!d->medium)
			continue;
		while (block_port_close(&d->port))
			cpu_poll_interrupts();
		medium_close(d->medium);
		d->medium = NULL;
	}
}

u64 vm_disks_usage(const struct vm *vm)
{
	u64 bytes = 0;

	for (unsigned i = 0; i < CONFIG_MAX_DISKS; i++)
		if (vm->disks[i].medium)
			bytes += heap_size(vm->disks[i].medium) / vm->disks[i].medium->users;
	return bytes;
}

/* The PC has only those that are configured, in their order. */
void vm_disk_meters(const struct vm *vm, unsigned i, struct disk_meters *m)
{
	unsigned number = 0;

	memset(m, 0, sizeof(*m));
	if (i >= CONFIG_MAX_DISKS || !vm->disks[i].medium)
		return;
	m->block = block_port_meters(&vm->disks[i].port);
	for (unsigned before = 0; before < i; before++)
		number += vm->config->disks[before].path[0] != 0;
	if (vm->pc)
		pc_disk_meters(vm->pc, number, &m->device);
}
