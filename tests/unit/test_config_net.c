/* SPDX-License-Identifier: Apache-2.0 */
/* netN in socle.conf: its words, the addresses that are made, and what may be on one bridge. */
#include "config_board.h"

static void words(void **state)
{
	(void)state;
	accept(VM_HEAD);
	for (unsigned i = 0; i < CONFIG_MAX_NETS; i++)
		assert_string_equal(c.vms[0].nets[i].bridge, "");
	u64 without = config_vm_footprint(&c.vms[0]);
	accept(VM_HEAD
	       "net1 = bridge=lan\nnet2 = model=packed\nnet4 = Spoof = yes , rate=10Mb/s,bridge=dmz-1 # x\n"
	       "net3 = \"mac=52:54:00:aB:0c:ff,spoof=no,model = split\"\n");
	const struct config_net *n = c.vms[0].nets;
	for (unsigned i = 0; i < 3; i++) {
		assert_string_equal(n[i].bridge, "lan");
		assert_int_equal(n[i].model, i == 1 ? NET_PACKED : NET_SPLIT);
		assert_int_equal(n[i].rate, 0);
		assert_false(n[i].spoof);
		assert_int_equal(n[i].has_mac, i == 2);
	}
	assert_memory_equal(n[2].mac, "\x52\x54\x00\xab\x0c\xff", 6);
	assert_string_equal(n[3].bridge, "dmz-1");
	assert_int_equal(n[3].rate, 1250000);
	assert_true(n[3].spoof);
	assert_int_equal(config_vm_footprint(&c.vms[0]), without + 4 * 131072);
	for (unsigned i = 0; i < NET_MODELS; i++) {
		char text[128];
		const char *word = config_net_word((enum net_model)i);
		snprintf(text, sizeof(text), VM_HEAD "net2 = model=%s\n", word ? word : "");
		if (word)
			accept(text);
		else
			refuse(text, 4, "net2", "bad value");
		assert_true(!word || c.vms[0].nets[1].model == i);
	}
	refuse(VM_HEAD "net2 = model=socle\nhypervisor = off\n", 4, "net2",
	       "model=socle needs hypervisor = on");
}

static void polled(void **state)
{
	(void)state;
	accept("[socle]\npoll = 1\n" VM_HEAD
	       "net1 = polled=yes\nnet2 = model=socle, Polled=No\nnet3 = model=socle,polled=yes\n");
	assert_true(c.vms[0].nets[0].polled);
	assert_false(c.vms[0].nets[1].polled);
	assert_true(c.vms[0].nets[2].polled);
	refuse(VM_HEAD "net1 = polled=yes\n", 4, "net1", "no CPU polls: polled=yes needs poll = 1");
	refuse("[socle]\npoll = 1\n" VM_HEAD "net1 = polled=1\n", 6, "net1", "bad value \"polled=1\"");
	refuse("[socle]\npoll = 1\n" VM_HEAD "net1 = model=e1000, polled=yes\n", 6, "net1",
	       "e1000 is not polled");
}

