/* SPDX-License-Identifier: Apache-2.0 */
/* Networks of VMs: bridges are there while somebody is on them, addresses are one VM's alone, and the monitor
 * says what went through (M40, M86). */
#include "monitor_board.h"

static const char networks[] = "[vm a]\nmemory = 8\nkernel = k.elf\nnet1 = mac=02:00:00:00:00:0a\n"
			       "net3 = bridge=dmz, model=packed, rate=1MB/s\n"
			       "[vm b]\nmemory = 8\nkernel = k.elf\nnet4 = mac=02:00:00:00:00:0b\n"
			       "[vm w]\nmemory = 4\nkernel = k.elf\ncount = 3\nnet1 = bridge=dmz\n";

static unsigned bridges(void)
{
	unsigned n = 0;

	list_for_each(l, &vm_host.bridges) n++;
	return n;
}

static void who_is_there(void **state)
{
	struct holdings before = holdings();

	(void)state;
	assert_int_equal(bridges(), 0);
	ask("create b");
	assert_int_equal(bridges(), 1);
	ask("create a; create w-1; create w-2; create w-3");
	assert_int_equal(bridges(), 2);
	struct net_switch *lan = vm_bridge_switch(vm_find("a")->bridges[0]),
			  *dmz = vm_bridge_switch(vm_find("a")->bridges[2]);
	assert_ptr_equal(lan, vm_bridge_switch(vm_find("b")->bridges[3]));
	assert_ptr_equal(dmz, vm_bridge_switch(vm_find("w-3")->bridges[0]));
	assert_null(vm_find("a")->bridges[1]);
	assert_memory_equal(lan->ports[0]->address, "\x02\0\0\0\0\x0b", 6);
	assert_memory_equal(lan->ports[1]->address, "\x02\0\0\0\0\x0a", 6);
	assert_null(lan->ports[2]);
	assert_int_equal(dmz->ports[0]->rate, 1000000);
	assert_int_equal(dmz->ports[3]->flags, NET_ANTI_SPOOF);
	assert_memory_not_equal(dmz->ports[1]->address, dmz->ports[2]->address, 6);
	/* A new life is on the same bridge. */
	ask("reset a");
	assert_ptr_equal(vm_bridge_switch(vm_find("a")->bridges[0]), lan);
	ask("destroy b");
	assert_int_equal(bridges(), 2);
	ask("destroy a");
	assert_int_equal(bridges(), 1);
	nobody_left(before);
	assert_int_equal(bridges(), 0);
}

/* One that was typed with another's address is refused, and leaves nothing behind. */
static void whose_address(void **state)
{
	struct holdings before = holdings();

	(void)state;
	ask("create a");
	struct holdings with_a = holdings();
	typed("create\r[vm x]\rmemory = 4\rkernel = k.elf\rnet1 = bridge=dmz\rnet2 = "
	      "mac=02:00:00:00:00:0a\r.\r");
	assert_non_null(strstr(said, "x: no place on the bridge: another interface has this address"));
	assert_null(vm_find("x"));
	assert_held(with_a);
	/* Whatever fails. */
	for (long i = 0; i < 400 && !vm_find("b"); i++) {
		fail_after = i;
		ask("create b");
		fail_after = -1;
		if (!vm_find("b"))
			assert_held(with_a);
	}
	assert_non_null(vm_find("b"));
	nobody_left(before);
}

static void meters(void **state)
{
	struct holdings before = holdings();

	(void)state;
	ask("create w-1; create a");
	struct net_meters *m = &vm_bridge_switch(vm_find("a")->bridges[2])->ports[1]->meters;
	*m = (struct net_meters){1, 20, 3, 4, 5, 6, 70, 8, 9, 84, 70, 2};
	const char *text = ask("stats a");
	assert_non_null(
	    strstr(text, "           0  frames sent, 0 bytes, by net1, 02:00:00:00:00:0a on lan; 0 bad"));
	assert_non_null(strstr(text, "           1  frames sent, 20 bytes, by net3, "));
	assert_non_null(
	    strstr(text, " on dmz; 3 bad, 4 spoofed, 5 filtered\n"
			 "           6  frames received, 70 bytes; 8 dropped, 9 filtered\n"
			 "           0  doorbells, 0 interrupts, 0 suppressed; 0 exits, 84 and 70 bytes "
			 "copied\n"));
	text = ask("stats -j a");
	assert_non_null(strstr(text, "\"networks\":[{\"key\":\"net1\",\"bridge\":\"lan\","
				     "\"address\":\"02:00:00:00:00:0a\",\"sent_frames\":0,"));
	assert_non_null(
	    strstr(text, "\"sent_frames\":1,\"sent_bytes\":20,\"bad\":3,\"spoofed\":4,"
			 "\"sent_filtered\":5,\"received_frames\":6,\"received_bytes\":70,"
			 "\"dropped\":8,\"received_filtered\":9,\"copied_sending\":84,"
			 "\"copied_receiving\":70,\"received_flipped\":2,\"doorbells\":0,\"interrupts\":0,"
			 "\"suppressed\":0,\"exits\":0}]}"));
	/* Together, for bills and for top: bytes of all interfaces. */
	m->tx_bytes = 1536 << 10;
	vm_bridge_switch(vm_find("a")->bridges[0])->ports[0]->meters.tx_bytes = 512 << 10;
	assert_non_null(strstr(ask("list -j a"), "\"disk_reads\":0,\"disk_writes\":0,\"disk_bytes_read\":0,"
						 "\"disk_bytes_written\":0,\"net_bytes_sent\":2097152,"
						 "\"net_bytes_received\":70,\"net_dropped\":8}]"));
	text = ask("top -n -d");
	assert_non_null(strstr(
	    text,
	    "NAME                    ID  STATE  CPU(%)    VBD_RD    VBD_WR  NETTX(k)  NETRX(k)\x1b[K\n"));
	assert_non_null(strstr(text, "         0         0      2048         0\x1b[K\n"));
	assert_non_null(strstr(ask("top -j"), "\"net_bytes_sent\":2097152,"));
	assert_int_equal(vm_meter(vm_find("a"), GUEST_METER_COPIED), 154);
	assert_int_equal(vm_meter(vm_find("a"), GUEST_METER_DROPPED), 8);
	assert_int_equal(vm_meter(vm_find("a"), 0x999), 0);
	*m = (struct net_meters){0};
	nobody_left(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(who_is_there),
	    T(whose_address),
	    T(meters),
	};
	config_used = networks;
	return cmocka_run_group_tests(tests, once, NULL);
}
