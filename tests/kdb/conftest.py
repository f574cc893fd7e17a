# SPDX-License-Identifier: MIT
"""A machine that has played its demonstration and sits at the prompt in test mode."""

import pytest

from harness.kdb import Kdb


@pytest.fixture
def session(machine):
    m = machine()
    m.expect("rounds played")
    return Kdb(m)