/* M93 */
static void filters(void **state)
{
	char text[2048] = VM_HEAD "net1 = bridge=a\nnet3 = bridge=b\n";

	(void)state;
	accept(VM_HEAD "net1 = bridge=a\nnet3 = bridge=b\n"
		       "filter = drop, in, tcp, port=25\n"
		       "filter = PASS,out,net3,udp,from=10.1.2.3/8,to=192.168.0.7,port=53-67 # names\n"
		       "filter = drop, out, arp\nfilter = pass, in, ip6, net1\nfilter = in, drop, icmp\n"
		       "filter = drop, out, from=10.0.0.0/32\n");
	const struct config_rule *r = c.vms[0].rules;
	assert_int_equal(c.vms[0].nr_rules, 6);
	assert_true(r[0].drop && r[0].incoming && !r[0].nets && r[0].ethertype == 0x800 &&
		    r[0].protocol == 6);
	assert_true(r[0].port_first == 25 && r[0].port_last == 25 && !r[0].source_mask && !r[0].target_mask);
	assert_true(!r[1].drop && !r[1].incoming && r[1].nets == 4 && r[1].protocol == 17);
	assert_true(r[1].source == 0x0a000000 && r[1].source_mask == 0xff000000);
	assert_true(r[1].target == 0xc0a80007 && r[1].target_mask == 0xffffffff);
	assert_true(r[1].port_first == 53 && r[1].port_last == 67);
	assert_true(r[2].drop && r[2].ethertype == 0x806 && !r[2].protocol);
	assert_true(r[3].ethertype == 0x86dd && r[3].nets == 1);
	assert_true(r[4].protocol == 1 && r[4].drop && r[4].incoming);
	assert_true(r[5].ethertype == 0x800 && !r[5].protocol && r[5].source == 0x0a000000);
	static const char *const bad[][2] = {
	    {"drop", "a rule says pass or drop, and in or out"},
	    {"in, tcp", "a rule says pass or drop, and in or out"},
	    {"drop, in, out", "bad value \"out\""},
	    {"drop, in, tcp, udp", "bad value \"udp\""},
	    {"drop, in, port=25", "port= needs tcp or udp"},
	    {"drop, in, icmp, port=25", "port= needs tcp or udp"},
	    {"drop, in, arp, from=10.0.0.1", "from= and to= are addresses of IPv4"},
	    {"drop, in, from=10.0.0.256", "bad value"},
	    {"drop, in, from=10.0.0", "bad value"},
	    {"drop, in, from=10.0.0.1/0", "bad value"},
	    {"drop, in, from=10.0.0.1/33", "bad value"},
	    {"drop, in, to=10.0.0.1x", "bad value"},
	    {"drop, in, tcp, port=0", "bad value"},
	    {"drop, in, tcp, port=9-8", "bad value"},
	    {"drop, in, tcp, port=65536", "bad value"},
	    {"drop, in, net2", "the VM has no net2"},
	    {"drop, in, net5", "bad value \"net5\""},
	    {"reject, in", "bad value \"reject\""}};
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		char line[256];
		snprintf(line, sizeof(line), VM_HEAD "net1 = bridge=a\nfilter = %s\n", bad[i][0]);
		refuse(line, 5, "filter", bad[i][1]);
	}
	refuse(VM_HEAD "filter = drop, in\n", 4, "filter", "the VM has no network interface");
	for (unsigned i = 0; i < CONFIG_MAX_RULES; i++)
		strcat(text, "filter = drop, in\n");
	accept(text);
	strcat(text, "filter = drop, in\n");
	refuse(text, 6 + CONFIG_MAX_RULES, "filter", "more than 16 rules");
}

static void rates(void **state)
{
	static const struct {
		const char *word;
		u64 rate;
	} good[] = {
	    {"8000b/s", 1000},          {"8Kb/s", 1000}, {"3Mb/s", 375000},  {"2Gb/s", 250000000},
	    {"1000B/s", 1000},          {"7KB/s", 7000}, {"1MB/s", 1000000}, {"1000GB/s", 1000000000000},
	    {"8000Gb/s", 1000000000000}};
	static const char *const bad[] = {
	    "",           "10",      "Mb/s",     "7Kb/s",  "999B/s",
	    "10Mb",       "10 mb/s", "1001GB/s", "-1Mb/s", "18446744073709551616b/s",
	    "10MB/s@20ms"};
	char text[128];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
		snprintf(text, sizeof(text), VM_HEAD "net1 = rate=%s\n", good[i].word);
		accept(text);
		assert_int_equal(c.vms[0].nets[0].rate, good[i].rate);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), VM_HEAD "net1 = rate=%s\n", bad[i]);
		refuse(text, 4, "net1", "bad value");
	}
}

