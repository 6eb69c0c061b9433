/* SPDX-License-Identifier: Apache-2.0 */
/* TCP. */
#include "tcp.h"
#include "ip.h"
#include "page.h"

#define RING 0x10000u /* bytes each way */
#define SEGMENT 1460u
enum flags { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

struct tcp_counts tcp_counts;
/* Sequence numbers are those of RFC 9293, 3.3.1: una <= next <= end. Byte s of what is sent is tx[s % RING].
 */
static struct {
	u16 own_port, port;
	u32 una, next, end, window;
	bool open, broken, fin, fin_come;
	u32 dup;
	u64 since;              /* `una` has grown, or it went back */
	u32 rx_next, rx_taken;  /* the same for what comes */
	u32 acked, window_told; /* what the other side knows of that */
	u8 *tx, *rx;
} c;

static u64 sum_of_tcp(const u8 *f, u32 bytes)
{
	u8 more[4] = {0, PROTOCOL_TCP};

	put16(more + 2, bytes);
	return ip_sum(ip_sum(ip_sum(0, f + IP_AT + 12, 8), more, 4), f + TCP_AT, bytes);
}

static u32 window_now(void)
{
	return RING - 1 - (c.rx_next - c.rx_taken);
}

static void send_segment(u32 sequence, u32 bytes, u32 flags)
{
	static const u8 options[4] = {2, 4, SEGMENT >> 8, SEGMENT & 0xff};
	u8 *f = ip_frame(), *h = f + TCP_AT;
	u32 header = flags & SYN ? 24 : 20;

	put16(h, c.own_port);
	put16(h + 2, c.port);
	put32(h + 4, sequence);
	put32(h + 8, flags & ACK ? c.rx_next : 0);
	h[12] = (u8)(header << 2);
	h[13] = (u8)flags;
	put16(h + 14, window_now());
	put32(h + 16, 0);
	if (flags & SYN)
		memcpy(h + 20, options, 4);
	for (u32 i = 0, n; i < bytes; i += n) {
		u32 at = (sequence + i) % RING;
		n = RING - at < bytes - i ? RING - at : bytes - i;
		memcpy(h + header + i, c.tx + at, n);
	}
	put32(f + IP_AT + 12, ip_own);
	put32(f + IP_AT + 16, ip_other);
	ip_put_sum(h + 16, sum_of_tcp(f, header + bytes));
	c.acked = c.rx_next;
	c.window_told = window_now();
	tcp_counts.sent++;
	ip_send(f, PROTOCOL_TCP, header + bytes);
}

/* What the other side has room for. */
static void transmit(void)
{
	while ((i32)(c.end - c.next) > 0 && c.next - c.una < c.window) {
		u32 room = c.window - (c.next - c.una), n = c.end - c.next;
		n = n < SEGMENT ? n : SEGMENT;
		n = n < room ? n : room;
		send_segment(c.next, n, ACK | (c.next + n == c.end ? PSH : 0));
		c.next += n;
	}
	if (c.fin && c.next == c.end)
		send_segment(c.next++, 0, ACK | FIN);
	ip_kick();
}

static void go_back(void)
{
	tcp_counts.again++;
	c.next = c.una;
	c.since = rdtsc();
	c.dup = 0;
	transmit();
}

static void take_ack(u32 ack, u32 window, bool bare)
{
	u32 grown = ack - c.una;

	c.dup = bare && !grown && c.next != c.una ? c.dup + 1 : 0;
	c.window = window;
	if (grown && grown <= c.end + c.fin - c.una) {
		c.una = ack;
		if (c.next - c.una > RING + 1) /* it went back, and they had come after all */
			c.next = c.una;
		c.since = rdtsc();
	}
	if (c.dup == 3)
		go_back();
}

static void take_data(u32 sequence, const u8 *data, u32 bytes, bool fin)
{
	u32 old = c.rx_next - sequence;

	if (old > bytes || bytes - old > window_now()) { /* not the next, or more than it may be */
		send_segment(c.next, 0, ACK);
		return;
	}
	for (u32 i = old, n; i < bytes; i += n) {
		u32 at = c.rx_next % RING;
		n = RING - at < bytes - i ? RING - at : bytes - i;
		memcpy(c.rx + at, data + i, n);
		c.rx_next += n;
	}
	if (fin && !c.fin_come) {
		c.fin_come = true;
		c.rx_next++;
	}
	if (fin || old || c.rx_next - c.acked >= 2 * SEGMENT)
		send_segment(c.next, 0, ACK);
}

void tcp_take(const u8 *f, u32 bytes)
{
	const u8 *h = f + TCP_AT;
	u32 header = bytes < 20 ? 20 : (u32)h[12] >> 4 << 2, flags = h[13];

	if (header < 20 || header > bytes || sum_of_tcp(f, bytes) != 0xffff) {
		tcp_counts.wrong++;
		return;
	}
	if (get16(h) != c.port || get16(h + 2) != c.own_port)
		return;
	tcp_counts.received++;
	if (flags & RST) {
		c.broken = true;
	} else if (!c.open) {
		if ((flags & (SYN | ACK)) == (SYN | ACK) && get32(h + 8) == c.una + 1) {
			c.una = c.next = c.end = c.una + 1;
			c.rx_next = c.rx_taken = get32(h + 4) + 1;
			c.window = get16(h + 14);
			c.open = true;
			send_segment(c.next, 0, ACK);
		}
	} else {
		if (flags & ACK)
			take_ack(get32(h + 8), get16(h + 14), bytes == header);
		if (bytes > header || flags & FIN)
			take_data(get32(h + 4), h + header, bytes - header, flags & FIN);
	}
}

/* Serves until there is no more to wait for, which `done` says; goes back where nothing moves. */
static bool wait_until(bool (*done)(void))
{
	u32 una = c.una, tries = 0;

	while (!done() && !c.broken) {
		ip_serve();
		transmit();
		if (c.una != una) {
			una = c.una;
			tries = 0;
		}
		if (c.next != c.una && rdtsc() - c.since > PATIENCE << (tries < 5 ? tries : 5)) {
			if (++tries > TRIES)
				c.broken = true;
			go_back();
		}
	}
	return !c.broken;
}

bool tcp_begin(void)
{
	c.tx = mem_alloc(RING / PAGE_SIZE);
	c.rx = mem_alloc(RING / PAGE_SIZE);
	return c.tx && c.rx;
}

void tcp_idle(void)
{
	if (c.rx_next == c.acked)
		return;
	send_segment(c.next, 0, ACK);
	ip_kick();
}

bool tcp_open(u16 port)
{
	u8 *tx = c.tx, *rx = c.rx;
	u16 own_port = c.own_port ? (u16)(c.own_port + 1) : (u16)(49152 + (rdtsc() >> 4 & 0xfff));

	memset(&c, 0, sizeof(c));
	c.tx = tx;
	c.rx = rx;
	c.own_port = own_port;
	c.port = port;
	c.una = (u32)rdtsc();
	for (u32 i = 0; i < TRIES && !c.open && !c.broken; i++) {
		send_segment(c.una, 0, SYN);
		ip_kick();
		for (u64 since = rdtsc(); !c.open && !c.broken && rdtsc() - since < PATIENCE;)
			ip_serve();
	}
	c.since = rdtsc();
	return c.open && !c.broken;
}

static bool has_room(void)
{
	return c.end - c.una < RING;
}

bool tcp_send(const void *data, u32 bytes)
{
	const u8 *from = data;

	while (bytes) {
		u32 at = c.end % RING, n = RING - at;
		if (!wait_until(has_room))
			return false;
		n = n < RING - (c.end - c.una) ? n : RING - (c.end - c.una);
		n = n < bytes ? n : bytes;
		memcpy(c.tx + at, from, n);
		if (c.next == c.una) /* nothing was out: the time begins now */
			c.since = rdtsc();
		c.end += n;
		from += n;
		bytes -= n;
		transmit();
	}
	return true;
}

static bool has_data(void)
{
	return c.rx_taken != c.rx_next - c.fin_come || c.fin_come;
}

u32 tcp_receive(void *data, u32 most)
{
	u8 *to = data;
	u32 have, at, n;

	wait_until(has_data);
	have = c.rx_next - c.fin_come - c.rx_taken;
	at = c.rx_taken % RING;
	n = have < most ? have : most;
	n = n < RING - at ? n : RING - at;
	memcpy(to, c.rx + at, n);
	c.rx_taken += n;
	if (c.window_told < RING / 4 && window_now() >= RING / 2) { /* the other side may go on */
		send_segment(c.next, 0, ACK);
		ip_kick();
	}
	return n;
}

static bool all_known(void)
{
	return c.una == c.end + c.fin;
}

bool tcp_end(void)
{
	c.fin = true;
	c.since = rdtsc();
	transmit();
	return wait_until(all_known);
}
