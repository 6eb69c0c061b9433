/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of socle.conf as data: name, type, destination. A new key is a new row here. */
#include "config_internal.h"
#include "log.h"

#define MEMORY_MIN ((u64)2 << 20)
#define MEMORY_MAX ((u64)16 << 40)

struct word {
	const char *name;
	int value;
};

int config_fail_value(struct config_parser *p, const struct config_key *key, struct span value)
{
	char shown[48];
	span_show(value, shown, sizeof(shown));
	return config_fail(p, key->name, "bad value \"%s\": expected %s", shown, key->expected);
}

/* Words ending with a nameless row; the field is an int or an enum. */
static int set_word(struct config_parser *p, const struct config_key *key, struct span value, void *field)
{
	for (const struct word *w = key->arg; w->name; w++) {
		if (span_equal_nocase(value, w->name)) {
			memcpy(field, &w->value, sizeof(w->value));
			return 0;
		}
	}
	return config_fail_value(p, key, value);
}

static int set_bool(struct config_parser *p, const struct config_key *key, struct span value, void *field)
{
	static const struct word words[] = {{"on", 1},  {"yes", 1}, {"true", 1},  {"1", 1},
					    {"off", 0}, {"no", 0},  {"false", 0}, {"0", 0}};
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		if (span_equal_nocase(value, words[i].name)) {
			*(bool *)field = words[i].value;
			return 0;
		}
	}
	return config_fail_value(p, key, value);
}

static int set_vid(struct config_parser *p, const struct config_key *key, struct span value, void *field)
{
	struct config_features *f = field;
	f->vid = f->vid_auto = span_equal_nocase(value, "auto");
	return f->vid_auto ? 0 : set_bool(p, key, value, &f->vid);
}

static int set_vcpus(struct config_parser *p, const struct config_key *key, struct span value, void *field)
{
	u64 number;
	struct span rest = value;
	if (!span_number(&rest, &number) || rest.n || number < 1 || number > CONFIG_MAX_VCPUS)
		return config_fail_value(p, key, value);
	*(unsigned *)field = (unsigned)number;
	return 0;
}

/* A plain number counts MiB, as in xl.cfg. */
int config_parse_size(struct config_parser *p, const struct config_key *key, struct span value, u64 *out)
{
	static const struct word units[] = {{"K", 10},   {"KB", 10}, {"KiB", 10}, {"M", 20},  {"MB", 20},
					    {"MiB", 20}, {"G", 30},  {"GB", 30},  {"GiB", 30}};
	u64 number;
	unsigned shift = 20;
	struct span unit = value;
	if (!span_number(&unit, &number))
		return config_fail_value(p, key, value);
	unit = span_trim(unit);
	if (unit.n) {
		shift = 0;
		for (unsigned i = 0; i < ARRAY_SIZE(units); i++)
			if (span_equal_nocase(unit, units[i].name))
				shift = (unsigned)units[i].value;
		if (!shift)
			return config_fail_value(p, key, value);
	}
	if (number > MEMORY_MAX >> shift || number << shift < MEMORY_MIN)
		return config_fail(p, key->name, "out of range: expected 2M to 16384G");
	number <<= shift;
	if (!IS_ALIGNED(number, PAGE_SIZE))
		return config_fail(p, key->name, "not a multiple of 4K: expected %s", key->expected);
	*out = number;
	return 0;
}

static int set_memory(struct config_parser *p, const struct config_key *key, struct span value, void *field)
{
	return config_parse_size(p, key, value, field);
}

static bool path_char_ok(char c)
{
	/* What FAT does not allow in a long name, and what a plain char cannot carry to UTF-16. */
	return c >= ' ' && c <= '~' && !strchr("<>:\"|?*", c);
}

