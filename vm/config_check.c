/* SPDX-License-Identifier: Apache-2.0 */
/* Checks a whole configuration, once every line of it has been read. */
#include "config_internal.h"

static unsigned key_line(const struct config_key_table *table, const unsigned *lines, const char *key)
{
	for (unsigned i = 0; i < table->count; i++)
		if (strcmp(table->keys[i].name, key) == 0)
			return lines[i];
	return 0;
}

/* Virtual-interrupt delivery stands on the TPR shadow (SDM vol. 3, 27.2.1.1: "use TPR shadow" must
 * be 1 if "APIC-register virtualization" is): asking for one without the other is an error, the
 * default gives way. */
static int check_features(struct config_parser *p)
{
	struct config_features *f = &p->config->socle.features;
	if (f->tpr_shadow || !f->vid)
		return 0;
	if (!f->vid_auto) {
		p->line = key_line(&config_socle_keys, p->socle_lines, "vid");
		return config_fail(p, "vid", "vid = on needs tpr_shadow = on");
	}
	f->vid = false;
	return 0;
}

static int check_vm(struct config_parser *p, const struct config_vm *vm)
{
	p->line = vm->line;
	if (!vm->kernel[0])
		return config_fail(p, "kernel",
				   "missing in [vm %s]: expected the path of a Linux or Multiboot kernel",
				   vm->name);
	if (!vm->memory)
		return config_fail(p, "memory", "missing in [vm %s]: expected a size, for example 256M",
				   vm->name);
	if (vm->initrd[0] && vm->nr_modules) {
		p->line = vm->module_lines[0];
		return config_fail(p, "module",
				   "a VM has either initrd (Linux) or module (Multiboot), not both");
	}
	return 0;
}

int config_check(struct config_parser *p)
{
	int err = check_features(p);
	for (unsigned i = 0; i < p->config->nr_vms && !err; i++)
		err = check_vm(p, &p->config->vms[i]);
	err = err ? err : config_check_names(p);
	err = err ? err : config_check_disks(p);
	err = err ? err : config_check_tenants(p);
	err = err ? err : config_check_nets(p);
	if (err)
		return err;
	if (!p->config->nr_vms) {
		p->line = 0;
		return config_fail(p, "", "no [vm NAME] section: nothing to run");
	}
	return 0;
}

unsigned config_key_line(const struct config_vm *vm, const char *key)
{
	unsigned line = key_line(&config_vm_keys, vm->lines, key);
	return line ? line : vm->line;
}

void config_error_at(struct config_error *err, const struct config_vm *vm, const char *key, const char *path,
		     const char *fmt, ...)
{
	err->line = config_key_line(vm, key);
	size_t n = path ? strlen(path) : 0;
	for (unsigned i = 0; n && strcmp(key, "module") == 0 && i < vm->nr_modules; i++)
		if (strncmp(vm->modules[i], path, n) == 0 && (!vm->modules[i][n] || vm->modules[i][n] == ' '))
			err->line = vm->module_lines[i];
	str_copy(err->key, key, sizeof(err->key));
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
}

void config_format_error(char *buf, size_t size, const char *file, const struct config_error *err)
{
	char line[16] = "";
	if (err->line)
		snprintf(line, sizeof(line), "%u:", err->line);
	snprintf(buf, size, "%s:%s %s%s%s", file, line, err->key, err->key[0] ? ": " : "", err->text);
}

typedef int (*file_fn)(void *opaque, const struct config_vm *vm, const char *key, const char *path);

static int vm_for_each_file(const struct config_vm *vm, file_fn fn, void *opaque)
{
	int result = 0;
	if (vm->kernel[0])
		result = fn(opaque, vm, "kernel", vm->kernel);
	if (!result && vm->initrd[0])
		result = fn(opaque, vm, "initrd", vm->initrd);
	if (!result && vm->firmware[0])
		result = fn(opaque, vm, "firmware", vm->firmware);
	for (unsigned i = 0; i < CONFIG_MAX_DISKS && !result; i++) {
		const char key[] = {'d', 'i', 's', 'k', (char)('1' + i), 0};
		if (config_disk_is_file(&vm->disks[i]))
			result = fn(opaque, vm, key, vm->disks[i].path);
	}
	for (unsigned i = 0; i < vm->nr_modules && !result; i++) {
		char path[CONFIG_PATH_MAX];
		str_copy(path, vm->modules[i], sizeof(path));
		char *blank = strchr(path, ' ');
		if (blank)
			*blank = '\0';
		result = fn(opaque, vm, "module", path);
	}
	return result;
}

int config_for_each_file(const struct config *c, file_fn fn, void *opaque)
{
	int result = 0;
	for (unsigned i = 0; i < c->nr_vms && !result; i++)
		result = vm_for_each_file(&c->vms[i], fn, opaque);
	return result;
}
