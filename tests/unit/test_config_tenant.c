/* SPDX-License-Identifier: Apache-2.0 */
/* Sections [tenant NAME] of socle.conf, and who names them (M90). */
#include "config_board.h"

#define VM(name, more) "[vm " name "]\nkernel = k\nmemory = 64M\n" more
#define LONG "abcdefghijklmnopqrstuvwxyz012345"

static void tenants_and_their_vms(void **state)
{
	(void)state;
	accept(VM("a", "tenant = acme\n") "[tenant acme]\ncap = 150\nmemory = 128M\n[tenant idle]\n" VM(
	    "b", "tenant = \"acme\"\n") VM("c", ""));
	assert_int_equal(c.nr_tenants, 2);
	assert_string_equal(c.vms[0].tenant, "acme");
	assert_string_equal(c.vms[1].tenant, "acme");
	assert_string_equal(c.vms[2].tenant, "");
	const struct config_tenant *t = config_find_tenant(&c, "acme");
	assert_non_null(t);
	assert_int_equal(t->cap, 150);
	assert_int_equal(t->memory, 128 << 20);
	t = config_find_tenant(&c, "idle");
	assert_true(t && !t->cap && !t->memory && t->line == 8);
	assert_null(config_find_tenant(&c, ""));
	assert_null(config_find_tenant(&c, "Acme"));
	accept(VM("a", ""));
	assert_int_equal(c.nr_tenants, 0);
}

static void wrong_sections(void **state)
{
	char many[64 * (CONFIG_MAX_TENANTS + 1)] = "";
	(void)state;
	refuse("[tenant]\n", 1, "", "bad tenant name: expected [tenant NAME]");
	refuse("[tenant a b]\n", 1, "", "bad tenant name");
	refuse("[tenant 12]\n", 1, "", "not digits alone");
	refuse("[tenant " LONG "]\n", 1, "", "1 to 31 letters");
	refuse("[tenants a]\n", 1, "", "unknown section [tenants a]");
	refuse("[tenant a]\n[tenant b]\n[tenant a]\n", 3, "", "duplicate tenant \"a\", first on line 1");
	refuse("[tenant a]\ncap = 1\ncap = 2\n", 3, "cap", "duplicate key, first on line 2");
	refuse("[tenant a]\nvcpus = 2\n", 2, "vcpus", "this key belongs into a [vm NAME] section");
	refuse("[tenant a]\nsched = rr\n", 2, "sched", "this key belongs into the [socle] section");
	refuse("[tenant a]\nmemroy = 2M\n", 2, "memroy", "did you mean \"memory\"?");
	refuse("[tenant a]\nquota = 2\n", 2, "quota", "expected one of cap memory");
	refuse("[tenant a]\ncap = 6401\n", 2, "cap", "expected percent of one CPU");
	refuse("[tenant a]\nmemory = 1\n", 2, "memory", "out of range");
	for (unsigned i = 0; i <= CONFIG_MAX_TENANTS; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many), "[tenant t%u]\n", i);
	refuse(many, CONFIG_MAX_TENANTS + 1, "", "more than 32 tenants");
}

static void wrong_vms(void **state)
{
	(void)state;
	refuse(VM("a", "tenant = x\n"), 4, "tenant", "no [tenant x] section: expected the name of one");
	refuse(VM("a", "tenant = " LONG "\n"), 4, "tenant", "expected the NAME of a [tenant NAME] section");
	refuse(VM("a", "tenant =\n"), 4, "tenant", "value missing");
	/* Those that start by themselves, together; one that does not, alone. */
	refuse("[tenant t]\nmemory = 100M\n" VM("a", "tenant = t\n") VM("b", "tenant = t\n"), 9, "memory",
	       "128 MiB with what other VMs of tenant t have: expected at most 100 MiB (line 1)");
	refuse("[tenant t]\nmemory = 150M\n" VM("a", "tenant = t\ncount = 3\n"), 5, "memory", "192 MiB");
	refuse("[tenant t]\nmemory = 60M\n" VM("a", "tenant = t\nautostart = no\n"), 5, "memory", "64 MiB");
	accept("[tenant t]\nmemory = 128M\n" VM("a", "tenant = t\n") VM("b", "tenant = t\n")
		   VM("c", "tenant = t\nautostart = no\n"));
	accept("[tenant t]\nmemory = 64M\n" VM("a", "") VM("b", "tenant = t\n"));
}

/* What is typed names tenants of the machine. */
static void typed_text(void **state)
{
	static struct config machine = {.nr_tenants = 1, .tenants = {{.name = "acme", .memory = 1}}};
	(void)state;
	c.outer = &machine;
	accept(VM("a", "tenant = acme\n"));
	refuse(VM("a", "tenant = other\n"), 4, "tenant", "no [tenant other] section");
	c.outer = NULL;
	refuse(VM("a", "tenant = acme\n"), 4, "tenant", "no [tenant acme] section");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tenants_and_their_vms),
	    cmocka_unit_test(wrong_sections),
	    cmocka_unit_test(wrong_vms),
	    cmocka_unit_test(typed_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