/* Appends one path component to out. False: it does not fit. */
static bool path_append(char *out, size_t *used, struct span part)
{
	size_t slash = *used ? 1 : 0;
	if (*used + slash + part.n >= CONFIG_PATH_MAX)
		return false;
	if (slash)
		out[(*used)++] = '/';
	memcpy(out + *used, part.s, part.n);
	*used += part.n;
	out[*used] = '\0';
	return true;
}

int config_parse_path(struct config_parser *p, const struct config_key *key, struct span value, char *out)
{
	size_t used = 0;
	for (size_t i = 0; i < value.n; i++)
		if (!path_char_ok(value.s[i]))
			return config_fail(p, key->name, "character %u cannot stand in a path: expected %s",
					   (unsigned)i + 1, key->expected);
	while (value.n) {
		size_t n = 0;
		while (n < value.n && value.s[n] != '/' && value.s[n] != '\\')
			n++;
		struct span part = span_take(&value, n);
		if (value.n)
			span_take(&value, 1);
		if (part.n == 0 || span_equal(part, "."))
			continue;
		if (span_equal(part, ".."))
			return config_fail(p, key->name,
					   "\"..\" in a path: paths count from the root of the boot volume");
		if (!path_append(out, &used, part))
			return config_fail(p, key->name, "path longer than %u characters",
					   CONFIG_PATH_MAX - 1);
	}
	if (!used)
		return config_fail(p, key->name, "empty path: expected %s", key->expected);
	return 0;
}

static int set_path(struct config_parser *p, const struct config_key *key, struct span value, void *field)
{
	return config_parse_path(p, key, value, field);
}

/* One more module: a path, which ends at the first blank, and its arguments. */
static int set_module(struct config_parser *p, const struct config_key *key, struct span value, void *field)
{
	struct config_vm *vm = p->vm;
	char(*modules)[CONFIG_PATH_MAX] = field;
	if (vm->nr_modules == CONFIG_MAX_MODULES)
		return config_fail(p, key->name, "more than %u modules", CONFIG_MAX_MODULES);
	size_t n = 0;
	while (n < value.n && !char_is_blank(value.s[n]))
		n++;
	char *out = modules[vm->nr_modules];
	struct span path = span_take(&value, n);
	int err = config_parse_path(p, key, path, out);
	if (err)
		return err;
	struct span args = span_trim(value);
	size_t used = strlen(out);
	if (args.n) {
		if (used + 1 + args.n >= CONFIG_PATH_MAX)
			return config_fail(p, key->name, "path and arguments longer than %u characters",
					   CONFIG_PATH_MAX - 1);
		out[used++] = ' ';
		memcpy(out + used, args.s, args.n);
		out[used + args.n] = '\0';
	}
	vm->module_lines[vm->nr_modules++] = p->line;
	return 0;
}

static int set_cmdline(struct config_parser *p, const struct config_key *key, struct span value, void *field)
{
	if (value.n >= CONFIG_CMDLINE_MAX)
		return config_fail(p, key->name, "longer than %u characters", CONFIG_CMDLINE_MAX - 1);
	char *out = field;
	memcpy(out, value.s, value.n);
	out[value.n] = '\0';
	return 0;
}

static int set_refused(struct config_parser *p, const struct config_key *key, struct span value, void *field)
{
	(void)value;
	(void)field;
	return config_fail(p, key->name, "%s", (const char *)key->arg);
}

static const struct word words_on_idle[] = {
    {"poweroff", ON_IDLE_POWEROFF}, {"wait", ON_IDLE_WAIT}, {NULL, 0}};
static const struct word words_log_level[] = {
    {"error", LOG_ERROR}, {"warn", LOG_WARN}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}, {NULL, 0}};
static const struct word words_pages[] = {{"4k", 0}, {"2M", 9}, {"1G", 18}, {NULL, 0}};
static const struct word words_console[] = {
    {"serial", CONSOLE_SERIAL}, {"virtio", CONSOLE_VIRTIO}, {"none", CONSOLE_NONE}, {NULL, 0}};

