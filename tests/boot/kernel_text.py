# SPDX-License-Identifier: Apache-2.0
"""The text of the kernel in a bzImage, and the places in it that the kernel itself patches while it boots."""
import re
import struct
import subprocess

# The longest instruction that the kernel puts in place of a call, jump or no-operation.
PATCHED = 5


def vmlinux(bzimage):
    """The ELF file inside, by the setup header's payload fields (boot.rst); LZ4, the size behind it."""
    setup = (bzimage[0x1f1] or 4) + 1
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    payload = bzimage[setup * 512 + offset:setup * 512 + offset + length]
    assert payload[:4] == b"\x02\x21\x4c\x18", "not LZ4"
    elf = subprocess.run(["lz4", "-dcq"], input=payload[:-4], stdout=subprocess.PIPE, check=True).stdout
    assert len(elf) == struct.unpack("<I", payload[-4:])[0] and elf[:4] == b"\x7fELF"
    return elf


def sections(elf):
    """Name: (address, content)."""
    shoff, = struct.unpack_from("<Q", elf, 40)
    size, count, names = struct.unpack_from("<HHH", elf, 58)
    rows = [struct.unpack_from("<IIQQQQ", elf, shoff + i * size) for i in range(count)]
    strings = rows[names][4]
    return {elf[strings + name:elf.index(b"\0", strings + name)].decode(): (address, elf[offset:offset + length])
            for name, kind, _flags, address, offset, length in rows if kind == 1}


class Sites:
    """One bit for each byte of the text."""

    def __init__(self, address, length):
        self.address, self.length, self.bits = address, length, bytearray((length + 7) // 8)

    def has(self, address):
        return self.address <= address < self.address + self.length

    def add(self, address, length):
        for at in range(address - self.address, address - self.address + length):
            if 0 <= at < self.length:
                self.bits[at // 8] |= 1 << at % 8


def longest_run(good):
    """(start, end) of the longest run of true values."""
    best, start = (0, 0), None
    for i, value in enumerate(good + [False]):
        if value and start is None:
            start = i
        elif not value and start is not None:
            best, start = max(best, (start, i), key=lambda r: r[1] - r[0]), None
    return best


def add_relative(sites, table, entry, length):
    """Tables whose entries begin with the distance from the entry to the instruction."""
    address, data = table
    for at in range(0, len(data) - entry + 1, entry):
        target = address + at + struct.unpack_from("<i", data, at)[0]
        sites.add(target, length(data, at) if callable(length) else length)


def add_function_entries(sites, table):
    """The calls of the function tracer: addresses in rising order, the longest such list."""
    words = struct.unpack_from("<%dQ" % (len(table[1]) // 8), table[1])
    start, end = longest_run([sites.has(w) and (i == 0 or w > words[i - 1]) for i, w in enumerate(words)])
    for word in words[start:end]:
        sites.add(word, PATCHED)
    return end - start


def add_jump_labels(sites, table, text, other_code):
    """Entries of 16 bytes that begin with the distance to the instruction, a jump or a no-operation; the longest list
    of such. other_code: ranges beside the text where some of the instructions are."""
    address, data = table
    starts = (b"\xe9", b"\xeb", b"\x0f\x1f\x44\x00\x00", b"\x66\x90")

    def target(at):
        return address + at + struct.unpack_from("<i", data, at)[0]

    def good(where):
        return text.startswith(starts, where - sites.address) if sites.has(where) else any(
            first <= where < first + length for first, length in other_code)
    best = (0, 0)
    for phase in range(0, 16, 8):
        places = range(phase, len(data) - 15, 16)
        start, end = longest_run([good(target(at)) for at in places])
        best = max(best, (phase + start * 16, phase + end * 16), key=lambda r: r[1] - r[0])
    for at in range(*best, 16):
        sites.add(target(at), PATCHED)
    return (best[1] - best[0]) // 16


def add_static_calls(sites, text):
    """A trampoline is a jump, or a return, and then UD1 as its mark; calls and jumps to one become direct."""
    trampolines = {m.start() - PATCHED for m in re.finditer(b"\x0f\xb9\xcc", text)}
    count = 0
    for at in trampolines:
        sites.add(sites.address + at, PATCHED)
    for m in re.finditer(b"[\xe8\xe9]", text[:-4]):
        at = m.start()
        if at + PATCHED + struct.unpack_from("<i", text, at + 1)[0] in trampolines:
            sites.add(sites.address + at, PATCHED)
            count += 1
    return count


def patch_sites(elf):
    """The text's address, its bytes, the bitmap of what the kernel patches, and how many places of each kind."""
    parts = sections(elf)
    address, text = parts[".text"]
    sites = Sites(address, len(text))
    add_relative(sites, parts[".altinstructions"], 12, lambda data, at: data[at + 10])
    add_relative(sites, parts[".retpoline_sites"], 4, 6)
    add_relative(sites, parts[".return_sites"], 4, PATCHED)
    add_relative(sites, parts[".smp_locks"], 4, 1)
    data = parts[".parainstructions"][1]
    for at in range(0, len(data) - 15, 16):
        where, _kind, length = struct.unpack_from("<QBB", data, at)
        sites.add(where, length)
    other = [(parts[name][0], len(parts[name][1])) for name in (".init.text", ".exit.text", ".altinstr_aux")]
    counts = {"functions": add_function_entries(sites, parts[".init.data"]),
              "jump labels": add_jump_labels(sites, parts[".rodata"], text, other),
              "static calls": add_static_calls(sites, text)}
    return address, text, bytes(sites.bits), counts
