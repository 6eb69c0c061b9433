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

#define NAME_EXPECTED "1 to 31 letters, digits, '-', '_', '.', not digits alone"
/* Digits alone are the number of a VM, for the monitor. */
static bool name_ok(struct span name)
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
	return !digits && name.n < CONFIG_NAME_MAX;
}

static int open_vm(struct config_parser *p, struct span name)
{
	struct config *c = p->config;
	if (!name_ok(name))
		return config_fail(p, "", "bad VM name: expected [vm NAME], NAME of " NAME_EXPECTED);
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
	p->table = &config_vm_keys;
	p->base = vm;
	p->lines = vm->lines;
	return 0;
}

static int open_tenant(struct config_parser *p, struct span name)
{
	struct config *c = p->config;
	if (!name_ok(name))
		return config_fail(p, "", "bad tenant name: expected [tenant NAME], NAME of " NAME_EXPECTED);
	for (unsigned i = 0; i < c->nr_tenants; i++)
		if (span_equal(name, c->tenants[i].name))
			return config_fail(p, "", "duplicate tenant \"%s\", first on line %u",
					   c->tenants[i].name, c->tenants[i].line);
	if (c->nr_tenants == CONFIG_MAX_TENANTS)
		return config_fail(p, "", "more than %u tenants", CONFIG_MAX_TENANTS);
	struct config_tenant *t = &c->tenants[c->nr_tenants++];
	memset(t, 0, sizeof(*t));
	memcpy(t->name, name.s, name.n);
	t->line = p->line;
	p->table = &config_tenant_keys;
	p->base = t;
	p->lines = t->lines;
	return 0;
}

static int open_socle(struct config_parser *p)
{
	if (p->config->socle_line)
		return config_fail(p, "", "duplicate section [socle], first on line %u",
				   p->config->socle_line);
	p->config->socle_line = p->line;
	p->table = &config_socle_keys;
	p->base = &p->config->socle;
	p->lines = p->socle_lines;
	return 0;
}

/* Cuts the word off that begins a header, and what separates it from a name. */
static bool take_word(struct span *inner, const char *word)
{
	size_t n = strlen(word);
	if (inner->n < n || memcmp(inner->s, word, n) != 0 || (inner->n > n && !char_is_blank(inner->s[n])))
		return false;
	span_take(inner, n);
	*inner = span_trim(*inner);
	return true;
}

#define SECTIONS_EXPECTED "expected [socle], [vm NAME] or [tenant NAME]"
static int parse_section(struct config_parser *p, struct span line)
{
	line = span_cut_comment(line);
	if (line.s[line.n - 1] != ']')
		return config_fail(p, "", "section header without ']': " SECTIONS_EXPECTED);
	struct span inner = span_trim((struct span){line.s + 1, line.n - 2});
	if (span_equal(inner, "socle"))
		return open_socle(p);
	if (take_word(&inner, "vm"))
		return open_vm(p, inner);
	if (take_word(&inner, "tenant"))
		return open_tenant(p, inner);
	char shown[40];
	span_show(inner, shown, sizeof(shown));
	return config_fail(p, "", "unknown section [%s]: " SECTIONS_EXPECTED, shown);
}

static int fail_unknown_key(struct config_parser *p, struct span name)
{
	static const struct config_key_table *const tables[] = {&config_socle_keys, &config_vm_keys,
								&config_tenant_keys};
	const char *names[CONFIG_MAX_KEYS];
	char shown[32];
	for (unsigned i = 0; i < p->table->count; i++)
		names[i] = p->table->keys[i].name;
	span_show(name, shown, sizeof(shown));
	const char *meant = span_closest(name, names, p->table->count);
	if (meant)
		return config_fail(p, shown, "unknown key; did you mean \"%s\"?", meant);
	for (unsigned t = 0; t < ARRAY_SIZE(tables); t++)
		for (unsigned i = 0; i < tables[t]->count; i++)
			if (span_equal(name, tables[t]->keys[i].name))
				return config_fail(p, shown, "this key belongs into %s", tables[t]->section);
	return config_fail(p, shown, "unknown key; expected one of %s", p->table->names);
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
	return key->set(p, key, plain, (char *)p->base + key->offset);
}

static int parse_assignment(struct config_parser *p, struct span line)
{
	const char *equals = memchr(line.s, '=', line.n);
	if (!equals)
		return config_fail(p, "", "expected \"key = value\", a [section] or a comment");
	struct span value = line;
	struct span name = span_trim(span_take(&value, (size_t)(equals - line.s)));
	span_take(&value, 1);
	if (!p->table)
		return config_fail(p, "", "key outside a section: " SECTIONS_EXPECTED " first");
	for (unsigned i = 0; i < p->table->count; i++)
		if (span_equal(name, p->table->keys[i].name))
			return assign(p, &p->table->keys[i], &p->lines[i], span_trim(value));
	return fail_unknown_key(p, name);
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
	c->nr_vms = c->nr_tenants = c->socle_line = 0;
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