const char *config_console_word(enum console_kind kind)
{
	return words_console[kind].name;
}

static const struct word words_event[] = {
    {"destroy", ON_EVENT_DESTROY}, {"restart", ON_EVENT_RESTART}, {"preserve", ON_EVENT_PRESERVE}, {NULL, 0}};

static const struct word words_sched[] = {
    {"bvt", CONFIG_SCHED_BVT}, {"credit", CONFIG_SCHED_CREDIT}, {"rr", CONFIG_SCHED_RR}, {NULL, 0}};
static const struct config_range range_count = {1, CONFIG_MAX_VMS};
static const struct config_range range_poll = {0, 63};
/* The same ranges as sched_set()'s. */
static const struct config_range range_weight = {1, 65535}, range_cap = {0, 6400}, range_warp = {0, 1000000};

#define EXPECT_SIZE "a size, for example 256M or 1G"
#define EXPECT_CAP "percent of one CPU, 0 (no cap) to 6400"
#define EXPECT_BOOL "on or off"
#define EXPECT_PATH "a path from the root of the boot volume, for example boot/vmlinuz"

#define EXPECT_DISK                                                                                          \
	"PATH, phys:DISK or null:SIZE[, ro or rw][, split, packed, ide, pio or socle][, "                    \
	"polled]"
#define EXPECT_NET                                                                                           \
	"bridge=NAME, model=split, packed, e1000 or socle, mac=XX:XX:XX:XX:XX:XX, rate=10Mb/s, "             \
	"spoof=yes or no, polled=yes or no"
#define EXPECT_FILTER                                                                                        \
	"pass or drop, in or out[, net1 to net4][, arp, ip, ip6, icmp, tcp or udp][, from=A.B.C.D/N][, "     \
	"to=A.B.C.D/N][, port=N-M]"

#define SOCLE(member) .offset = offsetof(struct config_socle, member)
static const struct config_key socle_keys[] = {
    {"vid", "auto, on or off", set_vid, SOCLE(features)},
    {"tpr_shadow", EXPECT_BOOL, set_bool, SOCLE(features.tpr_shadow)},
    {"vpid", EXPECT_BOOL, set_bool, SOCLE(features.vpid)},
    {"preemption_timer", EXPECT_BOOL, set_bool, SOCLE(features.preemption_timer)},
    {"ept_1g", EXPECT_BOOL, set_bool, SOCLE(features.ept_1g)},
    {"ept_ad", EXPECT_BOOL, set_bool, SOCLE(features.ept_ad)},
    {"on_idle", "poweroff or wait", set_word, words_on_idle, SOCLE(on_idle)},
    {"sched", "bvt, credit or rr", set_word, words_sched, SOCLE(sched)},
    {"log_level", "error, warn, info or debug", set_word, words_log_level, SOCLE(log_level)},
    {"poll", "a number of CPUs, 0 to 63", config_set_range, &range_poll, SOCLE(poll)},
    {"uplink", "the name of a bridge", config_set_uplink, SOCLE(uplink)},
};

