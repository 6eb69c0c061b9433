/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of socle.conf: lines, sections and assignments. Keys are rows in config_keys.c. */
#include "config_internal.h"
#include "log.h"

#define LINE_MAX_BYTES 2048

int config_fail(struct config_parser *p, const char *key, const char *fmt, ...)
{
	p->err->line = p->line;
	str_copy(p->err->key, key, sizeof(p->err->key));
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(p->err->text, sizeof(p->err->text), fmt, ap);
	va_end(ap);
	return ERR_INVAL;
}

static void socle_set_defaults(struct config_socle *s)
{
	s->features = (struct config_features){
	    .vid = true,
	    .vid_auto = true,
	    .tpr_shadow = true,
	    .vpid = true,
	    .preemption_timer = true,
	    .ept_1g = true,
	    .ept_ad = true,
	};
	s->on_idle = ON_IDLE_POWEROFF;
	s->sched = CONFIG_SCHED_BVT;
	s->log_level = LOG_INFO;
}

static void vm_set_defaults(struct config_vm *vm)
{
	vm->count = 1;
	vm->vcpus = 1;
	vm->page_order = 9;
	vm->console = CONSOLE_SERIAL;
	vm->autostart = true;
	vm->weight = 256;
	vm->pin = ~(u64)0;
	vm->hypervisor_cpuid = true;
	vm->on_poweroff = ON_EVENT_DESTROY;
	vm->on_reboot = ON_EVENT_RESTART;
	vm->on_crash = ON_EVENT_DESTROY;
}

/* Digits alone are the number of a VM, for the monitor. */
static bool vm_name_ok(struct span name)
{
	bool digits = true;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.s[i];
		bool digit = c >= '0' && c <= '9';
		bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || digit;
		if (!alnum && (i == 0 || !strchr("-_.", c)))
			return false;
		digits &= digit;
	}
	return !digits && name.n < sizeof(((struct config_vm *)0)->name);
}

static int open_vm(struct config_parser *p, struct span name)
{
	struct config *c = p->config;
	if (!vm_name_ok(name))
		return config_fail(p, "",
				   "bad VM name: expected [vm NAME], NAME of 1 to 31 letters, digits, '-', "
				   "'_', '.', not digits alone");
	for (unsigned i = 0; i < c->nr_vms; i++)
		if (span_equal(name, c->vms[i].name))
			return config_fail(p, "", "duplicate VM \"%s\", first on line %u", c->vms[i].name,
					   c->vms[i].line);
	if (c->nr_vms == c->room)
		return config_fail(p, "", "more than %u VMs", c->room);
	struct config_vm *vm = &c->vms[c->nr_vms++];
	memset(vm, 0, sizeof(*vm));
	vm_set_defaults(vm);
	memcpy(vm->name, name.s, name.n);
	vm->line = p->line;
	p->vm = vm;
	p->in_socle = false;
	return 0;
}

static int open_socle(struct config_parser *p)
{
	if (p->config->socle_line)
		return config_fail(p, "", "duplicate section [socle], first on line %u",
				   p->config->socle_line);
	p->config->socle_line = p->line;
	p->in_socle = true;
	p->vm = NULL;
	return 0;
}

static int parse_section(struct config_parser *p, struct span line)
{
	line = span_cut_comment(line);
	if (line.s[line.n - 1] != ']')
		return config_fail(p, "", "section header without ']': expected [socle] or [vm NAME]");
	struct span inner = span_trim((struct span){line.s + 1, line.n - 2});
	if (span_equal(inner, "socle"))
		return open_socle(p);
	if (inner.n >= 2 && memcmp(inner.s, "vm", 2) == 0 && (inner.n == 2 || char_is_blank(inner.s[2]))) {
		span_take(&inner, 2);
		return open_vm(p, span_trim(inner));
	}
	char shown[40];
	span_show(inner, shown, sizeof(shown));
	return config_fail(p, "", "unknown section [%s]: expected [socle] or [vm NAME]", shown);
}

static int fail_unknown_key(struct config_parser *p, const struct config_key_table *table, struct span name)
{
	const char *names[CONFIG_MAX_KEYS];
	char shown[32];
	for (unsigned i = 0; i < table->count; i++)
		names[i] = table->keys[i].name;
	span_show(name, shown, sizeof(shown));
	const char *meant = span_closest(name, names, table->count);
	if (meant)
		return config_fail(p, shown, "unknown key; did you mean \"%s\"?", meant);
	const struct config_key_table *other = p->in_socle ? &config_vm_keys : &config_socle_keys;
	for (unsigned i = 0; i < other->count; i++)
		if (span_equal(name, other->keys[i].name))
			return config_fail(p, shown, "this key belongs into %s",
					   p->in_socle ? "a [vm NAME] section" : "the [socle] section");
	return config_fail(
	    p, shown, "unknown key; expected one of %s",
	    p->in_socle
		? "vid tpr_shadow vpid preemption_timer ept_1g ept_ad on_idle sched log_level"
		: "count vcpus memory pages kernel initrd module diskN cmdline console autostart testdev "
		  "hypervisor weight cap pin warp warp_limit unwarp on_poweroff on_reboot on_crash");
}

