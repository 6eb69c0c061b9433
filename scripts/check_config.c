/* SPDX-License-Identifier: Apache-2.0 */
/* check-config: reads a socle.conf on the build host with the parser that Socle itself uses, and
 * says what it understood or what is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

static const char help[] =
    "Usage: check-config FILE\n"
    "Checks a configuration of Socle and prints what each VM gets. FILE \"-\" is standard input.\n"
    "Exit status: 0 the configuration is right, 1 it is not, 2 it could not be read.\n"
    "\n"
    "Example:\n"
    "  $ cat socle.conf\n"
    "  [vm linux]\n"
    "  memory = 512M\n"
    "  kernel = /boot/vmlinuz\n"
    "  initrd = /boot/initrd.gz\n"
    "  cmdline = console=ttyS0\n"
    "  $ make check-config CONF=socle.conf\n"
    "  socle.conf: OK, 1 VM\n"
    "  linux: 1 vCPU, 512 MiB, kernel boot/vmlinuz, initrd boot/initrd.gz, console serial\n"
    "         cmdline: console=ttyS0\n";

static char *read_all(FILE *f, size_t *length)
{
	size_t size = 65536, used = 0;
	char *text = malloc(size);
	while (text && (used += fread(text + used, 1, size - used, f)) == size)
		text = realloc(text, size *= 2);
	*length = used;
	return ferror(f) ? NULL : text;
}

static int print_file(void *opaque, const struct config_vm *vm, const char *key, const char *path)
{
	if (opaque != vm)
		return 0;
	if (strncmp(key, "disk", 4) != 0)
		printf(", %s %s", key, path);
	return 0;
}

static void print_disks(const struct config_vm *vm)
{
	for (unsigned i = 0; i < CONFIG_MAX_DISKS; i++)
		if (vm->disks[i].path[0])
			printf(", disk%u %s (%s, %s)", i + 1, vm->disks[i].path,
			       vm->disks[i].read_only ? "ro" : "rw", config_disk_word(vm->disks[i].model));
}

static void print_nets(const struct config_vm *vm)
{
	for (unsigned i = 0; i < CONFIG_MAX_NETS; i++) {
		const struct config_net *n = &vm->nets[i];
		unsigned char m[6];
		if (!n->bridge[0])
			continue;
		config_net_mac(vm, 0, i, m);
		printf(", net%u bridge %s (%s, %02x:%02x:%02x:%02x:%02x:%02x%s", i + 1, n->bridge,
		       config_net_word(n->model), m[0], m[1], m[2], m[3], m[4], m[5],
		       n->spoof ? ", may spoof" : "");
		if (n->rate)
			printf(", %llu kB/s", (unsigned long long)(n->rate / 1000));
		printf(")");
	}
}

static void print_vm(const struct config *c, const struct config_vm *vm)
{
	char first[CONFIG_NAME_MAX], last[CONFIG_NAME_MAX];
	config_vm_name(vm, 0, first);
	config_vm_name(vm, vm->count - 1, last);
	if (vm->count == 1)
		printf("%s: ", vm->name);
	else
		printf("%s to %s: %u VMs, each of ", first, last, vm->count);
	printf("%u vCPU%s, %llu MiB", vm->vcpus, vm->vcpus == 1 ? "" : "s",
	       (unsigned long long)(vm->memory >> 20));
	config_for_each_file(c, print_file, (void *)vm);
	print_disks(vm);
	print_nets(vm);
	if (vm->tenant[0])
		printf(", tenant %s", vm->tenant);
	printf(", console %s%s%s%s%s\n", config_console_word(vm->console), vm->rng ? ", rng" : "",
	       vm->hpet ? ", hpet" : "", vm->testdev ? ", test device" : "",
	       vm->autostart ? "" : ", not started at boot");
	if (vm->cmdline[0])
		printf("%*s  cmdline: %s\n", (int)strlen(vm->name), "", vm->cmdline);
}

int main(int argc, char **argv)
{
	struct config c = {0};
	struct config_error err;
	char message[512];
	size_t length;
	if (argc != 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		fputs(help, argc == 2 ? stdout : stderr);
		return argc == 2 ? 0 : 2;
	}
	FILE *f = strcmp(argv[1], "-") == 0 ? stdin : fopen(argv[1], "rb");
	char *text = f ? read_all(f, &length) : NULL;
	if (!text) {
		perror(argv[1]);
		return 2;
	}
	c.room = config_count_sections(text, length);
	c.vms = calloc(c.room, sizeof(*c.vms));
	if (!c.vms) {
		perror("check-config");
		return 2;
	}
	if (config_parse(&c, text, length, &err)) {
		config_format_error(message, sizeof(message), argv[1], &err);
		fprintf(stderr, "%s\n", message);
		return 1;
	}
	printf("%s: OK, %u VM%s\n", argv[1], config_vms_total(&c), config_vms_total(&c) == 1 ? "" : "s");
	for (unsigned i = 0; i < c.nr_vms; i++)
		print_vm(&c, &c.vms[i]);
	return 0;
}
