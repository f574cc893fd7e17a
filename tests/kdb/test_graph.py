# SPDX-License-Identifier: MIT
"""Who can get what: the answers of who, reach, path and sep against a naive closure over `cap ls` and `mem ls`."""

import itertools

import pytest

from harness.kdb import Kdb

SEEDS = range(3, 7)


def letters(rights):
    return set(rights) - {"-"}


class World:
    """Everything that tasks hold, read row by row, and what follows from it by the rules of the manual."""

    def __init__(self, kdb):
        self.tasks = [row["id"] for row in kdb.rows("task")]
        self.held = {task: {(row["obj"], frozenset(letters(row["rights"]))) for row in kdb.rows(f"cap ls {task} max=9999")}
                     for task in self.tasks}
        self.bound = {row["id"]: row["task"] for row in kdb.rows("thread -a") if row["task"]}
        self.pages = {task: [] for task in self.tasks}
        for task in self.tasks:
            for row in kdb.rows(f"mem ls {task} max=9999"):
                size = row["pages"] << (22 if row["size"] == "4M" else 12)
                start = int(row["phys"], 16)
                self.pages[task].append((start, start + size, letters(row["rights"])))
        self.ports = {row["task"] for row in kdb.rows("io")}

    def controls(self, caps, task):
        """Does somebody with these capabilities have the authority of the task?"""
        return any((obj == task and "b" in r) or (self.bound.get(obj) == task and "w" in r) for obj, r in caps)

    @staticmethod
    def can_map(sender, receiver):
        return any({"w", "m"} <= r and any(o == obj and "r" in s for o, s in receiver) for obj, r in sender
                   if obj.startswith("ep"))

    def closure(self, control, without=()):
        """What each task could get: (object, rights) by maps, and by control over others."""
        caps = {task: set(held) for task, held in self.held.items()}
        changed = True
        while changed:
            changed = False
            for a, b in itertools.permutations(self.tasks, 2):
                if a in without or b in without:
                    continue
                if self.can_map(caps[a], caps[b]) or (control and self.controls(caps[b], a)):
                    if not caps[a] <= caps[b]:
                        caps[b] |= caps[a]
                        changed = True
        return caps

    def influences(self, a, b):
        """The kinds of direct ways from a to b."""
        kinds = set()
        for obj, r in self.held[a]:
            for other, s in self.held[b]:
                if obj != other:
                    continue
                if obj.startswith("ep") and "w" in r and "r" in s:
                    kinds.add("map" if "m" in r else "message")
                if obj.startswith("kp") and "a" in r and "a" in s:
                    kinds.add("kernel page")
        if self.controls(self.held[a], b) or self.controls(self.held[b], a):
            kinds.add("control")
        if any("w" in r and {"r", "x"} & s and low < last and first < high
               for low, high, r in self.pages[a] for first, last, s in self.pages[b]):
            kinds.add("memory")
        return kinds

    def flows(self, without=()):
        """All pairs with a way from the one to the other."""
        edge = {a: {b for b in self.tasks if b != a and self.influences(a, b) and not {a, b} & set(without)}
                for a in self.tasks}
        pairs = set()
        for a in self.tasks:
            todo, seen = [a], {a}
            while todo:
                new = edge[todo.pop()] - seen
                seen |= new
                todo += new
            pairs |= {(a, b) for b in seen - {a}}
        return pairs


def union(caps):
    rights = {}
    for obj, r in caps:
        rights[obj] = rights.get(obj, set()) | r
    return rights


@pytest.fixture(params=SEEDS)
def world(request, machine):
    m = machine(sigma0="kdbtest", args=f"graph={request.param}")
    m.expect("graph: done")
    kdb = Kdb(m)
    return kdb, World(kdb)


def test_who_and_reach_agree_with_a_naive_closure(world):
    kdb, w = world
    root = kdb.rows("task name=self")[0]["id"]
    for model, control, without in (("send", False, ()), ("full", True, ()), ("send", False, (root,)), ("full", True, (root,))):
        options = f"model={model}" + (f" without={','.join(without)}" if without else "")
        expected = {task: union(caps) for task, caps in w.closure(control, without).items()}
        for task in w.tasks:
            got = {}
            for row in kdb.rows(f"reach {task} {options} max=9999"):
                got[row["obj"]] = got.get(row["obj"], set()) | letters(row["rights"])
            assert got == expected[task], f"reach {task} {options}"
        for thing in sorted({obj for obj, _ in w.held[root]})[:12]:
            got = {}
            for row in kdb.rows(f"who {thing} {options} max=9999"):
                got[row["task"]] = got.get(row["task"], set()) | letters(row["rights"])
            assert got == {t: r[thing] for t, r in expected.items() if thing in r}, f"who {thing} {options}"
    kdb.check()


def test_paths_exist_when_they_should_and_each_step_is_possible(world):
    kdb, w = world
    root = kdb.rows("task name=self")[0]["id"]
    things = sorted({obj for obj, _ in w.held[root] if obj.startswith("ep")})
    expected = w.closure(True, (root,))
    for task in w.tasks:
        for thing in things:
            could = any(obj == thing and "w" in r for obj, r in expected[task])
            reply = kdb.cmd(f"path {task} {thing} right=w without={root} -o json", rc=0 if could else 1)
            steps = reply.rows
            if not could:
                assert not steps
                continue
            assert steps[0]["how"] == "held" and steps[-1]["to"] == task
            assert any(obj == thing and "w" in r for obj, r in w.held[steps[0]["to"]])
            for before, step in zip(steps, steps[1:]):
                user = step["lender"] or step["from"]
                assert step["from"] == before["to"]
                assert union(expected[step["from"]]).keys() >= union(w.held[user]).keys()
                if step["how"] == "map":
                    assert step["via"].startswith(user + "/") and step["into"].startswith(step["to"] + "/")
                    assert any(obj == step["over"] and {"w", "m"} <= r for obj, r in w.held[user])
                    assert any(obj == step["over"] and "r" in r for obj, r in w.held[step["to"]])
                else:
                    assert step["how"] == "control" and w.controls(w.held[step["to"]], user)


def test_separated_means_that_nothing_connects(world):
    kdb, w = world
    root = kdb.rows("task name=self")[0]["id"]
    assert w.ports == {root}
    flows = w.flows()
    caps = w.closure(False, (root,))
    for a, b in itertools.combinations(w.tasks, 2):
        direct = w.influences(a, b) | w.influences(b, a)
        rows = kdb.rows(f"sep {a} {b} model=held max=99999", rc=int(bool(direct)))
        assert {row["how"] for row in rows} == direct
        kdb.cmd(f"sep {a} {b}", rc=int((a, b) in flows or (b, a) in flows))
        reply = kdb.cmd(f"sep {a} {b} model=send without={root} -o json", rc=None)
        chain = root not in (a, b) and (w.held[a] <= caps[b] or w.held[b] <= caps[a])
        assert reply.rc == int(bool(direct or chain)), f"sep {a} {b}: {reply.text}"
        assert bool(reply.rows) == bool(reply.rc)


def test_a_typed_name_tells_objects_of_one_name_apart(session):
    assert session.rows("obj show tk@ping")[0]["type"] == "task"
    assert session.rows("obj show th@ping")[0]["type"] == "thread"
    session.cmd("obj show @ping", rc=4)
    session.cmd("ep show th@ping", rc=4)
