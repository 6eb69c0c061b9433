/* SPDX-License-Identifier: Apache-2.0 */
/* ARP, IPv4 and echo. */
#include "ip.h"
#include "../lib/interrupts.h"
#include "apic.h"
#include "page.h"

#define SLOTS (2 * NET_BUFFERS) /* frames in memory: none is used again before it has left */
#define VECTOR 0x71
#define MSR_TSC_DEADLINE 0x6e0
#define NAP ((u64)2000000) /* ticks of the TSC */
#define FRAME_MIN 60u
enum { TYPE_IP = 0x0800, TYPE_ARP = 0x0806, PROTOCOL_ICMP = 1 };

static struct {
	const struct net_driver *net;
	u8 mac[6], other_mac[6];
	bool found; /* other_mac is */
	u8 *frames;
	u32 slot;
	u16 echo, echoed, ip_id; /* sequence numbers: asked, answered */
	u32 echo_sum;
} ip;
u32 ip_own, ip_other;

/* The ones' complement sum (RFC 1071) in the order of memory, of 16 bits. */
u64 ip_sum(u64 s, const u8 *p, u32 bytes)
{
	for (; bytes >= 4; bytes -= 4, p += 4)
		s += *(const u32 *)p;
	if (bytes & 2) {
		s += *(const u16 *)p;
		p += 2;
	}
	if (bytes & 1)
		s += *p;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

void ip_put_sum(u8 *p, u64 s)
{
	*(u16 *)p = (u16)~s;
}

/* ---- frames ---- */
u8 *ip_frame(void)
{
	return ip.frames + ip.slot++ % SLOTS * (u64)NET_PAGE + NET_HEADROOM;
}

static void ether(u8 *f, const u8 to[6], u32 type)
{
	memcpy(f, to, 6);
	memcpy(f + 6, ip.mac, 6);
	put16(f + 12, type);
}

static void send(u8 *f, u32 bytes)
{
	for (; bytes < FRAME_MIN; bytes++)
		f[bytes] = 0;
	while (!ip.net->put(f, bytes, 0))
		ip.net->kick();
}

/* f has its data behind the header of IPv4, which is filled in. */
void ip_send(u8 *f, u8 protocol, u32 bytes)
{
	static const u8 header[12] = {0x45, 0, 0, 0, 0, 0, 0x40, 0, 64};
	u8 *h = f + IP_AT;

	ether(f, ip.other_mac, TYPE_IP);
	memcpy(h, header, sizeof(header));
	put16(h + 2, 20 + bytes);
	put16(h + 4, ip.ip_id++);
	h[9] = protocol;
	put32(h + 12, ip_own);
	put32(h + 16, ip_other);
	ip_put_sum(h + 10, ip_sum(0, h, 20));
	send(f, TCP_AT + bytes);
}

static void send_arp(u32 operation, const u8 to[6])
{
	static const u8 header[6] = {0, 1, 8, 0, 6, 4};
	u8 *f = ip_frame();

	ether(f, to, TYPE_ARP);
	memcpy(f + 14, header, 6);
	put16(f + 20, operation);
	memcpy(f + 22, ip.mac, 6);
	put32(f + 28, ip_own);
	memcpy(f + 32, to, 6);
	put32(f + 38, ip_other);
	send(f, 42);
	ip.net->kick();
}

/* ---- what comes ---- */
static void take_arp(const u8 *f, u32 bytes)
{
	if (bytes < 42 || get32(f + 28) != ip_other || get32(f + 38) != ip_own)
		return;
	memcpy(ip.other_mac, f + 22, 6);
	ip.found = true;
	if (get16(f + 20) == 1)
		send_arp(2, ip.other_mac);
}

static void take_icmp(const u8 *f, u32 bytes)
{
	const u8 *m = f + TCP_AT;

	if (bytes < 8 || ip_sum(0, m, bytes) != 0xffff) {
		tcp_counts.wrong++;
		return;
	}
	if (m[0] == 0 && get16(m + 6) == ip.echo && ip_sum(0, m + 4, bytes - 4) == ip.echo_sum)
		ip.echoed = ip.echo;
	if (m[0] == 8 && bytes <= 1480) {
		u8 *answer = ip_frame();
		memcpy(answer + TCP_AT, m, bytes);
		answer[TCP_AT] = 0;
		put32(answer + TCP_AT, get32(answer + TCP_AT) & 0xffff0000);
		ip_put_sum(answer + TCP_AT + 2, ip_sum(0, answer + TCP_AT, bytes));
		ip_send(answer, PROTOCOL_ICMP, bytes);
		ip.net->kick();
	}
}

static void take(const u8 *f, u32 bytes)
{
	const u8 *h = f + IP_AT;
	u32 length;

	if (bytes >= TCP_AT && get16(f + 12) == TYPE_ARP)
		take_arp(f, bytes);
	if (bytes < TCP_AT || get16(f + 12) != TYPE_IP || get32(h + 16) != ip_own ||
	    get32(h + 12) != ip_other)
		return;
	length = get16(h + 2);
	if (h[0] != 0x45 || get16(h + 6) & 0x3fff || length < 20 || length > bytes - IP_AT ||
	    ip_sum(0, h, 20) != 0xffff) {
		tcp_counts.wrong++;
		return;
	}
	if (h[9] == PROTOCOL_ICMP)
		take_icmp(f, length - 20);
	if (h[9] == PROTOCOL_TCP)
		tcp_take(f, length - 20);
}

void ip_kick(void)
{
	ip.net->kick();
}

/* All that has come; where that was nothing, it waits a little for more. */
void ip_serve(void)
{
	const u8 *f;
	u32 bytes, some = 0;
	u64 since;

	for (; (f = ip.net->get(&bytes)); some++) {
		take(f, bytes);
		ip.net->release();
	}
	ip.net->kick();
	if (some)
		return;
	tcp_idle();
	since = rdtsc();
	wrmsr(MSR_TSC_DEADLINE, since + NAP);
	__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
	tcp_counts.asleep += rdtsc() - since;
}

/* ---- from outside ---- */
bool ip_open(const struct net_driver *net, const u8 mac[6], u32 own, u32 other)
{
	static const u8 all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	ip.net = net;
	memcpy(ip.mac, mac, 6);
	ip_own = own;
	ip_other = other;
	ip.frames = mem_alloc(SLOTS);
	if (!ip.frames || !tcp_begin() || !apic_has_deadline())
		return false;
	interrupts_on(VECTOR);
	apic_write(APIC_LVT_TIMER, APIC_TIMER_DEADLINE | VECTOR);
	for (u32 i = 0; i < TRIES && !ip.found; i++) {
		send_arp(1, all);
		for (u64 since = rdtsc(); !ip.found && rdtsc() - since < PATIENCE;)
			ip_serve();
	}
	return ip.found;
}

bool ip_echo(u32 bytes)
{
	u8 *f = ip_frame(), *m = f + TCP_AT;
	u64 since = rdtsc();

	put32(m, 0x08000000);
	put16(m + 4, 0x50c1);
	put16(m + 6, ++ip.echo);
	for (u32 i = 0; i < bytes; i++)
		m[8 + i] = (u8)(i * 7 + ip.echo);
	ip.echo_sum = (u32)ip_sum(0, m + 4, bytes + 4);
	ip_put_sum(m + 2, ip_sum(0, m, bytes + 8));
	ip_send(f, PROTOCOL_ICMP, bytes + 8);
	ip.net->kick();
	while (ip.echoed != ip.echo && rdtsc() - since < TRIES * PATIENCE)
		ip_serve();
	return ip.echoed == ip.echo;
}
