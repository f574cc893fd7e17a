# SPDX-License-Identifier: MIT
"""Options and fixtures that all tests share."""

import fcntl
import os
import pathlib
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS))

from harness import ROOT, qemu  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--build", default=str(ROOT / "build/ia32-debug"), help="build directory of the debug kernel")
    parser.addoption("--everyday", action="store_true", help="only what `make check` runs")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--everyday"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


@pytest.fixture(scope="session")
def build(request):
    path = pathlib.Path(request.config.getoption("--build")).resolve()
    if not (path / "l4sec.elf").exists():
        pytest.exit(f"{path}/l4sec.elf does not exist: run make first", returncode=4)
    return path


@pytest.fixture(scope="session")
def release_build(build):
    """The release kernel and its programs, beside the debug build; made once, whichever worker comes first."""
    path = build.parent / f"{build.name}-release-test"
    path.mkdir(exist_ok=True)
    clean = {name: value for name, value in os.environ.items() if name not in ("O", "MODE", "MAKEFLAGS", "MAKELEVEL")}
    with open(path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "-s", "-C", str(ROOT), "MODE=release", f"O={path.relative_to(ROOT)}", "kernel", "user"],
                       check=True, stdout=subprocess.DEVNULL, env=clean)
    return path


@pytest.fixture
def machine(build, tmp_path):
    """machine(**options) boots a machine; all are killed at the end of the test."""
    started = []

    def start(**options):
        options.setdefault("build", build)
        m = qemu.Machine(directory=tmp_path / str(len(started)), **options)
        started.append(m)
        return m

    yield start
    for m in started:
        m.kill()
