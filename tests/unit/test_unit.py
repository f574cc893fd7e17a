# SPDX-License-Identifier: MIT
"""The host unit tests: each TEST of each program is one test here."""

import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN32 = ROOT / "scripts/run32"
PROGRAMS = sorted(p.stem for p in pathlib.Path(__file__).parent.glob("test_*.c"))


def pytest_generate_tests(metafunc):
    if "unit_case" not in metafunc.fixturenames:
        return
    build = pathlib.Path(metafunc.config.getoption("--build")) / "unit"
    cases = []
    for program in PROGRAMS:
        path = build / program
        if not path.exists():
            cases.append(pytest.param((program, None), id=program))
            continue
        names = subprocess.run([RUN32, path, "--list"], capture_output=True, text=True, timeout=60).stdout.split()
        cases += [pytest.param((program, name), id=f"{program}:{name}") for name in sorted(names)]
    metafunc.parametrize("unit_case", cases)


#: Program, arguments: the optimised builds of the model tests, at the lengths that count.
LONG = [("test_model-fast", ["steps=100000", "seed=7"]), ("test_model-fast", ["steps=100000", "seed=8"]),
        ("test_states-fast", ["objects=2"]), ("test_pages-fast", ["tasks=4", "pages=1"]), ("test_pages-fast", []),
        ("test_storm-fast", ["steps=200000"]), ("test_preempt-fast", ["stride=1"])]


@pytest.mark.parametrize("program, arguments", LONG, ids=lambda value: value if isinstance(value, str) else "")
def test_long(program, arguments, build):
    done = subprocess.run([RUN32, build / "unit" / program, *arguments], capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "ok " in done.stdout


def test_unit(unit_case, build):
    program, name = unit_case
    assert name is not None, f"{program} is not built, or lists no test: run make unit"
    done = subprocess.run([RUN32, build / "unit" / program, name], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert f"ok {name}" in done.stdout
