#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command in a network namespace of its own (start it with unshare -n) that has a tap interface, tap0, with
the address 10.77.0.1, and a server: TCP port 7000 sends the bytes of DATA and ends; port 7001 takes bytes to the end
and answers with their SHA-256. Usage: tapped.py DATA COMMAND..."""
import hashlib
import os
import socketserver
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts"))
import tap  # noqa: E402


def sender(data):
    class Sender(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(data)
    return Sender


class Taker(socketserver.BaseRequestHandler):
    def handle(self):
        digest = hashlib.sha256()
        while piece := self.request.recv(65536):
            digest.update(piece)
        self.request.sendall(digest.hexdigest().encode() + b"\n")


def main():
    with open(sys.argv[1], "rb") as f:
        data = f.read()
    servers = [socketserver.ThreadingTCPServer(("0.0.0.0", port), handler)
               for port, handler in ((7000, sender(data)), (7001, Taker))]
    return tap.run("10.77.0.1", [server.serve_forever for server in servers], sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
