# SPDX-License-Identifier: MIT
"""The conformance suite in the guest, through both kernel entries.  [M 4.1.1] [M 4.1.2] [G9]"""

import pytest

from harness import qemu

#: A suite that shrinks is a defect: raise this with each new case.
AT_LEAST = 465


@pytest.mark.parametrize("cpu", ["qemu32,+sep", "pentium3"])
@pytest.mark.parametrize("entry", ["int", "sysenter"])
def test_conformance(machine, entry, cpu):
    m = machine(sigma0="guest", args=f"entry={entry}", append="fault=log", cpu=cpu, icount=True)
    value = m.wait()
    results = qemu.tap(m.text().replace("\r", ""))
    failed = [name for name, ok in results.items() if not ok]
    comments = [line for line in m.text().splitlines() if line.startswith("#")]
    assert not failed, f"failed: {failed}\n" + "\n".join(comments[:60])
    assert value == 0x10, m.text()[-2000:]
    assert len(results) >= AT_LEAST


def test_conformance_on_486(machine):
    m = machine(sigma0="guest", args="entry=int", append="fault=log", cpu="486", icount=True)
    value = m.wait()
    results = qemu.tap(m.text().replace("\r", ""))
    failed = [name for name, ok in results.items() if not ok]
    assert not failed and value == 0x10 and len(results) >= AT_LEAST, f"failed: {failed}\n{m.text()[-3000:]}"
