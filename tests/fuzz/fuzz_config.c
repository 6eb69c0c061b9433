/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the parser of socle.conf: no input may break it, an error is complete, and what it accepts
 * keeps the promises of include/config.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "broken promise: %s\n", what);
		abort();
	}
}
#define REQUIRE(cond) require(cond, #cond)

static void check_error(const struct config_error *e, size_t size)
{
	char line[256];
	REQUIRE(memchr(e->key, '\0', sizeof(e->key)) != NULL);
	REQUIRE(memchr(e->text, '\0', sizeof(e->text)) != NULL);
	REQUIRE(e->text[0] != '\0');
	REQUIRE(e->line <= size + 1);
	for (const char *s = e->text; *s; s++)
		REQUIRE(*s >= ' ' && *s <= '~');
	config_format_error(line, sizeof(line), "socle.conf", e);
	REQUIRE(strstr(line, "socle.conf:") == line);
}

static void check_path(const char *path)
{
	size_t n = strnlen(path, CONFIG_PATH_MAX);
	REQUIRE(n > 0 && n < CONFIG_PATH_MAX);
	REQUIRE(path[0] != '/' && path[n - 1] != '/');
	REQUIRE(!strchr(path, '\\') && !strstr(path, "//"));
}

static int count_file(void *opaque, const struct config_vm *vm, const char *key, const char *path)
{
	struct config_error e;
	check_path(path);
	config_error_at(&e, vm, key, path, "file not found: %s", path);
	REQUIRE(e.line > vm->line);
	*(unsigned *)opaque += 1;
	return 0;
}

static void check_vm(const struct config *c, const struct config_vm *vm)
{
	REQUIRE(vm->name[0] && memchr(vm->name, '\0', sizeof(vm->name)));
	REQUIRE(vm->line > 0);
	REQUIRE(vm->vcpus >= 1 && vm->vcpus <= CONFIG_MAX_VCPUS);
	REQUIRE(vm->memory >= 2 << 20 && IS_ALIGNED(vm->memory, PAGE_SIZE));
	REQUIRE(vm->page_order == 0 || vm->page_order == 9 || vm->page_order == 18);
	REQUIRE(!vm->firmware[0]);
	REQUIRE(vm->nr_modules <= CONFIG_MAX_MODULES);
	REQUIRE(memchr(vm->cmdline, '\0', sizeof(vm->cmdline)) != NULL);
	for (unsigned i = 0; i < vm->count; i++) {
		char name[CONFIG_NAME_MAX];
		unsigned index;
		config_vm_name(vm, i, name);
		REQUIRE(config_find(c, name, &index) == vm && index == i);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_error e;
	unsigned files = 0, expected = 0;
	char *text = malloc(size + !size); /* exact, so that reading behind the end is seen */
	memcpy(text, data, size);
	struct config c = {.room = config_count_sections(text, size)};
	c.vms = malloc(c.room * sizeof(*c.vms));
	int err = config_parse(&c, text, size, &e);
	free(text);
	if (err) {
		REQUIRE(err == ERR_INVAL);
		check_error(&e, size);
		free(c.vms);
		return 0;
	}
	REQUIRE(c.nr_vms >= 1 && config_vms_total(&c) <= CONFIG_MAX_VMS);
	REQUIRE(c.socle.log_level >= LOG_ERROR && c.socle.log_level <= LOG_DEBUG);
	REQUIRE(!c.socle.features.vid || c.socle.features.tpr_shadow);
	for (unsigned i = 0; i < c.nr_vms; i++) {
		check_vm(&c, &c.vms[i]);
		expected += 1 + (c.vms[i].initrd[0] != '\0') + c.vms[i].nr_modules;
	}
	REQUIRE(config_for_each_file(&c, count_file, &files) == 0);
	REQUIRE(files == expected);
	free(c.vms);
	return 0;
}
