/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of the machine in socle.conf: phys:hda and parts of it. */
#include "config_internal.h"

/* No file is called so: FAT allows no colon in a name. */
#define WORD "phys:"
#define UNIT "hd" /* and a letter: as Linux called them */
#define PARTITION_MAX 255
#define SECTORS_MAX ((u64)1 << 48)

static bool take_word(struct span *v, const char *word)
{
	struct span rest = *v;

	if (v->n < strlen(word) || !span_equal_nocase(span_take(&rest, strlen(word)), word))
		return false;
	*v = rest;
	return true;
}

bool config_is_phys(struct span value)
{
	return take_word(&value, WORD);
}

/* "@FIRST+COUNT". */
static bool take_extent(struct span *v, struct config_phys *phys)
{
	if (!take_word(v, "@") || !span_number(v, &phys->first) || !take_word(v, "+") ||
	    !span_number(v, &phys->count))
		return false;
	return phys->count && phys->count <= SECTORS_MAX && phys->first <= SECTORS_MAX - phys->count;
}

static bool parse(struct span v, struct config_phys *phys)
{
	u64 partition;
	char letter;

	if (!take_word(&v, WORD) || !take_word(&v, UNIT) || !v.n)
		return false;
	letter = (char)(span_take(&v, 1).s[0] | 0x20);
	if (letter < 'a' || letter >= 'a' + CONFIG_PHYS_UNITS)
		return false;
	*phys = (struct config_phys){.used = true, .unit = (u8)(letter - 'a')};
	if (!v.n)
		return true;
	if (v.s[0] == '@')
		return take_extent(&v, phys) && !v.n;
	if (!span_number(&v, &partition) || v.n || !partition || partition > PARTITION_MAX)
		return false;
	phys->partition = (u16)partition;
	return true;
}

int config_parse_phys(struct config_parser *p, const struct config_key *key, struct span value,
		      struct config_disk *d)
{
	char shown[48];

	span_show(value, shown, sizeof(shown));
	if (!parse(value, &d->phys))
		return config_fail(
		    p, key->name,
		    "bad disk \"%s\": expected phys:hda, phys:hda1 or phys:hda@FIRST+COUNT, hda to hd%c",
		    shown, 'a' + CONFIG_PHYS_UNITS - 1);
	str_copy(d->path, shown, sizeof(d->path));
	return 0;
}

/* ---- whose it is ---- */

static bool is_whole(const struct config_phys *a)
{
	return !a->partition && !a->count;
}

/* As far as can be told without the disk. */
static bool overlap(const struct config_phys *a, const struct config_phys *b)
{
	if (!a->used || !b->used || a->unit != b->unit)
		return false;
	if (is_whole(a) || is_whole(b))
		return true;
	if (a->partition || b->partition)
		return a->partition == b->partition;
	return a->first < b->first + b->count && b->first < a->first + a->count;
}

static int check_with(struct config_parser *p, const struct config_vm *vm, unsigned i,
		      const struct config_vm *other, unsigned k)
{
	const char key[] = {'d', 'i', 's', 'k', (char)('1' + i), 0};

	if ((vm == other && i == k) || !overlap(&vm->disks[i].phys, &other->disks[k].phys))
		return 0;
	p->line = config_key_line(vm, key);
	return config_fail(p, key,
			   "%s is disk%u of [vm %s] as well, or a part of it: expected ro, or another part",
			   vm->disks[i].path, k + 1, other->name);
}

int config_check_phys(struct config_parser *p, const struct config_vm *vm, unsigned i)
{
	int err = 0;

	for (unsigned v = 0; v < p->config->nr_vms && !err; v++)
		for (unsigned k = 0; k < CONFIG_MAX_DISKS && !err; k++)
			err = check_with(p, vm, i, &p->config->vms[v], k);
	return err;
}