static int assign(struct config_parser *p, const struct config_key *key, unsigned *seen, struct span value)
{
	if (*seen && !key->repeats)
		return config_fail(p, key->name, "duplicate key, first on line %u", *seen);
	*seen = p->line;
	struct span plain = span_cut_comment(value);
	/* The rest of the line, comment signs included, unless it is one quoted text with a comment
	 * behind it. */
	if (key->rest_of_line &&
	    !(plain.n && strchr("\"'", plain.s[0]) && plain.s[plain.n - 1] == plain.s[0]))
		plain = value;
	if (!span_unquote(&plain))
		return config_fail(p, key->name, "quote without its end");
	if (!plain.n && !key->rest_of_line)
		return config_fail(p, key->name, "value missing: expected %s", key->expected);
	char *base = p->in_socle ? (char *)&p->config->socle : (char *)p->vm;
	return key->set(p, key, plain, base + key->offset);
}

static int parse_assignment(struct config_parser *p, struct span line)
{
	const char *equals = memchr(line.s, '=', line.n);
	if (!equals)
		return config_fail(p, "", "expected \"key = value\", a [section] or a comment");
	struct span value = line;
	struct span name = span_trim(span_take(&value, (size_t)(equals - line.s)));
	span_take(&value, 1);
	if (!p->in_socle && !p->vm)
		return config_fail(p, "", "key outside a section: expected [socle] or [vm NAME] first");
	const struct config_key_table *table = p->in_socle ? &config_socle_keys : &config_vm_keys;
	unsigned *lines = p->in_socle ? p->socle_lines : p->vm->lines;
	for (unsigned i = 0; i < table->count; i++)
		if (span_equal(name, table->keys[i].name))
			return assign(p, &table->keys[i], &lines[i], span_trim(value));
	return fail_unknown_key(p, table, name);
}

static int parse_line(struct config_parser *p, struct span line)
{
	if (line.n && line.s[line.n - 1] == '\r')
		line.n--;
	if (line.n > LINE_MAX_BYTES)
		return config_fail(p, "", "line longer than %u bytes", LINE_MAX_BYTES);
	for (size_t i = 0; i < line.n; i++) {
		u8 c = (u8)line.s[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return config_fail(p, "",
					   "control character 0x%02x in column %u: expected plain text", c,
					   (unsigned)i + 1);
	}
	line = span_trim(line);
	if (!line.n || line.s[0] == '#' || line.s[0] == ';')
		return 0;
	return line.s[0] == '[' ? parse_section(p, line) : parse_assignment(p, line);
}

/* Cuts a UTF-8 byte-order mark off; refuses UTF-16, which some editors write. */
static int skip_byte_order_mark(struct config_parser *p, struct span *text)
{
	if (text->n >= 3 && memcmp(text->s, "\xef\xbb\xbf", 3) == 0)
		span_take(text, 3);
	if (text->n >= 2 && (memcmp(text->s, "\xff\xfe", 2) == 0 || memcmp(text->s, "\xfe\xff", 2) == 0))
		return config_fail(p, "", "the file is UTF-16: expected ASCII or UTF-8");
	return 0;
}

unsigned config_count_sections(const char *text, size_t length)
{
	unsigned n = 0;
	for (size_t i = 0; i < length; i++)
		n += text[i] == '[' && n < CONFIG_MAX_VMS;
	return MAX(n, 1u);
}

int config_parse(struct config *c, const char *text, size_t length, struct config_error *err)
{
	struct config_parser p = {.config = c, .err = err};
	struct span rest = {text, length};
	memset(&c->socle, 0, sizeof(c->socle));
	c->nr_vms = c->socle_line = 0;
	memset(err, 0, sizeof(*err));
	socle_set_defaults(&c->socle);
	int result = skip_byte_order_mark(&p, &rest);
	while (!result && rest.n) {
		const char *newline = memchr(rest.s, '\n', rest.n);
		struct span line = span_take(&rest, newline ? (size_t)(newline - rest.s) : rest.n);
		if (newline)
			span_take(&rest, 1);
		p.line++;
		result = parse_line(&p, line);
	}
	return result ? result : config_check(&p);
}
