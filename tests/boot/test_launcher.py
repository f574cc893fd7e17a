# SPDX-License-Identifier: MIT
"""scripts/l4sec: exit statuses, refusals that say what to do, and the demos that it runs."""

import os
import re
import subprocess

import pytest

from harness import ROOT

SCRIPT = ROOT / "scripts/l4sec"


def l4sec(build, *arguments, limit=300):
    environment = {**os.environ, "O": str(build.relative_to(ROOT))}
    return subprocess.run([SCRIPT, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=limit, env=environment, check=False)


@pytest.mark.parametrize("code", [0, 1, 5, 100])
def test_status_is_the_guests(build, code):
    done = l4sec(build, "run", "--args", f"quiet exit={code}")
    assert done.returncode == code, done.stdout + done.stderr


def test_timeout(build):
    done = l4sec(build, "run", "--args", "quiet", "--timeout", "3")
    assert done.returncode == 124 and "--timeout" in done.stderr


def test_unknown_program(build):
    done = l4sec(build, "run", "--sigma0", "nothing")
    assert done.returncode == 125 and "sigma0" in done.stderr


@pytest.mark.parametrize("arguments, complaint", [
    (["bogus"], "bogus"), ([], "COMMAND"), (["run", "--timeout", "soon"], "--timeout"), (["run", "--bogus"], "--bogus"),
    (["run", "--memory", "little"], "little"), (["run", "--memory", "1M"], "2M"), (["run", "--cpu", "z80"], "z80"),
    (["run", "--qemu=-bogus"], "-bogus"), (["run", "--module", "nowhere"], "nowhere"),
])
def test_wrong_arguments(build, arguments, complaint):
    done = l4sec(build, *arguments, limit=60)
    assert done.returncode == 125 and complaint in done.stderr, done.stderr


def test_nothing_built(tmp_path):
    done = subprocess.run([SCRIPT, "run"], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "O": "build/of-nothing"})
    assert done.returncode == 125 and "make" in done.stderr


@pytest.mark.parametrize("command", ["", "run", "iso", "gdb", "gdb-qemu", "bench", "test", "check"])
def test_help(build, command):
    done = l4sec(build, *([command] if command else []), "--help")
    assert done.returncode == 0 and "usage" in done.stdout


def test_scheduler_demo(build):
    """Under counted instructions each worker gets what was promised, within a few percent."""
    done = l4sec(build, "run", "--sigma0", "sched", "--args", "exit=9", "--icount")
    assert done.returncode == 9, done.stdout[-2000:]
    lines = [dict(re.findall(r"(\w+) #* *(\d+)%", line)) for line in done.stdout.splitlines() if " ms | " in line]
    assert len(lines) == 8
    for line in lines[1:4]:
        assert abs(int(line["video"]) - 20) <= 3 and abs(int(line["audio"]) - 30) <= 3, line
    for line in lines[5:]:
        assert abs(int(line["video"]) - 20) <= 3 and abs(int(line["model"]) - 50) <= 3, line
        assert "audio" not in line
    assert "refused" in done.stdout and "at the end, 10000 of 10000 us" in done.stdout


def test_second_module(build, tmp_path):
    """A further module is handed to sigma0, and counted by it."""
    path = tmp_path / "data.bin"
    path.write_bytes(b"\x55" * 5000)
    done = l4sec(build, "run", "--args", "exit=1", "--module", f"{path} its arguments, with a comma")
    assert done.returncode == 1 and "2 modules" in done.stdout
