# SPDX-License-Identifier: Apache-2.0
"""The emulator's process for scripts/run: what it says, how it ends, and that nothing stays behind."""
import ctypes
import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios

LOG_KEEP = 256 << 10
EXIT_OFF, EXIT_USAGE, EXIT_EMULATOR, EXIT_QUIT, EXIT_TIME = 0, 2, 3, 4, 124


class Failure(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Keeper:
    """A child that does nothing until this process has gone, even by SIGKILL: then it ends the
    emulator, restores the terminal and removes the folder."""

    def __init__(self, folder, terminal):
        saved = termios.tcgetattr(terminal) if terminal is not None else None
        sys.stdout.flush()
        read, self.pipe = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.pipe)
            os.setsid()
            for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTTOU):
                signal.signal(s, signal.SIG_IGN)
            try:
                self.watch(read, folder, terminal, saved)
            finally:
                os._exit(0)
        os.close(read)

    @staticmethod
    def watch(read, folder, terminal, saved):
        emulator = b""
        while data := os.read(read, 64):
            emulator += data
        if emulator:
            try:
                os.killpg(int(emulator), signal.SIGKILL)
            except ProcessLookupError:
                pass
        if saved is not None:
            termios.tcsetattr(terminal, termios.TCSADRAIN, saved)
        shutil.rmtree(folder, ignore_errors=True)

    def started(self, pid):
        os.write(self.pipe, b"%d" % pid)

    def done(self):
        os.close(self.pipe)
        os.waitpid(self.pid, 0)


class Emulator:
    """The process, on a pseudo-terminal of its own (Bochs' display needs one), and what it said last."""

    def __init__(self, argv, more_env, keeper):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        libc = ctypes.CDLL(None)
        parent = os.getpid()

        def in_child():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            libc.prctl(1, signal.SIGKILL)   # PR_SET_PDEATHSIG
            if os.getppid() != parent:
                os._exit(1)

        env = dict(os.environ, TERM="xterm", LC_ALL="C", **more_env)
        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=env,
                                        preexec_fn=in_child)
        os.close(slave)
        keeper.started(self.process.pid)
        self.tail = b""

    def read_display(self):
        """False when the terminal is closed."""
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.tail = (self.tail + data)[-65536:]
        return bool(data)

    def last_words(self):
        text = re.sub(rb"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])", b"\n", self.tail).decode(errors="replace")
        found = re.findall(r"exiting with the following message:\s*(.+?)\s*=====", text, re.S)
        if found:
            return " ".join(found[-1].split())
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1][-200:] if lines else "it said nothing"

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class LogTail:
    """Bochs' log, through a pipe; only its last part is kept, in memory, until the end."""

    def __init__(self, folder, path):
        self.path, self.data = path, b""
        os.mkfifo(folder + "/log")
        self.fd = os.open(folder + "/log", os.O_RDWR | os.O_NONBLOCK)

    def read(self):
        self.data = (self.data + os.read(self.fd, 1 << 20))[-LOG_KEEP:]
        return True

    def save(self):
        try:
            while self.read():
                pass
        except BlockingIOError:
            pass
        with open(self.path, "wb") as f:
            f.write(self.data)
