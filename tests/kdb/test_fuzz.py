# SPDX-License-Identifier: MIT
"""Lines that nobody would type, and damage that nobody would make: the prompt comes back and the kernel is as it was."""

import random

import pytest

from test_commands import concrete, ids

#: They resume or end the machine, or hand the line over.
NEVER = {"go", "step", "gdb", "halt", "reboot", "proto", "self fault", "w", "stat stretch"}
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "~", "&")
NUMBERS = ("0", "1", "7", "4095", "4294967295", "4294967296", "-1", "0x", "0xffffffff", "0xc0100000", "0xbffffffc", "99999999999")
PIPES = ("| head 3", "| tail 2", "| wc", "| count by {col}", "| grep -i a", "| grep -v %", "| sum {col}", "| uniq {col}",
         "| each {cmd}", "| each '{cmd} % | wc'", "|", "| nonsense", "| head", "| tail 129")
OPTIONS = ("-o json", "-o tsv", "-o dot", "-o x", "-q", "-v", "-a", "-z", "max=2", "max=", "sort={col}", "sort=-{col}", "cols={col}",
           "cols={col},{col}", "max=5", "cols={col}", "'", '"', "''", "=", "&&", "%s%n", "\\")


def digest(kdb):
    return kdb.rows("stat hash")


class Lines:
    """Random lines in the shape of the grammar, over the commands and objects that there are."""

    def __init__(self, kdb, seed):
        self.rng = random.Random(seed)
        self.commands = {}
        real = ids(kdb)
        for row in kdb.rows("schema"):
            entry = self.commands.setdefault(row["command"], {"cols": [], "keys": []})
            if row["column"]:
                entry["cols"].append(row["column"])
                continue
            entry["keys"] = (row["keys"] or "").split(",")
            entry["example"] = concrete(row["example"] or row["command"], real)
        self.names = sorted(set(self.commands) - NEVER)
        objects = kdb.rows("obj")
        self.things = [o["id"] for o in objects] + [f"@{o['name']}" for o in objects if o["name"]]
        task = next(o["id"] for o in objects if o["type"] == "task")
        self.things += [f"{task}/cap/0x1", f"{task}/mem/0x400000", f"{task}/io/0x60", "phys/0x1000", "port/0x60", f"{task}:0x400000",
                        "tk0", "th4294967296", "ep-1", "@", "@nobody", "$0", "$9", "$", ".", "=", "=th", f"={task}", "tk/cap/", "//",
                        f"{task}/cap/0x100000", f"{task}/xyz/1", "sys_ipc+4", "sys_ipc+", "phys/", "port/65536", "all", "on", "off"]

    def one(self):
        """A line that does not resume or end the machine."""
        line = self.any()
        if "| each" in line and any(name in line.split("| each")[1] for name in NEVER):
            line = line.split("| each")[0]
        return line

    def any(self):
        rng = self.rng
        name = rng.choice(self.names)
        entry = self.commands[name]
        columns = entry["cols"] or ["id"]
        right = rng.random() < 0.5                # a line that works, with more behind it
        words = [entry["example"] if right else name if rng.random() < 0.9 else name.split()[0]]
        for _ in range(0 if right else rng.choice((0, 1, 1, 1, 2, 2, 3, 13))):
            kind = rng.random()
            if kind < 0.55:
                words.append(rng.choice(self.things))
            elif kind < 0.7:
                words.append(rng.choice(NUMBERS))
            elif kind < 0.85:
                words.append(rng.choice(columns) + rng.choice(OPERATORS) + rng.choice(self.things + list(NUMBERS) + ["*a*?", ""]))
            elif any(entry["keys"]):
                words.append(rng.choice(entry["keys"]) + "=" + rng.choice(self.things + list(NUMBERS)))
        pick = {"col": rng.choice(columns), "cmd": rng.choice(self.names)}
        for _ in range(rng.choice((0, 0, 0, 1, 2))):
            words.append(rng.choice(OPTIONS).format(**pick))
        for _ in range(rng.choice((0, 0, 0, 1, 2, 5))):
            words.append(rng.choice(PIPES).format(**pick))
        return " ".join(words)[:511]


