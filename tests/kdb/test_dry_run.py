# SPDX-License-Identifier: MIT
"""`revoke -n` against the real unmap on random trees: the predicted sets and the actual ones are equal."""

import pytest

from harness.kdb import Kdb


SEEDS = range(1, 13)


def world(kdb):
    """Every capability slot with its object, and every object."""
    objects = {row["id"] for row in kdb.rows("obj ls max=100000")}
    slots = set()
    for task in kdb.rows("task ls"):
        slots |= {row["slot"] for row in kdb.rows(f"cap ls {task['id']} max=100000")}
    return slots, objects


def enter(machine):
    machine.expect(r"kdb: call: tree")
    return Kdb(machine, stopped=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_prediction_is_what_happens(machine, seed):
    m = machine(sigma0="guest", args=f"trees seed={seed}", append="fault=log")
    kdb = enter(m)
    (thread,) = [t for t in kdb.rows("thread ls") if t["id"] == "th6"]
    wanted = next(line for line in kdb.cmd("thread show th6").lines if line.startswith("tcr"))
    value = int(wanted.split("user ")[1].split()[0], 16)
    slot = f"{thread['task']}/cap/0x{value & 0xfffff:x}"
    rows = kdb.rows(f"revoke -n {slot} {'self' if value >> 20 else 'children'} max=100000")
    lost = {row["ref"] for row in rows if row["kind"] == "mapping" and row["effect"] == "remove" and "/cap/" in row["ref"]}
    dead = {row["ref"] for row in rows if row["kind"] == "object" and row["effect"] == "destroy"}
    slots, objects = world(kdb)
    kdb.check()
    kdb.go()
    m.expect(rb'#B 0 enter v1\r\n\{"why":"call"')
    kdb.number = None
    kdb._prompt()
    slots_now, objects_now = world(kdb)
    kdb.check()
    assert slots - slots_now == lost
    assert objects - objects_now == dead
    assert not slots_now - slots and not objects_now - objects
