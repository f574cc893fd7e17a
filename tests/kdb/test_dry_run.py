# SPDX-License-Identifier: MIT
"""`revoke -n X`, then the real unmap, on random trees: what was predicted and what happened are equal, as sets."""

import pytest

from harness.kdb import Kdb


SEEDS = range(1, 21)
SPACES = "mem", "cap", "io"


def pages(row):
    """The names that a row of `mem ls` merges."""
    first, last = (int(end, 16) for end in row["range"].split("-"))
    return range(first, last + 1, 0x400000 if row["size"] == "4M" else 0x1000)


class World:
    """What a dry run speaks about: names with their rights, objects, kernel memory, who is bound, who waits."""

    def __init__(self, kdb):
        self.names = {}
        for task in (row["id"] for row in kdb.rows("task ls")):
            for row in kdb.rows(f"cap ls {task} max=100000"):
                self.names[row["slot"]] = row["rights"]
            for row in kdb.rows(f"mem ls {task} max=100000"):
                self.names |= {f"{task}/mem/{page:#x}": row["rights"] for page in pages(row)}
        for row in kdb.rows("io ls max=100000"):
            first = int(row["ports"].split("-")[0], 16)
            self.names[f"{row['task']}/io/{first:#x}"] = row["rights"]
        self.objects = {row["id"] for row in kdb.rows("obj ls max=100000")}
        self.converted = {(row["id"], int(row["phys"], 16) + 0x1000 * i)
                          for row in kdb.rows("kp ls max=100000") for i in range(row["frames"])}
        self.bound = {row["id"] for row in kdb.rows("thread ls -a max=100000") if row["task"]}
        self.waiting = {(row["thread"], row["ep"]) for row in kdb.rows("ipcq ls max=100000")}


def enter(machine):
    machine.expect(r"kdb: call: tree")
    return Kdb(machine, stopped=True)


def victim(kdb):
    """The slot that the program is going to unmap or flush, from its user value."""
    (thread,) = [t for t in kdb.rows("thread ls") if t["id"] == "th6"]
    line = next(line for line in kdb.cmd("thread show th6").lines if line.startswith("tcr"))
    value = int(line.split("user ")[1].split()[0], 16)
    space, base = SPACES[value >> 10 & 3], value & 0xFFFFF000
    name = base if space == "mem" else base >> 12
    return f"{thread['task']}/{space}/{name:#x} {'self' if value & 1 else 'children'} names=1"


@pytest.mark.parametrize("seed", SEEDS)
def test_prediction_is_what_happens(machine, seed):
    m = machine(sigma0="guest", args=f"trees seed={seed}", append="fault=log")
    kdb = enter(m)
    what = victim(kdb)
    rows = kdb.rows(f"revoke -n {what} max=100000")

    def predicted(kind, *effects):
        return {row["ref"] for row in rows if row["kind"] == kind and row["effect"] in effects}

    before = World(kdb)
    kdb.check()
    kdb.go()
    m.expect(rb'#B 0 enter v1\r\n\{"why":"call"')
    kdb.number = None
    kdb._prompt()
    after = World(kdb)
    kdb.check()

    gone = before.names.keys() - after.names.keys()
    dead = before.objects - after.objects
    assert gone == predicted("mapping", "remove"), what
    assert {name for name in before.names.keys() - gone if before.names[name] != after.names[name]} \
        == predicted("mapping", "narrow") - gone, what
    assert dead == predicted("object", "destroy"), what
    assert before.converted - after.converted == {(kp, frame) for kp, frame in before.converted
                                                  if kp in predicted("object", "destroy")}, what
    assert before.bound - after.bound == predicted("thread", "stop"), what
    assert before.waiting - after.waiting == {(row["ref"], row["what"]) for row in rows if row["kind"] == "ipc"}, what
    assert not after.names.keys() - before.names.keys() and not after.objects - before.objects
    assert not after.converted - before.converted and not after.bound - before.bound
