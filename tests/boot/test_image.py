# SPDX-License-Identifier: Apache-2.0
"""scripts/mkimage, and the ways to start from what it makes: disk, CD-ROM, USB stick."""
import os
import subprocess

import pytest
from conftest import BUILD, TOP, Console, Machine, emulator_slot

MKIMAGE = os.path.join(TOP, "scripts/mkimage")


@pytest.fixture
def mkimage(tmp_path):
    """Runs it in tmp_path; returns status and output."""
    def call(*args):
        done = subprocess.run([MKIMAGE, *args], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        return done.returncode, done.stdout.decode()
    for name, content in (("app.efi", b"app"), ("a.conf", b"conf"), ("one", b"1" * 100000), ("two", b"22")):
        (tmp_path / name).write_bytes(content)
    return call


def read(image, path):
    return subprocess.run(["mtype", "-i", image, "::/" + path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          check=False).stdout


def test_content(mkimage, tmp_path):
    status, said = mkimage("--efi", "app.efi", "-c", "a.conf", "-o", "x.img", "-f", "one=/Deep/er/One", "-f", "two=b\\two")
    assert (status, said) == (0, "")
    image = "%s/x.img@@1M" % tmp_path
    assert read(image, "EFI/BOOT/BOOTX64.EFI") == b"app"
    assert read(image, "EFI/socle/socle.conf") == b"conf"
    assert read(image, "Deep/er/One") == b"1" * 100000
    assert read(image, "b/two") == b"22"
    checked = subprocess.run(["sgdisk", "-v", tmp_path / "x.img"], stdout=subprocess.PIPE, check=True).stdout
    assert b"No problems found" in checked
    assert sorted(os.listdir(tmp_path)) == ["a.conf", "app.efi", "one", "two", "x.img"]   # no temporary file


def test_last_file_wins(mkimage, tmp_path):
    """FAT knows no upper and lower case."""
    assert mkimage("--efi", "app.efi", "-o", "x.img", "-f", "one=efi/boot/bootx64.efi", "-f", "two=EFI/BOOT/BOOTX64.EFI")[0] == 0
    assert read("%s/x.img@@1M" % tmp_path, "EFI/BOOT/BOOTX64.EFI") == b"22"


def test_large_file(mkimage, tmp_path):
    """The image grows with its content."""
    (tmp_path / "large").write_bytes(os.urandom(90 << 20))
    assert mkimage("--efi", "app.efi", "-o", "x.img", "-f", "large=large", "--bare") == (0, "")
    assert read("%s/x.img" % tmp_path, "large") == (tmp_path / "large").read_bytes()


@pytest.mark.parametrize("args, says", [
    (["-f", "missing=x"], "missing: no such file, or not readable"),
    (["-f", "one"], "expected HOSTPATH=PATH_ON_DISK"),
    (["-f", "one=../x"], "is no path on the disk"),
    (["-f", "one=x", "-f", "two=x/y"], "x is used as a file and as a directory"),
    (["-c", "missing.conf"], "missing.conf: no such file, or not readable"),
    (["-o", "nowhere/x.img"], "no such directory"),
], ids=["missing", "syntax", "path", "directory", "conf", "output"])
def test_wrong_arguments(mkimage, tmp_path, args, says):
    (tmp_path / "x.img").write_bytes(b"old")
    status, said = mkimage("--efi", "app.efi", "-o", "x.img", *args)
    assert status == 1 and says in said and "Traceback" not in said, said
    assert (tmp_path / "x.img").read_bytes() == b"old"


def run_argv(*args):
    return [os.path.join(TOP, "scripts/run"), *args]


def test_cd():
    """build/socle.iso, from firmware to its guest: Socle finds the volume that it was started from."""
    with emulator_slot():
        m = Console(run_argv("-e", "bochs", "-t", "150", "-i", os.path.join(BUILD, "socle.iso")), 120)
        try:
            m.expect(r"Boot0001 \S*UEFI [^\r\n]*BXCD")
            m.expect("linux: starts")
        finally:
            m.close()


def test_usb_stick(booter):
    """Without VT-x this is as far as it goes in QEMU."""
    with emulator_slot():
        done = subprocess.run(run_argv("-e", "qemu", "-t", "40", "-i", booter.image("x"), "--usb"), check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    m = Machine(done.returncode, done.stdout, done.stderr.decode())
    assert "QEMU USB HARDDRIVE" in m.text.upper(), m.text
    assert m.lines("Socle cannot start: this processor has no VT-x"), m
