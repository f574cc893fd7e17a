# SPDX-License-Identifier: MIT
"""Every attack of the list has a case in the guest suite, a test elsewhere, or a reason why there is none.

A case answers an attack by its id in the place it names; a test elsewhere by its id in the text.
"""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

#: Kind of attack: how many there are.
ATTACKS = {"E": 23, "F": 13, "M": 17, "K": 14, "I": 18, "T": 12, "S": 6, "Q": 5}

#: Not answered by a case or a test, and why.
LEFT_OUT = {}

IDS = [f"{kind}-{n:02}" for kind, count in ATTACKS.items() for n in range(1, count + 1)]


@pytest.fixture(scope="module")
def cases(request, tmp_path_factory, build):
    from harness import qemu

    m = qemu.Machine(tmp_path_factory.mktemp("list"), build, sigma0="guest", args="list", append="fault=log", icount=True)
    try:
        m.wait()
        text = m.text().replace("\r", "")
    finally:
        m.kill()
    return re.findall(r"^case (\S+) ([^:]+): (.*)$", text, re.MULTILINE)


def elsewhere():
    """Ids in the text of tests that are not cases of the suite."""
    here = pathlib.Path(__file__).resolve()
    found = set()
    for path in (ROOT / "tests").rglob("*"):
        if path.suffix not in (".c", ".py", ".h") or path.resolve() == here or "build" in path.parts:
            continue
        if path.parent.name == "guest" and path.suffix == ".c" and path.name != "sweep.c":
            continue
        found.update(re.findall(r"\b[EFMKITSQ]-\d\d\b", path.read_text(errors="replace")))
    return found


def test_each_attack_is_answered(cases):
    answered = {i for _, place, _ in cases for i in re.findall(r"\b[EFMKITSQ]-\d\d\b", place)} | elsewhere()
    missing = [i for i in IDS if i not in answered and i not in LEFT_OUT]
    assert not missing, f"attacks without a case: {missing}"


def test_nothing_is_left_out_twice(cases):
    answered = {i for _, place, _ in cases for i in re.findall(r"\b[EFMKITSQ]-\d\d\b", place)} | elsewhere()
    assert not answered & set(LEFT_OUT), "these have a case after all"
    assert set(LEFT_OUT) <= set(IDS)


def test_each_case_names_its_place(cases):
    """A sentence of the manual, a decision, an attack or an invariant; and no name twice."""
    place = re.compile(r"\b(M \d|G\d|S\d|P\d|[EFMKITSQ]-\d\d|[A-Z]{2,3}-\d)")
    assert len(cases) > 250
    assert not [c for c in cases if not place.search(c[1]) or len(c[2]) < 10]
    names = [name for name, _, _ in cases]
    assert len(names) == len(set(names))
