# SPDX-License-Identifier: Apache-2.0
"""A tap interface, tap0, and a command that uses it, in the network namespace that unshare -n has made."""
import os
import subprocess
import sys
import threading

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from signals import end_tidily  # noqa: E402

SETUP = "ip link set lo up", "ip tuntap add tap0 mode tap", "ip addr add %s/24 dev tap0", "ip link set tap0 up"


def run(address, servers, argv):
    """Gives tap0 that IPv4 address, runs each of servers() in a thread, then the command, and returns its status. Who ends this by a
    signal ends the command."""
    end_tidily()
    for line in SETUP:
        subprocess.run((line.replace("%s", address)).split(), check=True)
    for serve in servers:
        threading.Thread(target=serve, daemon=True).start()
    process = subprocess.Popen(argv)
    try:
        return process.wait()
    finally:
        process.terminate()
        process.wait()
