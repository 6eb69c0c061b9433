/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants as the operator sees them, and what they refuse (M88, M90). */
#include "monitor_board.h"

static const char tenants_text[] = "[tenant acme]\ncap = 150\nmemory = 20M\n[tenant idle]\n"
				   "[vm a]\nmemory = 8\nkernel = k.elf\ntenant = acme\nautostart = no\n"
				   "[vm b]\nmemory = 8\nkernel = k.elf\ntenant = acme\nautostart = no\n"
				   "[vm c]\nmemory = 8\nkernel = k.elf\ntenant = acme\nautostart = no\n"
				   "[vm d]\nmemory = 8\nkernel = k.elf\n";

static void expect(const char *line, const char *says)
{
	const char *got = ask(line);
	if (!strstr(got, says))
		fail_msg("\"%s\" got \"%s\" instead of \"%s\"", line, got, says);
}

static void memory_of_all_is_limited(void **state)
{
	struct holdings before = holdings();
	(void)state;
	ask("create -p a; create -p b; create -p d");
	expect("tenant acme", "acme                                 2       16         20   150       0.0");
	expect("create c", "c: not created: memory: 8 MiB asked for, 4 MiB left of tenant acme's 20 MiB: "
			   "expected less");
	assert_null(vm_find("c"));
	ask("destroy a");
	ask("create -p c");
	assert_non_null(vm_find("c"));
	expect("tenant acme memory=15", "its VMs have 16 MiB: expected that at least, or 0 for no limit");
	expect("create a", "4 MiB left of tenant acme's 20 MiB");
	ask("tenant acme memory=24");
	ask("create -p a");
	assert_non_null(vm_find("a"));
	expect("tenant", "acme                                 3       24         24   150");
	expect("tenant", "idle                                 0        0          0     0");
	nobody_left(before);
}

/* What is said to be enough is taken. */
static void odd_memory_is_rounded_up(void **state)
{
	struct holdings before = holdings();
	(void)state;
	typed("create -p\r[vm odd]\rkernel = k.elf\rmemory = 4100K\rtenant = idle\r.\r");
	assert_non_null(vm_find("odd"));
	expect("tenant idle memory=4", "its VMs have 5 MiB: expected that at least");
	expect("tenant idle", " 4          0     0");
	assert_null(strstr(ask("tenant idle memory=5"), "expected"));
	expect("tenant idle", " 4          5     0");
	ask("tenant idle memory=0");
	nobody_left(before);
}

/* Of a VM that was typed, too. */
static void groups_share_the_quota(void **state)
{
	struct holdings before = holdings();
	struct tenant *t = tenant_find("acme");
	(void)state;
	ask("create -p a; create -p d");
	assert_ptr_equal(vm_find("a")->guest.group.shared, &t->quota);
	assert_null(vm_find("d")->guest.group.shared);
	typed("create -p\r[vm typed]\rkernel = k.elf\rmemory = 4\rtenant = acme\r.\r");
	assert_non_null(vm_find("typed"));
	assert_ptr_equal(vm_find("typed")->guest.group.shared, &t->quota);
	ask("tenant acme cap=70");
	assert_int_equal(t->quota.cap, 70);
	expect("tenant -j acme", "[{\"name\":\"acme\",\"vms\":2,\"memory_mib\":12,\"memory_limit_mib\":20,"
				 "\"cap\":70,\"time_s\":");
	expect("list -j a", "\"tenant\":\"acme\"");
	/* A new life has the same tenant, and the time of the old one counts. */
	vm_find("a")->guest.group.billed = tsc_hz() * 5;
	ask("reset a");
	assert_ptr_equal(vm_find("a")->guest.group.shared, &t->quota);
	assert_true(tenant_ticks(t, shim_tsc) >= tsc_hz() * 5);
	nobody_left(before);
	assert_true(tenant_ticks(t, shim_tsc) >= tsc_hz() * 5);
}

static void wrong_words(void **state)
{
	struct tenant *t = tenant_find("acme");
	(void)state;
	expect("tenant nobody", "no [tenant nobody] in the configuration: expected acme, idle");
	expect("tenant acme caps=3", "\"caps=3\": expected cap=PERCENT or memory=MIB");
	expect("tenant acme cap=", "expected cap=PERCENT or memory=MIB");
	expect("tenant acme cap=-1", "expected cap=PERCENT or memory=MIB");
	expect("tenant acme cap=6401", "expected percent of one CPU, 0 for no cap, up to 6400");
	expect("tenant acme memory=99999999999", "expected MiB, 0 for no limit, up to 16777216");
	t->quota.budget = 12345; /* and what was saved stays saved */
	t->quota.since = shim_tsc + 1000 * SECOND;
	expect("tenant acme cap=0 memory=x", "expected cap=PERCENT or memory=MIB");
	expect("tenant acme memory=10 cap=6401", "up to 6400");
	assert_int_equal(t->quota.budget, 12345);
	assert_int_equal(t->memory, 20 << 20);
	expect("tenant acme cap=10 memory=x",
	       "expected cap=PERCENT or memory=MIB"); /* and not the half of it */
	assert_int_equal(t->quota.cap, 150);
	expect("tenant acme a b c", "too many words");
	typed("create\r[tenant new]\r[vm typed]\rkernel = k.elf\rmemory = 4\r.\r");
	assert_non_null(strstr(said, "create:1: [tenant] is for the whole machine: expected one [vm NAME]"));
	typed("create\r[vm typed]\rkernel = k.elf\rmemory = 4\rtenant = new\r.\r");
	assert_non_null(strstr(said, "create:4: tenant: no [tenant new] section"));
	assert_non_null(strstr(typed("tenant ac\t"), "acme "));
	typed("\003");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(memory_of_all_is_limited),
	    T(odd_memory_is_rounded_up),
	    T(groups_share_the_quota),
	    T(wrong_words),
	};
	config_used = tenants_text;
	return cmocka_run_group_tests(tests, once, NULL);
}
