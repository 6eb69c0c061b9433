# SPDX-License-Identifier: Apache-2.0
"""Boots machines for tests.

    def test_hello(boot, guest):
        m = boot("[vm a]\nmemory = 64\nkernel = hello.elf\n", {"hello.elf": guest("hello")})
        assert m.status == 0 and "hello" in m.text

boot() makes an image, runs it to its end and returns a Machine. console() starts one and returns a
Console to talk to, with pexpect's expect() and send(). Both run in Bochs unless told otherwise, and at
most two emulators run at a time, whoever starts them."""
import contextlib
import fcntl
import os
import re
import subprocess
import sys
import time

import pexpect
import pexpect.popen_spawn
import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("SOCLE_BUILD", os.path.join(TOP, "build")))
# Lock files, one for each emulator that may run at a time.
SLOTS = os.environ.get("SOCLE_SLOTS", ":".join(os.path.join(BUILD, "emulator.%d" % n) for n in (1, 2))).split(":")
WARM = () if os.environ.get("SOCLE_COLD") else ("--warm", os.path.join(BUILD, "warm"))
ESCAPES = re.compile(r"\x1b(\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|[=>])")
FIRMWARE_STARTS_US = re.compile(r'BdsDxe: starting Boot\d+ "UEFI (?!Shell).*\n')


# The longest first, so that both emulators have work until the end.
LONGEST = ("test_soak", "test_soak_io", "test_phys", "test_bench_real", "test_bench_io", "test_shipped", "test_accounting", "test_linux",
           "test_sched", "test_monitor", "test_disk", "test_ata", "test_net", "test_virtio_console", "test_kernel_text",
           "test_features", "test_steal", "test_many", "test_smp")


def pytest_collection_modifyitems(items):
    rank = {name: n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


def clean(data):
    """What a terminal would show, more or less: no escape sequences, no carriage returns."""
    return ESCAPES.sub("", data.decode("utf-8", errors="replace")).replace("\r", "")


@contextlib.contextmanager
def emulator_slot():
    files = [open(path, "a") for path in SLOTS]
    try:
        while True:
            for f in files:
                try:
                    fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield
                return
            time.sleep(0.2)
    finally:
        for f in files:
            f.close()


class Machine:
    """A finished run. status: scripts/run's (0: it powered itself off, 124: the time was up). text:
    everything the serial port said; socle: the part since the firmware started our program; errors:
    what scripts/run said."""

    def __init__(self, status, output, errors):
        self.status, self.raw, self.errors = status, output, errors
        self.text = clean(output)
        self.socle = FIRMWARE_STARTS_US.split(self.text, 1)[-1]

    def __repr__(self):   # pytest shows it when an assertion fails
        return "<status %d, %s\n%s>" % (self.status, self.errors.strip(), self.socle[-6000:])

    def lines(self, word):
        return [line for line in self.socle.splitlines() if word in line]


class Console:
    """A running machine. A thin layer over pexpect: bytes out, text in."""

    def __init__(self, argv, timeout):
        self.process = pexpect.popen_spawn.PopenSpawn(argv, timeout=timeout, maxread=65536)
        self.seen = b""

    def expect(self, pattern, timeout=-1):
        """Waits for a pattern (text or regular expression); returns what came before and with it."""
        try:
            self.process.expect(pattern, timeout=timeout)
        except (pexpect.TIMEOUT, pexpect.EOF) as e:
            waiting = self.process.before if isinstance(self.process.before, bytes) else b""
            raise AssertionError("%s instead of %r, after:\n%s" % (
                type(e).__name__, pattern, clean((self.seen + waiting)[-3000:]))) from None
        finally:
            before = self.process.before if isinstance(self.process.before, bytes) else b""
            after = self.process.after if isinstance(self.process.after, bytes) else b""
            self.seen += before + after
        return clean(before + after)

    def text(self):
        """All that was said and expected so far."""
        return clean(self.seen)

    def send(self, text):
        self.process.send(text)

    def wait(self, timeout=60):
        """Until the machine has ended; the Machine it was."""
        self.process.expect(pexpect.EOF, timeout=timeout)
        self.seen += self.process.before
        return Machine(self.process.wait(), self.seen, "")

    def close(self):
        """run ends its emulator when it is ended itself."""
        if self.process.proc.poll() is None:
            self.process.proc.terminate()
        self.process.proc.wait()


class Booter:
    def __init__(self, folder):
        self.folder = folder
        self.count = 0

    def image(self, config, files=None, witness=False, efi=None):
        """config: text of socle.conf, or None for none. files: {path on disk: host path, or bytes}.
        witness: tests/boot/witness.c starts Socle and looks what it left behind."""
        self.count += 1
        img = str(self.folder / ("disk%d.img" % self.count))
        argv = [os.path.join(TOP, "scripts/mkimage"), "-o", img]
        files = dict(files or {})
        socle = efi or os.path.join(BUILD, "socle.efi")
        if witness:
            files.setdefault("EFI/socle/socle.efi", socle)
            socle = os.path.join(BUILD, "tests/witness.efi")
        argv += ["--efi", socle]
        if config is not None:
            argv += ["-c", self.store("socle.conf", config)]
        for path, what in files.items():
            argv += ["-f", "%s=%s" % (what if isinstance(what, str) else self.store("file", what), path)]
        subprocess.run(argv, check=True)
        return img

    def store(self, name, content):
        self.count += 1
        path = self.folder / ("%d-%s" % (self.count, name))
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def argv(self, img, mem, cpus, timeout, engine, cpu_model, run_args):
        argv = [os.path.join(TOP, "scripts/run"), "-e", engine, "-i", img, "-m", str(mem), "-n", str(cpus),
                "-t", str(timeout), *WARM, *run_args]
        return argv + (["--cpu-model", cpu_model] if cpu_model else [])


@pytest.fixture
def booter(tmp_path):
    return Booter(tmp_path)


@pytest.fixture
def boot(booter):
    def run(config, files=None, *, mem=1024, cpus=1, timeout=240, engine="bochs", cpu_model=None, witness=False,
            efi=None, run_args=()):
        img = booter.image(config, files, witness, efi)
        argv = booter.argv(img, mem, cpus, timeout, engine, cpu_model, run_args)
        with emulator_slot():
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  check=False)
        os.unlink(img)
        machine = Machine(done.returncode, done.stdout, done.stderr.decode(errors="replace"))
        sys.stdout.write(machine.socle[-20000:])   # pytest shows it if the test fails
        return machine
    return run


@pytest.fixture
def console(booter):
    with contextlib.ExitStack() as stack:
        def start(config, files=None, *, mem=1024, cpus=1, timeout=240, engine="bochs", cpu_model=None, efi=None,
                  run_args=()):
            img = booter.image(config, files, False, efi)
            stack.enter_context(emulator_slot())
            machine = Console(booter.argv(img, mem, cpus, timeout, engine, cpu_model, run_args), timeout)
            stack.callback(machine.close)
            return machine
        yield start


@pytest.fixture
def guest():
    """The path of a bare guest, by its name in guests/bare."""
    def path(name):
        elf = os.path.join(BUILD, "guests", name + ".elf")
        assert os.path.exists(elf), "%s is not built: make guests" % elf
        return elf
    return path
