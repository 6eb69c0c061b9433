/* SPDX-License-Identifier: Apache-2.0 */
/* A bare guest that reaches the world outside (M73) by a virtio network interface and a TCP of its own: it is
 * 10.77.0.3 and calls tests/boot/tapped.py at 10.77.0.1. It pings that, takes all that port 7000 sends, and
 * sends `mib=` MiB to port 7001, which answers with their SHA-256. */
#include "apic.h"
#include "net/net.h"
#include "print.h"
#include "tcp/sha256.h"
#include "tcp/tcp.h"
#include "test.h"

#define OWN 0x0a4d0003u
#define OTHER 0x0a4d0001u
#define PIECE 8192u

static const struct net_driver *net = &net_virtio;
static u64 piece[PIECE / 8];

static void counts(const char *what, u64 since)
{
	print("outside: %s: %u segments sent, %u received, %u times back, %u wrong checksums, %lu ticks, %lu "
	      "asleep\n",
	      what, tcp_counts.sent, tcp_counts.received, tcp_counts.again, tcp_counts.wrong, rdtsc() - since,
	      tcp_counts.asleep);
}

static void arp(void)
{
	u8 mac[6];

	apic_init(true);
	expect(net->open(mac) && ip_open(net, mac, OWN, OTHER), "nobody is there");
}

static void ping(void)
{
	for (unsigned i = 0; i < 3; i++)
		expect(ip_echo(56) && ip_echo(1472), "no echo %u", i);
}

static void receive(void)
{
	struct sha256 sum;
	char text[65];
	u64 since = rdtsc(), all = 0;

	tcp_counts = (struct tcp_counts){0};
	sha256_begin(&sum);
	if (!expect(tcp_open(7000), "not open"))
		return;
	for (u32 n; (n = tcp_receive(piece, PIECE)); all += n)
		sha256_add(&sum, piece, n);
	expect(tcp_end(), "the end was not understood");
	sha256_end(&sum, text);
	print("outside: received %lu bytes, SHA-256 %s\n", all, text);
	counts("received", since);
}

static void transmit(void)
{
	const char *mib = test_option("mib");
	struct sha256 sum;
	char text[65], answer[66] = "";
	u64 since = rdtsc(), random = since | 1, left = (mib ? parse_number(mib) : 1) << 20;
	u32 got = 0;

	tcp_counts = (struct tcp_counts){0};
	sha256_begin(&sum);
	if (!expect(tcp_open(7001), "not open"))
		return;
	for (; left; left -= PIECE) {
		for (unsigned i = 0; i < ARRAY_SIZE(piece); i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			piece[i] = random;
		}
		sha256_add(&sum, piece, PIECE);
		if (!expect(tcp_send(piece, PIECE), "broken, %lu bytes before the end", left))
			return;
	}
	expect(tcp_end(), "the end was not understood");
	for (u32 n; got < 65 && (n = tcp_receive(answer + got, 65 - got)); got += n)
		;
	sha256_end(&sum, text);
	expect(got == 65 && !memcmp(text, answer, 64), "sent what has %s, they got %s", text, answer);
	counts("sent", since);
}

const struct test guest_tests[] = {
    {"arp", arp, 0}, {"ping", ping, 0}, {"receive", receive, 0}, {"send", transmit, 0}};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
