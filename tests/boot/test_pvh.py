# SPDX-License-Identifier: Apache-2.0
"""The Multiboot kernel that guests/linux/mkpvh makes of a bzImage. No emulator."""
import lzma
import os
import struct
import subprocess
import sys

from conftest import BUILD, TOP

MKPVH = os.path.join(TOP, "guests/linux/mkpvh")
ENTRY = 0x1000850
LOADS = [(0x1000000, b"text" * 300, 0x2000), (0x2a00000, b"data" + bytes(5000), 0x9000)]


def elf64(loads, note):
    out = bytearray(0x1000)
    heads = [(1, pa, data, memory) for pa, data, memory in loads] + [(4, 0, note, len(note))]
    struct.pack_into("<16sHHIQQQIHHHHHH", out, 0, b"\x7fELF\2\1\1", 2, 62, 1, ENTRY, 64, 0, 0, 64, 56, len(heads), 64, 0, 0)
    for i, (kind, pa, data, memory) in enumerate(heads):
        struct.pack_into("<IIQQQQQQ", out, 64 + 56 * i, kind, 7, len(out), pa, pa, len(data), memory, 4096)
        out += data
    return bytes(out)


def note(owner, kind, data):
    return struct.pack("<III", len(owner), len(data), kind) + owner + bytes(-len(owner) % 4) + data + bytes(-len(data) % 4)


def bzimage(elf):
    packed = lzma.compress(elf, check=lzma.CHECK_CRC32)
    image = bytearray(512 * 5)
    image[0x1f1] = 4
    struct.pack_into("<II", image, 0x248, 64, len(packed))
    return bytes(image) + bytes(64) + packed + b"behind it"


def make(folder, notes):
    (folder / "bzImage").write_bytes(bzimage(elf64(LOADS, notes)))
    (folder / "stub").write_bytes(b"stub" * 8)
    return subprocess.run([sys.executable, MKPVH, "-s", str(folder / "stub"), "-o", str(folder / "out"), str(folder / "bzImage")],
                          capture_output=True, text=True, check=False)


def loads_of(elf):
    assert elf[:5] == b"\x7fELF\1" and struct.unpack_from("<HH", elf, 16) == (2, 3)
    for i in range(struct.unpack_from("<H", elf, 44)[0]):
        kind, offset, va, pa, in_file, in_memory, _flags, _align = struct.unpack_from("<8I", elf, 52 + 32 * i)
        assert kind == 1 and va == pa
        yield pa, elf[offset:offset + in_file], in_memory


def test_segments_are_the_kernels(tmp_path):
    assert make(tmp_path, note(b"GNU\0", 18, b"none") + note(b"Xen\0", 18, struct.pack("<Q", ENTRY))).returncode == 0
    elf = (tmp_path / "out").read_bytes()
    stub, *kernel = loads_of(elf)
    assert stub == (0x100000, b"stub" * 8 + struct.pack("<I", ENTRY), 36)
    assert struct.unpack_from("<I", elf, 24)[0] == 0x100010
    assert [(pa, data.ljust(len(LOADS[i][1]), b"\0"), memory) for i, (pa, data, memory) in enumerate(kernel)] == LOADS
    assert len(kernel[1][1]) == 4   # zeros need not be in the file


def test_a_kernel_without_the_entry(tmp_path):
    told = make(tmp_path, note(b"Xen\0", 17, b"none"))
    assert told.returncode and "no PVH entry" in told.stderr


def test_stub():
    """Its Multiboot header is in front, its entry behind that, and it ends where mkpvh puts the kernel's."""
    with open(os.path.join(BUILD, "guests/linux/pvh.bin"), "rb") as f:
        stub = f.read()
    magic, flags, check = struct.unpack_from("<III", stub)
    assert magic == 0x1badb002 and (magic + flags + check) & 0xffffffff == 0
    assert stub[16:18] == b"\xfa\xfc"   # CLI, CLD
    assert struct.pack("<I", 0x100000 + len(stub)) in stub   # what it jumps by
