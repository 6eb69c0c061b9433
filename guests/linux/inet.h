/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of IPv4. What returns a long returns what the kernel said: negative is an error. */
#pragma once

#include "sys.h"

#define SYS_SOCKET 41
#define SYS_CONNECT 42
#define SYS_ACCEPT 43
#define SYS_BIND 49
#define SYS_LISTEN 50
#define SYS_SETSOCKOPT 54
#define AF_INET 2
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOL_SOCKET 1
#define SO_REUSEADDR 2
#define SO_RCVTIMEO 20
#define IPPROTO_TCP 6
#define TCP_NODELAY 1

/* As the kernel has it: both numbers are as they are in a packet. */
struct inet_place {
	uint16_t family, port;
	uint32_t address;
	uint64_t zero;
};

static inline uint32_t inet_address(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return a | (uint32_t)b << 8 | (uint32_t)c << 16 | (uint32_t)d << 24;
}

static inline struct inet_place inet_place(uint32_t address, unsigned port)
{
	return (struct inet_place){AF_INET, (uint16_t)(port >> 8 | port << 8), address, 0};
}

static inline long inet_option(int fd, int level, int which, const void *value, size_t bytes)
{
	return sys_call(SYS_SETSOCKOPT, fd, level, which, (long)value, (long)bytes);
}

/* A socket of SOCK_STREAM or SOCK_DGRAM at that place; port 0: any. */
static inline long inet_open(int type, uint32_t address, unsigned port)
{
	struct inet_place own = inet_place(address, port);
	int one = 1;
	long rc, fd = sys_call(SYS_SOCKET, AF_INET, type, 0, 0, 0);

	if (fd < 0)
		return fd;
	inet_option((int)fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	rc = sys_call(SYS_BIND, fd, (long)&own, sizeof(own), 0, 0);
	return rc < 0 ? rc : fd;
}

static inline long inet_connect(int fd, uint32_t address, unsigned port)
{
	struct inet_place peer = inet_place(address, port);
	return sys_call(SYS_CONNECT, fd, (long)&peer, sizeof(peer), 0, 0);
}

static inline long inet_accept(int listener)
{
	return sys_call(SYS_ACCEPT, listener, 0, 0, 0, 0);
}
