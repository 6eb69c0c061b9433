# SPDX-License-Identifier: Apache-2.0
"""scripts/run itself: exit status, serial port, and that nothing outlives it."""
import glob
import hashlib
import os
import pty
import re
import signal
import socket
import subprocess
import termios
import time

import pytest
from conftest import BUILD, FIRMWARE_STARTS_US, TOP, WARM, clean, emulator_slot

RUN = os.path.join(TOP, "scripts/run")
ENGINES = ["bochs", "qemu"]
TEXT = b"".join(b"%04d the quick brown fox jumps over the lazy dog 0123456789 ~!@#$%%^&*()\n" % n for n in range(140))


@pytest.fixture
def echo(booter):
    """An image whose program sends back what it gets."""
    return booter.image(None, efi=os.path.join(BUILD, "tests/echo.efi"))


@pytest.fixture
def run(echo, tmp_path):
    """Starts scripts/run with a temporary directory of its own, by which its leftovers are known."""
    started = []

    def start(*args, **kw):
        argv = [RUN, "-i", echo, "-t", "150", *WARM, *args]
        started.append(subprocess.Popen(argv, stderr=subprocess.PIPE, env=dict(os.environ, TMPDIR=str(tmp_path)), **kw))
        return started[-1]
    with emulator_slot():
        yield start
        for process in started:
            if process.poll() is None:
                process.terminate()
            process.wait()


def leftovers(tmp_path, image):
    """Processes that name our directory or image, and directories of scripts/run."""
    found = glob.glob(str(tmp_path / "socle-run.*"))
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                words = f.read()
        except OSError:
            continue
        if str(tmp_path / "socle-run").encode() in words or image.encode() in words:
            found.append(words)
    return found


def gone(tmp_path, image):
    deadline = time.monotonic() + 10
    while leftovers(tmp_path, image) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not leftovers(tmp_path, image)


def read_until(fd, what, seconds=120):
    data = b""
    os.set_blocking(fd, True)
    deadline = time.monotonic() + seconds
    while what not in data:
        assert time.monotonic() < deadline, data
        piece = os.read(fd, 65536)
        assert piece, data
        data += piece
    return data