@pytest.mark.parametrize("seed", [1, 2])
def test_lines_in_the_shape_of_the_grammar(session, seed):
    print(f"seed {seed}")
    lines = Lines(session, seed)
    before = digest(session)
    worked = 0
    for _ in range(200):
        line = lines.one()
        reply = session.cmd(line, rc=None)
        assert reply.rc != 12, f"seed {seed}: {line!r} faulted:\n{reply.text}"
        worked += reply.rc < 2
        assert reply.rc < 2 or reply.lines, f"seed {seed}: {line!r} failed and says nothing"
        for text in reply.lines:
            assert not text.startswith("#") and not text.startswith("kdb:")
    for reset in ("set max 0", "set budget 0", "set output text", "set lines 0", "bp del all", "bp event off"):
        session.cmd(reset)
    assert worked > 40                            # not only complaints
    assert digest(session) == before, f"seed {seed}"
    session.check()


@pytest.mark.parametrize("seed", [1, 2])
def test_random_bytes(session, seed):
    print(f"seed {seed}")
    rng = random.Random(seed)
    before = digest(session)
    allowed = [b for b in range(256) if b not in (0x03, 0x05, 0x0A, 0x0D, 0x13)]
    for _ in range(60):
        # long enough, and led by what starts no command
        session.machine.send(b"\x7f?" + bytes(rng.choice(allowed) for _ in range(rng.randrange(3, 700))) + b"\r")
        session.machine.expect(rb"#E (\d+) rc=(\d+) [^\r\n]*\r\n")
        assert session.machine.console.match.group(2) in (b"2", b"3", b"4", b"9", b"0"), f"seed {seed}"
        session._prompt()
    assert digest(session) == before, f"seed {seed}"
    session.check()


#: Everything that walks structures.
WALKS = ("obj", "task", "thread", "ep", "kp", "res", "rq", "tmo", "irq", "ipcq", "why -a", "why cycles", "leaks", "map stat", "cap ls {task}",
         "mem ls {task}", "mem shared {task} {task}", "io", "who {obj}", "reach {task}", "path {task} {obj}", "sep {task} {other}",
         "map tree {obj}", "map up {task}/cap/0x1", "explain {task} 0x400000", "explain fault", "revoke -n {obj}", "check", "snap damage",
         "diff damage", "stat", "stat hash", "bt {thread}", "thread show {thread}", "task show {task}", "kp show {kp}", "obj | each 'obj show'")


@pytest.mark.parametrize("seed", [1, 2])
def test_wild_pointers_and_loops(session, seed):
    """Words of live objects become wild, null, or pointers to their neighbours; then everything is walked."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    objects = session.rows("obj")
    of = {}
    for o in objects:
        of.setdefault(o["type"], []).append(o["id"])
    pick = {"task": of["task"][-1], "other": of["task"][0], "obj": of["endpoint"][0], "thread": of["thread"][-1], "kp": of["kernel page"][0]}
    lines = [line.format(**pick) for line in WALKS]
    addresses = [int(o["addr"], 16) for o in objects if o["type"] != "cpu"]
    session.cmd("set unsafe on")
    session.cmd("set budget 2000000")
    before = digest(session)
    for _ in range(12):
        base = rng.choice(addresses)
        place = base + 4 * rng.randrange(16)
        old = int(session.cmd(f"x/1xw {place:#x}").text.split()[-1], 16)
        bad = rng.choice((0, 4, 0xFFF00000, 0xC0100001, place, base, rng.choice(addresses), rng.getrandbits(32), old + 32 & 0xFFFFFFFF))
        session.cmd(f"w {place:#x} {bad:#x}")
        for line in rng.sample(lines, 9):
            reply = session.cmd(line, rc=None)
            assert reply.rc != 11, f"seed {seed}: {line!r} with {place:#x} = {bad:#x} left something taken"
        session.cmd(f"w {place:#x} {old:#x}")
    assert digest(session) == before, f"seed {seed}"
    session.cmd("set budget 0")
    session.check()
