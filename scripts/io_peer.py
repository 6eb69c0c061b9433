#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The other side of what bench-io measures to the outside: runs a command in a network namespace of its own (start this with
unshare -n) that has a tap interface, tap0, and answers there, at 10.0.0.2, what the bare guest `net` (guests/bench/net.c) and
frames of the Linux guest (guests/linux/frames.c) ask for. Usage: io_peer.py COMMAND..."""
import socket
import struct
import sys

import tap

ADDRESS, PORT = ("10.0.0.2", 7000), 7000
OWN = bytes.fromhex("02534f434c45")
ETH_P_ALL, OUTGOING = 3, 4

# ---- the bare guest: guests/bench/net/talk.h ----
BODY_AT, SMALL = 54, 64
HELLO, WELCOME, ORDER, DATA, COUNT, PING, PONG, ASK, TELL, BYE = range(10)
TX, RX, RR = range(3)
BODY, WORDS = struct.Struct("<HII"), struct.Struct("<4I")


class Talker:
    """Answers frames. send: takes a frame."""

    def __init__(self, send):
        self.send, self.other = send, bytes(6)
        self.op, self.size, self.frames, self.burst, self.got, self.sent, self.acked = None, 0, 0, 0, 0, 0, 0

    def say(self, kind, value=0, size=SMALL, more=b""):
        head = self.other + OWN + b"\x08\x00" + b"\x45" + bytes(BODY_AT - 15)
        self.send((head + BODY.pack(kind, value, 0) + more).ljust(size, b"\0"))

    def push(self):
        """No more than two bursts that it has not acknowledged."""
        while self.sent < self.frames and self.sent - self.acked < 2 * self.burst:
            self.say(DATA, self.sent, self.size)
            self.sent += 1

    def take(self, frame):
        if len(frame) < SMALL or frame[:6] not in (OWN, b"\xff" * 6) or frame[12:14] != b"\x08\x00":
            return
        kind, value, _more = BODY.unpack_from(frame, BODY_AT)
        if kind == HELLO:
            self.other = frame[6:12]
            self.say(WELCOME)
        elif kind == ORDER:
            self.op, self.size, self.frames, self.burst = WORDS.unpack_from(frame, BODY_AT + BODY.size)
            self.got = self.sent = self.acked = 0
            if self.op == RX:
                self.push()
        elif kind == DATA and self.op == TX:
            self.got += value == self.got
            if self.got % self.burst == 0 or self.got == self.frames:
                self.say(COUNT, self.got)
        elif kind == COUNT and self.op == RX:
            self.acked = value
            self.push()
        elif kind == PING:
            self.say(PONG, value, self.size)
        elif kind == ASK:
            self.say(TELL, 0, SMALL, bytes(256))   # it has no meters


def talk():
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    raw.bind(("tap0", ETH_P_ALL))
    talker = Talker(raw.send)
    while True:
        frame, where = raw.recvfrom(65536)
        if where[2] != OUTGOING:
            talker.take(frame)


# ---- Linux: guests/linux/frames.c ----
L_HELLO, L_WELCOME, L_ORDER, L_READY, L_DATA, L_COUNT, L_ASK, L_TELL = range(8)
L_BULK, L_RR, L_TCP, L_GET = range(4)
L_BODY, L_BURST, HEADERS = struct.Struct("<HHIII"), 64, 42


class Server:
    """Answers datagrams; and streams as the last order says."""

    def __init__(self):
        self.op, self.size, self.count, self.got = L_BULK, 0, 0, 0

    def answer(self, datagram):
        """What is to be said to it, or nothing."""
        if len(datagram) < L_BODY.size:
            return b""
        kind, op, value, size, count = L_BODY.unpack_from(datagram)
        if kind == L_HELLO:
            return L_BODY.pack(L_WELCOME, 0, 0, 0, 0)
        if kind == L_ORDER:
            self.op, self.size, self.count, self.got = op, size, count, 0
            return L_BODY.pack(L_READY, 0, 0, 0, 0)
        if kind == L_DATA and self.op == L_RR:
            return L_BODY.pack(L_DATA, 0, value, 0, 0).ljust(self.size - HEADERS, b"\0")
        if kind == L_DATA:
            self.got += value == self.got
            if self.got % L_BURST == 0 or self.got == self.count:
                return L_BODY.pack(L_COUNT, 0, self.got, 0, 0)
        if kind == L_ASK:
            return L_BODY.pack(L_TELL, 0, 0, 0, 0) + bytes(512)   # it has no meters
        return b""

    def datagrams(self):
        net = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        net.bind(ADDRESS)
        while True:
            datagram, other = net.recvfrom(65536)
            said = self.answer(datagram)
            if said:
                net.sendto(said, other)

    def streams(self):
        listener = socket.create_server(ADDRESS)
        while True:
            stream, _other = listener.accept()
            left = self.size * self.count
            if self.op == L_GET:
                stream.sendall(bytes(left))
                stream.recv(1)
            while self.op == L_TCP and left > 0:
                part = len(stream.recv(65536))
                left = left - part if part else 0
            if self.op == L_TCP:
                stream.sendall(b".")
            stream.close()


def main():
    server = Server()
    return tap.run(ADDRESS[0], (talk, server.datagrams, server.streams), sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
