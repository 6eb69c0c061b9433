# SPDX-License-Identifier: Apache-2.0
"""A warm start for scripts/run. In Bochs, 450 million of the firmware's 700 million instructions unpack the firmware,
and 100 million more start its drivers, the same way each time. The first run of a machine saves Bochs's state after
that, before the firmware has used a disk; the next ones begin there, with other disks. A folder keeps the states."""
import hashlib
import os
import re
import shutil
import tempfile
import time

INSTRUCTIONS = 540000000
RESULT = "saved"


def digest(*parts):
    h = hashlib.sha256()
    for part in parts:
        h.update(b"%d:" % len(part) + part)
    return h.hexdigest()[:16]


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Warm:
    """folder: where states are kept, with save.so (scripts/bochs_save.c). config: what a state depends on, without
    the paths of this run. programs: files that it depends on, too."""

    def __init__(self, folder, config, programs):
        self.folder, self.library = folder, os.path.join(folder, "save.so")
        self.state = os.path.join(folder, digest(config.encode(), *(read(p) for p in (__file__, *programs))))
        self.saving = None

    def begin(self, run, config):
        """Files for a run in the folder `run` whose Bochs is configured by config: more arguments for Bochs, its
        debugger's commands, more environment."""
        if not os.path.exists(self.library):
            return None, "c\n", {}
        if os.path.isdir(self.state):
            return self.restore(run, config), "c\n", {"LD_PRELOAD": self.library, "SOCLE_RAM": os.path.join(run, "ram")}
        self.saving = tempfile.mkdtemp(prefix="new.", dir=self.folder)
        return None, 'sb %d\nc\nwritemem "SOCLE-SAVE-STATE" 0 1\nc\n' % INSTRUCTIONS, {
            "LD_PRELOAD": self.library, "SOCLE_SAVE_STATE": self.saving}

    def restore(self, run, config):
        """Bochs reads its configuration from the state's folder, too."""
        here = os.path.join(run, "state")
        os.mkdir(here)
        for name in os.listdir(self.state):
            os.symlink(os.path.join(self.state, name), os.path.join(here, name))
        for name in ("cmos", "memory.ram"):
            os.unlink(os.path.join(here, name))
        copy_with_holes(os.path.join(self.state, "memory.ram"), os.path.join(run, "ram"))
        with open(os.path.join(here, "memory.ram"), "wb"):
            pass
        with open(os.path.join(here, "cmos"), "wb") as f:
            f.write(clock_now(read(os.path.join(self.state, "cmos")).decode()).encode())
        with open(os.path.join(here, "config"), "w", encoding="ascii") as f:
            f.write(config)
        return here

    def end(self):
        """Keeps what was saved, if it is fit."""
        if not self.saving:
            return
        try:
            if os.path.exists(os.path.join(self.saving, RESULT)) and self.tidy():
                os.rename(self.saving, self.state)   # fails where another run was faster
        except OSError:
            pass
        shutil.rmtree(self.saving, ignore_errors=True)

    def tidy(self):
        """The disks are other ones next time: nothing of theirs is restored, which is right as long as the firmware
        has not used them."""
        path = os.path.join(self.saving, "hard_drive")
        drives = read(path).decode()
        if re.search(r"next_lsector = [^0\s]|current_command = 0x0*[1-9a-f]", drives):
            return False
        with open(path, "w", encoding="ascii") as f:
            f.write(drives.replace("image = true", "image = false"))
        for name in os.listdir(self.saving):
            if re.fullmatch(r"config|hard_drive\..*\.image|" + RESULT, name):
                os.unlink(os.path.join(self.saving, name))
        return True


def copy_with_holes(source, target):
    with open(source, "rb") as f, open(target, "wb") as t:
        end, at = os.fstat(f.fileno()).st_size, 0
        t.truncate(end)
        while at < end:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:   # nothing but a hole follows
                return
            hole = os.lseek(f.fileno(), at, os.SEEK_HOLE)
            while at < hole:
                at += os.copy_file_range(f.fileno(), t.fileno(), min(hole - at, 1 << 30), at, at)


def clock_now(cmos):
    """The clock's registers in BCD: the time is now, not when the state was saved."""
    now = time.gmtime()
    values = {0: now.tm_sec, 2: now.tm_min, 4: now.tm_hour, 6: (now.tm_wday + 1) % 7 + 1, 7: now.tm_mday,
              8: now.tm_mon, 9: now.tm_year % 100}
    places = [m.span() for m in re.finditer(r"0x[0-9a-f]{2}", cmos[cmos.index("["):])]
    start = cmos.index("[")
    for register, value in values.items():
        first, last = (start + n for n in places[register])
        cmos = cmos[:first] + "0x%02d" % value + cmos[last:]
    return cmos