#define VM(member) .offset = offsetof(struct config_vm, member)
static const struct config_key vm_keys[] = {
    {"count", "a number from 1 to 1024", config_set_range, &range_count, VM(count)},
    {"vcpus", "a number from 1 to 16", set_vcpus, VM(vcpus)},
    {"memory", EXPECT_SIZE, set_memory, VM(memory)},
    {"pages", "4k, 2M or 1G", set_word, words_pages, VM(page_order)},
    {"kernel", EXPECT_PATH, set_path, VM(kernel)},
    {"initrd", EXPECT_PATH, set_path, VM(initrd)},
    {"firmware", EXPECT_PATH, set_refused,
     "a firmware image is not supported by this version: expected kernel", VM(firmware)},
    {"module", EXPECT_PATH, set_module, VM(modules), .repeats = true},
    {"disk1", EXPECT_DISK, config_set_disk, VM(disks[0])},
    {"disk2", EXPECT_DISK, config_set_disk, VM(disks[1])},
    {"disk3", EXPECT_DISK, config_set_disk, VM(disks[2])},
    {"disk4", EXPECT_DISK, config_set_disk, VM(disks[3])},
    {"net1", EXPECT_NET, config_set_net, VM(nets[0])},
    {"net2", EXPECT_NET, config_set_net, VM(nets[1])},
    {"net3", EXPECT_NET, config_set_net, VM(nets[2])},
    {"net4", EXPECT_NET, config_set_net, VM(nets[3])},
    {"filter", EXPECT_FILTER, config_set_filter, VM(rules), .repeats = true},
    {"cmdline", "text", set_cmdline, VM(cmdline), .rest_of_line = true},
    {"console", "serial, virtio or none", set_word, words_console, VM(console)},
    {"autostart", EXPECT_BOOL, set_bool, VM(autostart)},
    {"rng", EXPECT_BOOL, set_bool, VM(rng)},
    {"hpet", EXPECT_BOOL, set_bool, VM(hpet)},
    {"testdev", EXPECT_BOOL, set_bool, VM(testdev)},
    {"hypervisor", EXPECT_BOOL, set_bool, VM(hypervisor_cpuid)},
    {"weight", "a number from 1 to 65535", config_set_range, &range_weight, VM(weight)},
    {"cap", EXPECT_CAP, config_set_range, &range_cap, VM(cap)},
    {"tenant", "the NAME of a [tenant NAME] section", config_set_name, VM(tenant)},
    {"pin", "all, or CPUs from 0 to 63 such as 0-1,3", config_set_cpus, VM(pin)},
    {"warp", "microseconds, 0 to 1000000", config_set_range, &range_warp, VM(warp)},
    {"warp_limit", "microseconds, 0 (no limit) to 1000000", config_set_range, &range_warp, VM(warp_limit)},
    {"unwarp", "microseconds, 0 to 1000000", config_set_range, &range_warp, VM(unwarp)},
    {"on_poweroff", "destroy, restart or preserve", set_word, words_event, VM(on_poweroff)},
    {"on_reboot", "destroy, restart or preserve", set_word, words_event, VM(on_reboot)},
    {"on_crash", "destroy, restart or preserve", set_word, words_event, VM(on_crash)},
};

#define TENANT(member) .offset = offsetof(struct config_tenant, member)
static const struct config_key tenant_keys[] = {
    {"cap", EXPECT_CAP, config_set_range, &range_cap, TENANT(cap)},
    {"memory", EXPECT_SIZE, set_memory, TENANT(memory)},
};

_Static_assert(ARRAY_SIZE(tenant_keys) <= CONFIG_MAX_TENANT_KEYS, "lines[] too short");
_Static_assert(ARRAY_SIZE(socle_keys) <= CONFIG_MAX_KEYS, "lines[] too short");
_Static_assert(ARRAY_SIZE(vm_keys) <= CONFIG_MAX_KEYS, "lines[] too short");

const struct config_key_table config_socle_keys = {
    socle_keys, ARRAY_SIZE(socle_keys), "the [socle] section",
    "vid tpr_shadow vpid preemption_timer ept_1g ept_ad on_idle sched log_level poll uplink"};
const struct config_key_table config_vm_keys = {
    vm_keys, ARRAY_SIZE(vm_keys), "a [vm NAME] section",
    "count vcpus memory pages kernel initrd module diskN netN filter cmdline console rng hpet autostart "
    "testdev "
    "hypervisor "
    "weight "
    "cap "
    "tenant pin warp warp_limit unwarp on_poweroff on_reboot on_crash"};
const struct config_key_table config_tenant_keys = {tenant_keys, ARRAY_SIZE(tenant_keys),
						    "a [tenant NAME] section", "cap memory"};
