# SPDX-License-Identifier: MIT
"""A timer interrupt at instruction boundaries of operations, and a second thread that acts there.  [G42] E-20, Q-05

One instruction takes 1.024 virtual microseconds (-icount shift=10).  A survey finds the boundaries that lead to different
places; then each of 14 actions is done at every STRIDE-th place, beginning with another one: with 14 some action is done
at each place, with 1 (`make soak`) each action.
"""

import os
import re

import pytest

#: Places to be found at least: entry, exit and the preemption points of what it does.
OPERATIONS = {"user": 40, "null": 35, "call": 120, "call-timeouts": 80, "call-long": 80, "timeout": 35, "map": 40,
              "page-fault": 100, "cap-fault": 100, "exception": 100, "interrupt": 60, "start": 60, "startup": 60,
              "create": 35, "destroy": 35, "create-task": 35, "destroy-task": 60, "convert": 35, "unconvert": 60,
              "unmap": 35, "exregs": 35, "tcr": 35, "switch": 60}
EVERYDAY = ("null", "call", "unmap", "interrupt")
ACTIONS = 14
STRIDE = int(os.environ.get("SWEEP_STRIDE", "14"))


def run(machine, arguments):
    m = machine(sigma0="guest", args=f"sweep {arguments}", append="fault=log", memory="16M",
                extra=["-icount", "shift=10,sleep=off", "-rtc", "clock=vm"])
    value = m.wait(timeout=3600)
    text = m.text().replace("\r", "")
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert value == 0x10 and not comments, "\n".join(comments[:40]) + text[-1500:]
    return text


@pytest.mark.parametrize("entry", ["int", "sysenter"])
@pytest.mark.parametrize("operation", [o if o in EVERYDAY else pytest.param(o, marks=pytest.mark.slow) for o in OPERATIONS])
def test_sweep(machine, operation, entry):
    text = run(machine, f"op={operation} entry={entry} stride={STRIDE}")
    (places,) = re.findall(rf"^survey {operation} points \d+ places (\d+)$", text, re.MULTILINE)
    assert int(places) >= OPERATIONS[operation]
    rows = re.findall(rf"^sweep {operation} (\S+) visited (\d+) missed (\d+)$", text, re.MULTILINE)
    assert len({action for action, _, _ in rows}) == len(rows) == ACTIONS
    visited, missed = (sum(int(row[i]) for row in rows) for i in (1, 2))
    assert visited == sum(len(range(action % STRIDE, int(places), STRIDE)) for action in range(ACTIONS))
    assert missed == 0, "the adversary woke somewhere else than in the survey"


@pytest.mark.parametrize("operation", ["null", *(pytest.param(o, marks=pytest.mark.slow) for o in ("timeout", "call"))])
def test_the_survey_misses_nothing(machine, operation):
    """Each boundary visited, and only those that can lead to another place: the same places."""
    def places(text):
        return set(re.findall(r"^place \d+ after (\d+)$", text, re.MULTILINE))

    quick, dense = (places(run(machine, f"op={operation} entry=sysenter survey places {how}")) for how in ("", "dense"))
    assert len(quick) >= OPERATIONS[operation] and quick == dense
