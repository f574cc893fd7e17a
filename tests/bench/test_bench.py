# SPDX-License-Identifier: MIT
"""The measurements: complete, plausible, and no worse than the recorded ones."""

import re

from harness import ROOT

BASELINE = ROOT / "user/bench/baseline.txt"
#: Percent. The compiler's version moves the numbers a little; a defect moves them a lot.
TOLERANCE = 15
LINE = re.compile(r"^bench (\S+) (\d+) instructions\s*$", re.MULTILINE)


def measure(machine, **options):
    m = machine(sigma0="bench", icount=True, **options)
    assert m.wait() == 0x10, m.text()[-3000:]
    found = LINE.findall(m.text().replace("\r", ""))
    results = {name: int(value) for name, value in found}
    assert len(found) == len(results), "a name twice"
    return results


def test_no_worse_than_recorded(machine):
    recorded = {name: int(value) for name, value in LINE.findall(BASELINE.read_text())}
    results = measure(machine)
    assert set(results) == set(recorded), "record anew: scripts/l4sec bench >user/bench/baseline.txt"
    worse = {name: (recorded[name], value) for name, value in results.items()
             if value > recorded[name] * (1 + TOLERANCE / 100) + 20}
    assert not worse, f"(recorded, now): {worse}"


def test_costs_grow_as_they_should(machine):
    r = measure(machine, args="only=map")
    for what in ("unmap.children", "unmap.chain", "unmap.pages", "map.pages"):
        # Linear, with a start-up cost: sixteen times the work is at most sixteen times the price.
        assert r[f"{what}.16"] < 16 * r[f"{what}.1"], what
        assert r[f"{what}.256"] < 17 * r[f"{what}.16"], what

