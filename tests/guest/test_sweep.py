# SPDX-License-Identifier: MIT
"""A timer interrupt at instruction boundaries of operations, and a second thread that acts there.  [G42]

One instruction takes 1.024 virtual microseconds (-icount shift=10), so a sleep of n microseconds ends at an
instruction boundary. Here every STRIDE-th boundary; `make soak` takes each.
"""

import os
import re

import pytest

OPERATIONS = ["user", "null", "call", "call-long", "create", "destroy", "create-task", "destroy-task",
              "convert", "unconvert", "unmap", "exregs", "tcr", "switch"]
ACTIONS = 14
STRIDE = int(os.environ.get("SWEEP_STRIDE", "211"))


def run(machine, arguments):
    m = machine(sigma0="guest", args=f"sweep {arguments}", append="fault=log", memory="16M",
                extra=["-icount", "shift=10,sleep=off"])
    value = m.wait(timeout=3600)
    text = m.text().replace("\r", "")
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert value == 0x10 and not comments, "\n".join(comments[:40]) + text[-1500:]
    return re.findall(r"^sweep (\S+) (\S+) points (\d+) inside (\d+)", text, re.MULTILINE)


@pytest.mark.parametrize("operation", [o if o in ("null", "call", "unmap") else pytest.param(o, marks=pytest.mark.slow)
                                       for o in OPERATIONS])
def test_sweep(machine, operation):
    rows = run(machine, f"op={operation} stride={STRIDE} check=4")
    assert len(rows) == ACTIONS
    assert all(int(inside) > 0 for _, _, _, inside in rows), rows


@pytest.mark.parametrize("entry, action", [("int", "set-registers"), ("sysenter", "set-registers"),
                                           pytest.param("sysenter", "abort", marks=pytest.mark.slow),
                                           pytest.param("sysenter", "halt-resume", marks=pytest.mark.slow)])
def test_every_boundary_of_an_entry(machine, entry, action):
    """E-20: at each boundary the adversary acts; with set-registers it writes the registers of the interrupted thread."""
    (row,) = run(machine, f"op=null act={action} entry={entry} stride=1 check=8")
    assert int(row[3]) > 150
