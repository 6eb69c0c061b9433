/* SPDX-License-Identifier: Apache-2.0 */
/* Disks in socle.conf: diskN = PATH, and words as in xl's disk specification. */
#include "config_internal.h"

/* Those that a device serves. */
static const char *const model_words[DISK_MODELS] = {
    [DISK_SPLIT] = "split", [DISK_PACKED] = "packed", [DISK_IDE] = "ide",
    [DISK_PIO] = "pio",     [DISK_SOCLE] = "socle",
};

const char *config_disk_word(enum disk_model model)
{
	return model_words[model];
}

static bool set_model(struct config_disk *d, struct span word)
{
	for (unsigned i = 0; i < DISK_MODELS; i++)
		if (model_words[i] && span_equal_nocase(word, model_words[i])) {
			d->model = (enum disk_model)i;
			return true;
		}
	return false;
}

static bool set_word(struct config_disk *d, struct span word)
{
	if (span_equal_nocase(word, "ro"))
		d->read_only = true;
	else if (span_equal_nocase(word, "rw"))
		d->read_only = false;
	else if (span_equal_nocase(word, "polled"))
		d->polled = true;
	else
		return set_model(d, word);
	return true;
}

/* No file is called so: FAT allows no colon in a name. */
#define NULL_WORD "null:"

static int set_medium(struct config_parser *p, const struct config_key *key, struct span value,
		      struct config_disk *d)
{
	struct span rest = value;
	int err;

	if (config_is_phys(value))
		return config_parse_phys(p, key, value, d);
	if (value.n < strlen(NULL_WORD) || !span_equal_nocase(span_take(&rest, strlen(NULL_WORD)), NULL_WORD))
		return config_parse_path(p, key, value, d->path);
	err = config_parse_size(p, key, rest, &d->null_bytes);
	if (!err)
		snprintf(d->path, sizeof(d->path), NULL_WORD "%lu", d->null_bytes);
	return err;
}

int config_set_disk(struct config_parser *p, const struct config_key *key, struct span value, void *field)
{
	struct config_disk *d = field;
	struct span rest = value;
	int err = set_medium(p, key, span_take_part(&rest), d);

	while (!err && rest.n) {
		struct span word = span_take_part(&rest);
		if (!set_word(d, word))
			err = config_fail_value(p, key, word);
	}
	return err;
}

/* ---- whose file it is ---- */
struct use {
	struct config_parser *p;
	const struct config_vm *vm;
	const struct config_disk *disk;
	const char *key;
};

/* Another use of the same file: as a kernel and so on as well. */
static int check_use(void *opaque, const struct config_vm *vm, const char *key, const char *path)
{
	const struct use *u = opaque;

	/* FAT does not tell upper from lower case. */
	if ((vm == u->vm && strcmp(key, u->key) == 0) || str_casecmp(path, u->disk->path))
		return 0;
	u->p->line = config_key_line(u->vm, u->key);
	return config_fail(u->p, u->key, "%.80s is %s of [vm %s] as well: expected a file of its own, or ro",
			   path, key, vm->name);
}

static int check_polled(struct config_parser *p, const struct config_vm *vm, unsigned i, const char *key)
{
	const struct config *c = p->config->outer ? p->config->outer : p->config;
	enum disk_model model = vm->disks[i].model;

	if (!vm->disks[i].polled)
		return 0;
	p->line = config_key_line(vm, key);
	if (model == DISK_IDE || model == DISK_PIO)
		return config_fail(p, key, "%s has no ring: polled expected split, packed or socle",
				   config_disk_word(model));
	if (!c->socle.poll)
		return config_fail(p, key, "no CPU polls: polled needs poll = 1, or more, in [socle]");
	return 0;
}

static int check_disk(struct config_parser *p, const struct config_vm *vm, unsigned i)
{
	const char key[] = {'d', 'i', 's', 'k', (char)('1' + i), 0};
	struct use u = {p, vm, &vm->disks[i], key};
	int err;

	if (vm->disks[i].path[0] && vm->disks[i].model == DISK_SOCLE && !vm->hypervisor_cpuid) {
		p->line = config_key_line(vm, key);
		return config_fail(p, key, "socle needs hypervisor = on: the disk is reached by VMCALL");
	}
	err = check_polled(p, vm, i, key);
	if (err)
		return err;
	if (!vm->disks[i].path[0] || vm->disks[i].read_only || vm->disks[i].null_bytes)
		return 0; /* it is not written to, or keeps nothing */
	if (vm->count > 1) {
		p->line = config_key_line(vm, key);
		return config_fail(p, key, "%u VMs cannot write to one disk: expected ro", vm->count);
	}
	if (vm->disks[i].phys.used)
		return config_check_phys(p, vm, i);
	return config_for_each_file(p->config, check_use, &u);
}

int config_check_disks(struct config_parser *p)
{
	int err = 0;

	for (unsigned v = 0; v < p->config->nr_vms && !err; v++)
		for (unsigned i = 0; i < CONFIG_MAX_DISKS && !err; i++)
			err = check_disk(p, &p->config->vms[v], i);
	return err;
}
