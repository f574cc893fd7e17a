# SPDX-License-Identifier: MIT
"""The measurements: complete, plausible, flat, and no worse than the recorded ones."""

import re

import pytest

from harness import ROOT

BASELINE = ROOT / "user/bench/baseline.txt"
#: Percent. The compiler's version moves the numbers a little; a defect moves them a lot.
TOLERANCE = 15
#: Instructions between two preemption points.
STRETCH = 10000
LINE = re.compile(r"^bench (\S+) (\d+) instructions\s*$", re.MULTILINE)


def measure(machine, **options):
    m = machine(sigma0="bench", icount=True, **options)
    assert m.wait() == 0x10, m.text()[-3000:]
    found = LINE.findall(m.text().replace("\r", ""))
    results = {name: int(value) for name, value in found}
    assert len(found) == len(results), "a name twice"
    return results


def measure_c_path(machine):
    return measure(machine, args="only=ipc c_path=on", append="ipc=c")


def recorded():
    return {name: int(value) for name, value in LINE.findall(BASELINE.read_text())}


def compare(results, before):
    worse = {name: (before[name], value) for name, value in results.items()
             if value > before[name] * (1 + TOLERANCE / 100) + 20}
    assert not worse, f"(recorded, now): {worse}"


def is_large(name):
    return any(int(number) > 256 for number in re.findall(r"\d+", name))


def test_no_worse_than_recorded(machine):
    """Without the large numbers, which take their time."""
    before = {name: value for name, value in recorded().items() if not is_large(name)}
    results = measure(machine, args="most=256") | measure_c_path(machine)
    assert set(results) == set(before), "record anew: scripts/l4sec bench >user/bench/baseline.txt"
    compare(results, before)


@pytest.mark.slow
def test_large_numbers(machine):
    before, results = recorded(), measure(machine) | measure_c_path(machine)
    assert set(results) == set(before), "record anew: scripts/l4sec bench >user/bench/baseline.txt"
    compare(results, before)
    assert_flat(results, 256, 65536)
    assert_linear(results, 256, 4096, 65536)
    assert_threads_flat(results, 10, 10000)
    assert_short_stretches(results)


def test_costs_grow_as_they_should(machine):
    r = measure(machine, args="only=map")
    for what in ("unmap.children", "unmap.chain", "unmap.pages", "map.pages"):
        # Linear, with a start-up cost: sixteen times the work is at most sixteen times the price.
        assert r[f"{what}.16"] < 16 * r[f"{what}.1"], what
        assert r[f"{what}.256"] < 17 * r[f"{what}.16"], what


def assert_flat(r, small, large):
    """Map and look-up do not depend on how many mappings there are.  (5 %: one step of an allocator.)"""
    for kind in ("children", "chain", "names"):
        assert r[f"{kind}.{large}.map"] <= 1.1 * r[f"{kind}.{small}.map"], kind
    assert r[f"names.{large}.lookup"] == r[f"names.{small}.lookup"]


def assert_linear(r, small, *larger):
    """Unmapping costs the same for each node, however many there are."""
    for kind in ("children", "chain", "names"):
        for large in larger:
            assert r[f"{kind}.{large}.unmap.each"] <= 1.2 * r[f"{kind}.{small}.unmap.each"], (kind, large)


def assert_threads_flat(r, small, large):
    """Nothing depends on the number of threads; of n timeouts, one costs log2(n) steps of at most 40 instructions."""
    for what in ("wakeup", "switch.pair"):
        assert r[f"threads.{large}.{what}"] <= 1.05 * r[f"threads.{small}.{what}"], what
    steps = (large // 10).bit_length()
    for what in ("timeout.set", "timeout.cancel", "expiry"):
        assert r[f"threads.{large}.{what}"] <= r[f"threads.{small}.{what}"] + 40 * steps, what


def test_mappings_are_flat(machine):
    r = measure(machine, args="only=children most=4096")
    assert_flat(r, 16, 4096)
    assert_linear(r, 256, 4096)


def test_threads_are_flat(machine):
    r = measure(machine, args="only=threads most=1000")
    assert_threads_flat(r, 10, 1000)
    # Pending ones that fall due one after the other: a pop is a merge of two heaps.
    assert r["threads.expiries.1000.each"] <= r["threads.expiries.100.each"] + 40 * 10


def assert_short_stretches(r):
    stretches = {name: value for name, value in r.items() if name.startswith("stretch.")}
    assert len(stretches) > 10
    assert stretches.pop("stretch.longest") == max(stretches.values())
    long = {name: value for name, value in stretches.items() if value > STRETCH}
    assert not long, long


def test_no_long_stretch(machine):
    assert_short_stretches(measure(machine, args="only=stretch most=256"))


def test_the_paths_of_ipc_stay_straight(machine):
    r = measure(machine, args="only=ipc") | measure_c_path(machine)
    # Through the kernel's C alone, and by int 0x40 with a longer stub of the user's.
    assert all(r[f"ipc.c_path.{n}"] <= 400 for n in range(4)), r
    assert all(r[f"ipc.roundtrip.{n}"] < r[f"ipc.c_path.{n}"] for n in range(4)), r
    assert all(r[f"ipc.int.{n}"] <= 550 for n in range(4)), r
    # A word more costs two instructions, once there is a copy at all.
    assert r["ipc.roundtrip.63"] - r["ipc.roundtrip.4"] <= 3 * 59, r
