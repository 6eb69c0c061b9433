#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command in a network namespace of its own (start it with unshare -n) that has a tap interface, tap0, with
the address 10.77.0.1, and a server: TCP port 7000 sends the bytes of DATA and ends; port 7001 takes bytes to the end
and answers with their SHA-256. Usage: tapped.py DATA COMMAND..."""
import hashlib
import socketserver
import subprocess
import sys
import threading

SETUP = ["ip link set lo up", "ip tuntap add tap0 mode tap", "ip addr add 10.77.0.1/24 dev tap0", "ip link set tap0 up"]


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
    for line in SETUP:
        subprocess.run(line.split(), check=True)
    for port, handler in ((7000, sender(data)), (7001, Taker)):
        server = socketserver.ThreadingTCPServer(("0.0.0.0", port), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    process = subprocess.Popen(sys.argv[2:])
    try:
        sys.exit(process.wait())
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
