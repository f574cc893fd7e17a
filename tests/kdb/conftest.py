# SPDX-License-Identifier: MIT
"""A machine that has played its demonstration and sits at the prompt in test mode."""

import pytest

from harness.kdb import Kdb


@pytest.fixture
def session(machine):
    m = machine()
    m.expect("rounds played")
    kdb = Kdb(m)
    # the last line was printed by a thread that still has a few calls to make
    for _ in range(200):
        if not [t for t in kdb.rows("thread ls") if t["state"] in ("ready", "running")]:
            return kdb
        kdb.go()
        kdb.break_in()
    raise AssertionError("the demonstration does not come to rest")
