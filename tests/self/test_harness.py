# SPDX-License-Identifier: MIT
"""Tests of the tests: what must fail does fail."""

import pytest

from harness import kdb, qemu


def test_tap_wants_a_plan():
    with pytest.raises(AssertionError, match="no plan"):
        qemu.tap("ok 1 - one\n")


def test_tap_counts():
    with pytest.raises(AssertionError, match="plan 3"):
        qemu.tap("ok 1 - one\nok 2 - two\n1..3\n")


def test_tap_refuses_a_name_twice():
    with pytest.raises(AssertionError, match="twice"):
        qemu.tap("ok 1 - one\nok 2 - one\n1..2\n")


def test_tap_sees_failures():
    assert qemu.tap("ok 1 - one\nnot ok 2 - two\n1..2\n") == {"one": True, "two": False}


def test_a_machine_that_ends_by_itself_has_failed(machine, build, tmp_path):
    """A triple fault ends QEMU with status 0: never a success."""
    image = bytearray((build / "l4sec.elf").read_bytes())
    entry = int.from_bytes(image[24:28], "little")
    offset = None
    phoff = int.from_bytes(image[28:32], "little")
    for i in range(int.from_bytes(image[44:46], "little")):
        header = image[phoff + 32 * i: phoff + 32 * (i + 1)]
        kind, at, virt, phys, size = (int.from_bytes(header[4 * n:4 * n + 4], "little") for n in range(5))
        for base in (virt, phys):
            if kind == 1 and base <= entry < base + size:
                offset = at + entry - base
    assert offset is not None
    # load an empty interrupt table from the stack of zeros at 0, then trap
    image[offset:offset + 9] = bytes([0x0f, 0x01, 0x1d, 0x00, 0x00, 0x00, 0x90, 0x0f, 0x0b])
    broken = tmp_path / "broken.elf"
    broken.write_bytes(image)
    m = machine(kernel=broken, args="quiet exit=16")
    with pytest.raises(AssertionError, match="ended by itself"):
        m.wait()


def test_the_checksum_is_the_one_of_the_protocol():
    assert kdb.crc16(b"123456789") == 0x29B1
    assert kdb.crc16(b"123456788") != 0x29B1


def test_a_run_without_cases_is_a_failure(machine):
    m = machine(sigma0="guest", args="only=no_such_case", append="fault=log", icount=True)
    assert m.wait() == 1
    assert qemu.tap(m.text().replace("\r", "")) == {}
