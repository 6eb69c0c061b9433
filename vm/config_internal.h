/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the configuration parser share: the parser's state, spans of text, the key
 * tables. */
#pragma once

#include "config.h"

/* A piece of the file; not terminated. */
struct span {
	const char *s;
	size_t n;
};

struct config_parser {
	struct config *config;
	struct config_error *err;
	unsigned line;
	/* Of the section; NULL: none has begun. */
	const struct config_key_table *table;
	void *base;                            /* what its keys' offsets count from */
	unsigned *lines;                       /* where each of its keys stood */
	struct config_vm *vm;                  /* the last one */
	unsigned socle_lines[CONFIG_MAX_KEYS]; /* where each key of [socle] stood */
};

struct config_key {
	const char *name;
	const char *expected; /* completes "expected ..." */
	/* Stores value at field. Fails through config_fail(). */
	int (*set)(struct config_parser *p, const struct config_key *key, struct span value, void *field);
	const void *arg; /* for set(): a table of words, or why the key is refused */
	size_t offset;   /* of the field in struct config_socle, config_vm or config_tenant */
	bool repeats;
	bool rest_of_line; /* the value may hold '#' and ';' and may be empty */
};

struct config_key_table {
	const struct config_key *keys;
	unsigned count;
	const char *section; /* completes "belongs into ..." */
	const char *names;   /* of all keys */
};

extern const struct config_key_table config_socle_keys;
extern const struct config_key_table config_vm_keys;
extern const struct config_key_table config_tenant_keys;

/* Records the first error; always returns ERR_INVAL. */
int config_fail(struct config_parser *p, const char *key, const char *fmt, ...) PRINTF(3, 4);

/* "bad value ...: expected ...". Always returns ERR_INVAL. */
int config_fail_value(struct config_parser *p, const struct config_key *key, struct span value);

/* ---- config_keys.c ---- */
/* Normalises value into out[CONFIG_PATH_MAX]: '/' between the parts, none in front. */
/* A size as `memory` has it. */
int config_parse_size(struct config_parser *p, const struct config_key *key, struct span value, u64 *out);
int config_parse_path(struct config_parser *p, const struct config_key *key, struct span value, char *out);

/* ---- config_disk.c ---- */
int config_set_disk(struct config_parser *p, const struct config_key *key, struct span value, void *field);
/* That what one VM may write is nobody else's file. */
int config_check_disks(struct config_parser *p);

/* ---- config_net.c ---- */
int config_set_net(struct config_parser *p, const struct config_key *key, struct span value, void *field);
int config_set_uplink(struct config_parser *p, const struct config_key *key, struct span value, void *field);
/* That no two interfaces of a bridge have one address, and that there is room for all. */
int config_check_nets(struct config_parser *p);

/* ---- config_filter.c ---- */
int config_set_filter(struct config_parser *p, const struct config_key *key, struct span value, void *field);
/* That the interfaces that rules are for are there. */
int config_check_filters(struct config_parser *p, const struct config_vm *vm);

/* ---- config_phys.c ---- */
bool config_is_phys(struct span value); /* it begins as a disk of the machine does */
int config_parse_phys(struct config_parser *p, const struct config_key *key, struct span value,
		      struct config_disk *d);
/* That what a VM may write is no part of another VM's disk. Which partitions lie where only the machine
 * knows. */
int config_check_phys(struct config_parser *p, const struct config_vm *vm, unsigned i);

/* ---- config_sched.c: for the rows of the tables ---- */
struct config_range {
	u64 least, most;
};
int config_set_range(struct config_parser *p, const struct config_key *key, struct span value, void *field);
int config_set_cpus(struct config_parser *p, const struct config_key *key, struct span value, void *field);
/* Decimal digits at the start of *v, cut off it. False: there are none, or the number is too big. */
bool span_number(struct span *v, u64 *number);

/* ---- config_tenant.c ---- */
int config_set_name(struct config_parser *p, const struct config_key *key, struct span value, void *field);
/* That the tenants of VMs are there, and their quotas suffice for the VMs that start by themselves. */
int config_check_tenants(struct config_parser *p);

/* ---- config_text.c ---- */
struct span span_trim(struct span v);
struct span span_take(struct span *v, size_t n); /* cuts the first n bytes off v */
struct span span_take_part(struct span *rest);   /* the part up to the next comma, which goes with it */
bool span_equal(struct span v, const char *word);
bool span_equal_nocase(struct span v, const char *word);
bool char_is_blank(char c);
/* For messages: at most size - 1 bytes, what cannot be printed becomes '?'. */
void span_show(struct span v, char *buf, size_t size);
/* Cuts a comment that starts with '#' or ';' at the start or after a blank; quoted text is skipped. */
struct span span_cut_comment(struct span v);
/* Removes one pair of quotes around the whole. False: a quote is opened and never closed. */
bool span_unquote(struct span *v);
/* The name among names[] that was probably meant, or NULL. */
const char *span_closest(struct span v, const char *const *names, unsigned count);

/* ---- config_check.c ---- */
/* What only the whole file can tell: missing keys, keys that exclude each other. */
int config_check(struct config_parser *p);
/* Where a key of the section stood, else its header. */
unsigned config_key_line(const struct config_vm *vm, const char *key);

/* ---- config_names.c ---- */
/* That the names which `count` makes are short enough and nobody else's, and the VMs not too many. */
int config_check_names(struct config_parser *p);
