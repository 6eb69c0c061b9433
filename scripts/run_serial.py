# SPDX-License-Identifier: Apache-2.0
"""COM1 of the machine for scripts/run: the operator's end, and the bridge between both."""
import os
import selectors
import signal
import socket
import time
import tty

from run_process import EXIT_QUIT, EXIT_TIME, EXIT_USAGE, Failure

ESCAPE = 0x1d    # Ctrl-]
QUIT_GRACE = 3   # seconds that Socle has to power off after Ctrl-] q


class Operator:
    """Where the machine's bytes go to, and come from. fd_in is None where there is no (more) input."""
    fd_in = None
    quit_at = None

    def __init__(self):
        self.escaped = False

    def watch_quit(self, data):
        """Sees Ctrl-] q pass by: Socle should power off now. Ctrl-] twice is the character itself."""
        for byte in data:
            if self.escaped:
                self.escaped = False
                if byte == ord("q"):
                    self.quit_at = time.monotonic() + QUIT_GRACE
            elif byte == ESCAPE:
                self.escaped = True

    def listen(self):
        return None

    def close(self):
        pass


class Stdio(Operator):
    def __init__(self, raw):
        super().__init__()
        if raw:
            tty.setraw(0)
        try:
            os.fstat(0)
            self.fd_in = 0
        except OSError:
            self.fd_in = None

    def read(self):
        data = os.read(0, 4096)
        self.watch_quit(data)
        return data

    def write(self, data):
        while data:
            data = data[os.write(1, data):]


class File(Operator):
    def __init__(self, path):
        super().__init__()
        self.file = open(path, "wb", buffering=0)

    def write(self, data):
        self.file.write(data)


class Socket(Operator):
    def __init__(self, port):
        super().__init__()
        self.server = socket.create_server(("127.0.0.1", port))
        self.server.listen(1)
        self.client = None

    def listen(self):
        return self.server

    def accept(self):
        """A new client takes the place of an old one."""
        client, _ = self.server.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.close()
        self.client, self.fd_in = client, client.fileno()

    def read(self):
        try:
            return self.client.recv(4096)
        except OSError:
            return b""

    def write(self, data):
        try:
            if self.client:
                self.client.sendall(data)
        except OSError:
            pass   # it went away; reading will say so

    def close(self):
        if self.client:
            self.client.close()
            self.client, self.fd_in = None, None


def open_operator(where, raw):
    kind, _, rest = where.partition(":")
    try:
        if where == "stdio":
            return Stdio(raw)
        if kind == "file" and rest:
            return File(rest)
        if kind == "socket" and rest.isdigit() and int(rest) < 65536:
            return Socket(int(rest))
    except OSError as e:
        raise Failure(EXIT_USAGE, "-s %s: %s" % (where, e.strerror)) from None
    raise Failure(EXIT_USAGE, "-s %s: expected stdio, file:PATH or socket:PORT" % where)


class Bridge:
    """Carries bytes between the operator and the machine until the emulator ends or the time is up."""

    def __init__(self, operator, serial_server, deadline):
        self.operator, self.deadline = operator, deadline
        self.sel = selectors.DefaultSelector()
        self.serial, self.pending = None, b""
        self.watched_in = None
        self.add(serial_server, self.accept_serial)
        self.serial_server = serial_server
        if operator.listen():
            self.add(operator.listen(), self.accept_operator)

    def add(self, thing, fn):
        """Regular files cannot be polled; they only occur as standard input and are read at once."""
        try:
            self.sel.register(thing, selectors.EVENT_READ, fn)
        except PermissionError:
            return False
        return True

    def timeout(self):
        ends = [t for t in (self.deadline, self.operator.quit_at) if t is not None]
        return max(0, min(ends) - time.monotonic()) if ends else None

    def check_time(self):
        now = time.monotonic()
        if self.deadline is not None and now >= self.deadline:
            raise Failure(EXIT_TIME, "the time was up")
        if self.operator.quit_at is not None and now >= self.operator.quit_at:
            raise Failure(EXIT_QUIT, "ended by Ctrl-] q")

    def accept_serial(self):
        self.serial, _ = self.serial_server.accept()
        self.serial.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.serial.setblocking(False)
        self.sel.unregister(self.serial_server)
        self.serial_server.close()
        self.add(self.serial, self.from_machine)

    def accept_operator(self):
        self.unwatch_input()
        self.operator.accept()

    def unwatch_input(self):
        if self.watched_in is not None:
            self.sel.unregister(self.watched_in)
            self.watched_in = None

    def from_machine(self):
        try:
            data = self.serial.recv(65536)
            self.serial.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if not data:
            self.sel.unregister(self.serial)
            self.serial.close()
            self.serial = None
            return False
        try:
            self.operator.write(data)
        except BrokenPipeError:
            raise Failure(128 + signal.SIGPIPE, "nobody reads the output any more") from None
        return True

    def from_operator(self):
        data = self.operator.read()
        self.pending += data
        if not data:
            self.unwatch_input()
            if self.operator.listen():
                self.operator.close()
            else:
                self.operator.fd_in = None

    def flush(self):
        """Hands on what was typed; the socket's buffer pushes back when the machine is slow."""
        if self.pending and self.serial:
            try:
                self.pending = self.pending[self.serial.send(self.pending):]
            except BlockingIOError:
                pass
            except OSError:
                self.pending = b""

    def step(self):
        # Input is taken only when what came before has been handed on.
        fd = self.operator.fd_in
        if fd is not None and self.watched_in is None and not self.pending and self.serial:
            if self.add(fd, self.from_operator):
                self.watched_in = fd
            else:
                self.from_operator()
        elif self.pending:
            self.unwatch_input()
        timeout = self.timeout()
        if self.pending:
            timeout = 0.02 if timeout is None else min(timeout, 0.02)
        for key, _ in self.sel.select(timeout):
            key.data()
        self.flush()
        self.check_time()

    def wait_operator(self):
        while self.operator.listen() and self.operator.client is None:
            self.step()

    def drain(self):
        if self.serial is None and self.serial_server.fileno() >= 0:
            return
        while self.serial and self.from_machine():
            pass
