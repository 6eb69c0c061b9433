# SPDX-License-Identifier: Apache-2.0
"""Talks to a shell of the Linux guest."""
import os
import re

from conftest import BUILD, clean

PROMPT = r"guest:\S+# "
FILES = {"boot/vmlinuz": os.path.join(BUILD, "guests/linux/bzImage"),
         "boot/initrd": os.path.join(BUILD, "guests/linux/initrd")}
CMDLINE = "console=ttyS0 quiet loglevel=3 nokaslr mitigations=off"
# The kernel's words for what must not happen.
TROUBLE = re.compile(r"BUG|WARNING|Call Trace|Oops|cut here|lockup|stall|Machine check|segfault|[Uu]nstable|unchecked MSR|"
                     r"nobody cared|[Ss]purious|inconsisten", re.M)


def vm(name="linux", test="", more=""):
    return ("[vm %s]\nmemory = 256M\nkernel = /boot/vmlinuz\ninitrd = \\boot\\initrd\ncmdline = %s%s\n%s\n" %
            (name, CMDLINE, " socle.test=" + test if test else "", more))


class Shell:
    """Commands and answers. Lines of Socle's log may come in between."""

    def __init__(self, console):
        self.console, self.count = console, 0

    def ready(self, timeout=240):
        """Waits for the first prompt; returns everything before it."""
        text = self.console.expect("first user process", timeout=timeout) + self.console.expect(PROMPT, timeout=timeout)
        self.console.send("stty cols 500\r")   # its line editor breaks what is longer
        self.console.expect("cols 500", timeout=20)
        self.console.expect(PROMPT, timeout=20)
        return text

    def ask(self, command, timeout=60):
        """What a command printed. Its echo ends at the quote that its answer does not have; there is a second echo, behind a
        prompt, where the terminal took the line before the shell looked."""
        self.count += 1
        self.console.send("%s; echo 'end'%d\r" % (command, self.count))
        self.console.expect(r"'end'%d\r?\n" % self.count, timeout)
        text = self.console.expect(r"end%d\r?\n" % self.count, timeout)
        return clean(text.encode()).rpartition("end")[0].rpartition("'end'%d\n" % self.count)[2]

    def power_off(self):
        self.console.send("poweroff\r")
        return self.console.wait(60)