static void bad_words(void **state)
{
	static const char *const bad[] = {"bridge",
					  "lan",
					  "bridge=",
					  "bridge=-a",
					  "bridge=a b",
					  "bridge=sixteen-letters.",
					  "model=ide",
					  "mac=52:54:00:12:34",
					  "mac=52:54:00:12:34:5",
					  "mac=52:54:00:12:34:56:78",
					  "mac=53:54:00:12:34:56",
					  "mac=00:00:00:00:00:00",
					  "mac=52-54-00-12-34-56",
					  "mac=5g:54:00:12:34:56",
					  "spoof=maybe",
					  "speed=1Gb/s",
					  ",bridge=lan",
					  "bridge=lan,,model=split"};
	char text[160];

	(void)state;
	refuse(VM_HEAD "net1 =\n", 4, "net1", "value missing: expected bridge=NAME");
	refuse(VM_HEAD "net0 = bridge=lan\n", 4, "net0", "did you mean \"net1\"?");
	refuse(VM_HEAD "net1 = bridge=a\nnet1 = bridge=b\n", 5, "net1", "duplicate key, first on line 4");
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), VM_HEAD "net3 = %s\n", bad[i]);
		refuse(text, 4, "net3", "bad value \"");
	}
}

static void addresses(void **state)
{
	u8 a[8][6], again[6];

	(void)state;
	accept(VM_HEAD "net1 = bridge=lan\nnet2 = bridge=lan\ncount = 3\n");
	for (unsigned i = 0; i < 6; i++) {
		config_net_mac(&c.vms[0], i / 2, i % 2, a[i]);
		assert_int_equal(a[i][0] & 3, 2);
		for (unsigned k = 0; k < i; k++)
			assert_memory_not_equal(a[i], a[k], 6);
	}
	/* The same by another name for the same VM, and whatever else there is. */
	accept("[vm b]\nkernel = k\nmemory = 64\nnet2 = bridge=x\n[vm a-2]\nkernel = k\nmemory = 64\n"
	       "net2 = rate=1MB/s\n");
	config_net_mac(&c.vms[1], 0, 1, again);
	assert_memory_equal(again, a[3], 6);
	config_net_mac(&c.vms[0], 0, 1, again);
	assert_memory_not_equal(again, a[3], 6);
	accept(VM_HEAD "net1 = mac=02:00:00:00:00:07\n");
	config_net_mac(&c.vms[0], 0, 0, again);
	assert_memory_equal(again, "\x02\0\0\0\0\x07", 6);
}

#define OTHER "[vm other]\nkernel = k\nmemory = 64\n"
#define MAC "mac=52:54:00:00:00:01"

static void one_bridge(void **state)
{
	char text[256];

	(void)state;
	refuse(VM_HEAD "net1 = " MAC "\nnet2 = " MAC "\n", 5, "net2", "on this bridge already, in [vm a]");
	accept(VM_HEAD "net1 = " MAC "\nnet2 = bridge=b," MAC "\n");
	refuse(VM_HEAD "net1 = " MAC "\n" OTHER "net4 = " MAC "\n", 8, "net4", "already, in [vm a]");
	accept(VM_HEAD "net1 = " MAC "\n" OTHER "net4 = bridge=b, " MAC "\n");
	refuse(VM_HEAD "net1 = " MAC "\ncount = 2\n", 4, "net1", "one address for several VMs of [vm a]");
	accept(VM_HEAD "net1 = bridge=x\ncount = 128\n");
	refuse(VM_HEAD "net1 = bridge=x\ncount = 129\n", 4, "net1", "more than 128 interfaces");
	snprintf(text, sizeof(text), VM_HEAD "net1 = bridge=x\nnet2 = bridge=x\ncount = 64\n%s", OTHER);
	accept(text);
	strcat(text, "net1 = bridge=y\n");
	accept(text);
	strcat(text, "net2 = bridge=x\n");
	refuse(text, 11, "net2", "more than 128 interfaces");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words),      cmocka_unit_test(polled),    cmocka_unit_test(filters),
	    cmocka_unit_test(rates),      cmocka_unit_test(bad_words), cmocka_unit_test(addresses),
	    cmocka_unit_test(one_bridge),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