@pytest.mark.parametrize("engine", ENGINES)
def test_paste_and_power_off(run, engine, tmp_path, echo):
    """10 KB arrive whole, both ways; the end is the machine's own, status 0."""
    p = run("-e", engine, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    read_until(p.stdout.fileno(), b"echo ready\r\n")
    p.stdin.write(TEXT)
    p.stdin.flush()
    assert read_until(p.stdout.fileno(), TEXT[-80:]) == TEXT
    p.stdin.write(b"\x04")
    p.stdin.close()
    assert p.wait(60) == 0, p.stderr.read()
    gone(tmp_path, echo)


def test_socket(run):
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    p = run("-e", "bochs", "-s", "socket:%d" % port, stdin=subprocess.DEVNULL)
    for _ in range(100):
        try:
            client = socket.create_connection(("127.0.0.1", port))
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    read_until(client.fileno(), b"echo ready\r\n")
    client.sendall(TEXT[:1000])
    assert read_until(client.fileno(), TEXT[920:1000]) == TEXT[:1000]
    client.close()   # another client may come back to the same machine
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(b"again\n\x04")
    assert read_until(client.fileno(), b"again\n") == b"again\n"
    assert p.wait(60) == 0, p.stderr.read()


def test_file_and_time_limit(run, tmp_path, echo):
    started = time.monotonic()
    p = run("-e", "bochs", "-s", "file:%s/serial" % tmp_path, "-t", "30", stdin=subprocess.DEVNULL)
    assert p.wait(60) == 124
    assert 29 < time.monotonic() - started < 40
    assert b"the time was up" in p.stderr.read()
    assert "echo ready" in clean((tmp_path / "serial").read_bytes())
    gone(tmp_path, echo)


def test_no_standard_input(run):
    """As under a CI that closes it."""
    p = run("-e", "bochs", "-t", "3", stdout=subprocess.DEVNULL, preexec_fn=lambda: os.close(0))
    assert p.wait(60) == 124, p.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("engine", ENGINES)
def test_killed(run, engine, number, tmp_path, echo):
    """Terminal, processes and files are as before, even where run had no chance to clean up."""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    p = run("-e", engine, stdin=slave, stdout=slave)
    time.sleep(2)
    assert termios.tcgetattr(slave) != before, "not in raw mode"
    assert leftovers(tmp_path, echo)
    p.send_signal(number)
    assert p.wait(20) == (-9 if number == signal.SIGKILL else 128 + number)
    gone(tmp_path, echo)
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_terminal_and_quit(run, tmp_path, echo):
    """Raw mode: Ctrl-C is the machine's. Ctrl-] q ends even a machine that does not listen."""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    p = run("-e", "bochs", stdin=slave, stdout=slave)
    read_until(master, b"echo ready\r\n")
    os.write(master, b"\x03\x1a\r\n")
    assert read_until(master, b"\r\n") == b"\x03\x1a\r\n"
    os.write(master, b"\x05\x1dq")
    assert p.wait(20) == 4
    assert termios.tcgetattr(slave) == before
    assert b"ended by Ctrl-] q" in p.stderr.read()
    gone(tmp_path, echo)
    os.close(master)
    os.close(slave)


def test_one_image_twice(run, echo):
    """Two machines from one image do not disturb each other, and the image stays as it is."""
    def digest():
        with open(echo, "rb") as f:
            return hashlib.sha256(f.read()).digest()
    before = digest()
    machines = []
    with emulator_slot():
        for _ in range(2):
            machines.append(run("-e", "bochs", stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        for p in machines:
            read_until(p.stdout.fileno(), b"echo ready\r\n")
        for p in machines:
            p.stdin.write(b"\x04")
            p.stdin.close()
        assert [p.wait(60) for p in machines] == [0, 0]
    assert digest() == before
    assert not glob.glob(echo + "*lock*")


@pytest.mark.parametrize("args, says", [
    (["-i", "/nonexistent/disk.img"], "no such image"),
    (["-s", "carrier-pigeon"], "expected stdio, file:PATH or socket:PORT"),
    (["-s", "file:/nonexistent/x"], "No such file or directory"),
    (["-e", "vmware"], "invalid choice"),
    (["-m", "lots"], "invalid int value"),
    (["--cpu-model", "abacus"], "Bochs knows bx_generic"),
], ids=["image", "serial", "file", "emulator", "memory", "model"])
def test_wrong_arguments(run, args, says):
    p = run("-e", "bochs", *args, stdin=subprocess.DEVNULL)
    assert p.wait(20) == 2
    assert says in p.stderr.read().decode()


def test_emulator_gives_up(run):
    p = run("-e", "qemu", "--cpu-model", "abacus", stdin=subprocess.DEVNULL)
    assert p.wait(20) == 3
    assert "unable to find CPU model 'abacus'" in p.stderr.read().decode()


def test_warm_start(booter, guest, tmp_path):
    """The second run begins where the first one saved the machine, with another image, and goes on as a cold one does."""
    warm, said = tmp_path / "warm", []
    warm.mkdir()
    os.symlink(os.path.join(BUILD, "warm/save.so"), warm / "save.so")
    for files in ({}, {"large": bytes(20 << 20)}):
        img = booter.image("[vm a]\nmemory = 64\nkernel = hello.elf\n", {"hello.elf": guest("hello"), **files})
        with emulator_slot():
            done = subprocess.run([RUN, "-e", "bochs", "-i", img, "-t", "150", "--warm", str(warm)], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, check=False)
        assert done.returncode == 0
        said.append(re.sub(r"\[socle .*?\]|\d+ us|[\d.]+ MHz", "", FIRMWARE_STARTS_US.split(clean(done.stdout), 1)[-1]))
    states = [path for path in warm.iterdir() if path.name != "save.so"]
    assert len(states) == 1 and (states[0] / "memory.ram").exists() and not glob.glob(str(states[0] / "*.image"))
    assert "1 passed, 0 failed" in said[0]
    assert said[0] == said[1]
