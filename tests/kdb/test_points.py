# SPDX-License-Identifier: MIT
"""Points stop where they should and nowhere else, also in tasks that do not exist yet; scripts run by themselves."""

import json
import re

import pytest

from harness.kdb import Kdb

STOP = rb"-- kdb: ([a-z]+)[^\r\n]* \(point (\d+)\)[^\r\n]*\r\n"


def boot(machine, lines, **options):
    return machine(append="kdb=" + lines.replace(" ", "+"), **options)


def stopped(m, point):
    """The next stop is that of the point."""
    match = m.expect(STOP)
    assert match.group(2) == str(point).encode(), match.group(0)
    return match


def test_a_symbol_of_a_program_is_a_point_for_all_tasks(machine):
    m = boot(machine, "bp add pong")
    stopped(m, 0)
    k = Kdb(m, stopped=True)
    assert k.rows("thread name=pong state=running"), "the task did not exist when the point was set"
    (row,) = k.rows("bp")
    assert (row["kind"], row["where"], row["hits"], row["symbol"]) == ("exec", "any task", 1, "pong+0x0")
    assert k.rows("bt")[0]["symbol"] == "pong+0x0"
    k.cmd("bp del 0")
    k.go()
    m.expect("rounds played")


def test_a_point_for_a_name_waits_for_the_task(machine):
    m = boot(machine, "bp add @ping:l4_call_sysenter; bp add @nobody:ping; bp")
    m.expect(r"0  exec +@ping +0x[0-9a-f]+ +1  pending")
    stopped(m, 0)
    k = Kdb(m, stopped=True)
    thread = k.rows("thread state=running")[0]
    assert k.rows(f"task show {thread['task']}")[1]["value"] == "@ping", "sigma0 and pong came along there, too"
    states = {r["where"]: (r["state"], r["hits"]) for r in k.rows("bp")}
    assert states == {"@ping": ("armed", 1), "@nobody": ("pending", 0)}
    k.cmd("bp del 0")
    k.go()
    m.expect("rounds played")                     # ping() has run, and not in a task called nobody


def test_after_unless_and_do(machine):
    m = boot(machine, "bp add l4_call_sysenter after=5 do='task'")
    stopped(m, 0)
    m.expect(rb"id +name +threads")
    k = Kdb(m, stopped=True)
    assert {(r["hits"], r["passed"]) for r in k.rows("bp")} == {(6, 5)}
    k.cmd("bp del 0")
    k.cmd("bp add l4_call_sysenter unless='expect \"thread name=ping | wc\" = 0'")
    k.go()
    m.expect(rb'#B 0 enter v1\r\n\{"why":"step","point":0,')
    k._prompt()
    assert len(k.rows("thread name=ping")) == 1, "before that the condition held"
    assert k.rows("bp")[0]["passed"] > 0
    k.cmd("bp del all")
    k.check()


def test_a_point_that_goes_on_by_itself(machine):
    m = boot(machine, "bp add pong do='trace mark 77; go'")
    m.expect("rounds played")
    k = Kdb(m)
    marks = [r for r in k.rows("trace event=kdb") if r["a"] == "0x0000004d"]
    assert len(marks) == 1
    assert k.rows("bp")[0]["hits"] == 1


def test_watch_a_slot(machine):
    m = boot(machine, "bp watch tk5/cap/0x251", sigma0="kdbtest", args="revoke")
    stopped(m, 0)
    k = Kdb(m, stopped=True)
    assert k.rows("bp")[0]["symbol"] == f"captable of tk5+{0x251 * 4:#x}"
    assert k.rows("cap show tk5/cap/0x251")[0]["type"] == "endpoint", "it was created"
    k.cmd("bp watch tk5/cap/0x251")               # now its rights, too
    assert [r["symbol"] for r in k.rows("bp")][1].startswith("ep")
    k.go()
    m.expect(rb'"why":"step","point":[01],')
    k._prompt()
    k.cmd("bp del all")
    assert not k.rows("bp")
    k.go()
    m.expect("revoke: done")


def test_watch_a_mapping(machine):
    """The page that the pager of the demonstration gives."""
    m = boot(machine, "bp add pong")
    stopped(m, 0)
    k = Kdb(m, stopped=True)
    pong = k.rows("task name=pong")[0]["id"]
    k.cmd(f"mem show {pong}/mem/0x20000000", rc=3)
    while k.cmd(f"mem show {pong}/mem/0x20000000", rc=None).rc == 3:
        k.cmd("bp del all")
        k.cmd(f"bp watch {pong}/mem/0x20000000")   # twice: its table comes first
        k.go()
        m.expect(rb'"why":"step","point":0,')
        k._prompt()
    assert k.rows(f"mem show {pong}/mem/0x20000000")[0]["rights"] == "rw--"
    assert k.rows("bt")[0]["mode"] == "kernel"
    k.cmd("bp del all")
    k.go()
    m.expect("rounds played")


def test_an_event_while_nobody_runs(machine):
    """The last refills come when all threads sleep."""
    m = boot(machine, "bp event sched.refill")
    stopped(m, 64)
    k = Kdb(m, stopped=True)
    for _ in range(60):
        if k.rows("trace last=1")[0]["thread"] is None:
            break
        k.go()
        m.expect(rb'"point":64,')
        k._prompt()
    assert k.rows("trace last=1")[0]["thread"] is None
    assert k.rows("bt")[0]["mode"] == "kernel"
    k.cmd("bp event off")
    k.go()


def test_watch_an_endpoint_a_thread_and_a_reservation(machine):
    """The reservation at last: a refill always comes, but perhaps when the demonstration is over."""
    m = boot(machine, "bp add pong")
    stopped(m, 0)
    k = Kdb(m, stopped=True)
    k.cmd("bp del all")
    ep = k.rows("ep name=ball")[0]["id"]
    k.cmd(f"bp watch {ep}")
    for _ in range(3):
        k.go()
        m.expect(rb'"point":64,')
        k._prompt()
        last = k.rows("trace last=1")[0]
        assert ep in last["args"], last
    k.cmd("bp del all")
    thread = k.rows("thread name=sigma0")[0]
    k.cmd(f"bp watch {thread['id']}")
    point = k.rows("bp")[0]
    assert point["symbol"] == f"{thread['id']}.state" and point["len"] == 1
    k.go()
    m.expect(rb'"point":%d,' % point["n"])
    k._prompt()
    assert k.rows("bp")[0]["hits"] == 1 and k.rows("bt")[0]["mode"] == "kernel"
    k.cmd("bp del all")
    k.cmd("bp watch rs8")
    k.go()
    m.expect(rb'"point":64,')
    k._prompt()
    last = k.rows("trace last=1")[0]
    assert last["event"] in ("sched.budget", "sched.refill", "cap.map") and "rs8" in last["args"]
    k.cmd("bp del all")
    k.go()
    if "rounds played" not in m.text():
        m.expect("rounds played")


def test_watch_the_rights_of_a_mapping(session):
    task = session.rows("task name=ping")[0]["id"]
    session.cmd(f"bp watch {task}/cap/0x1")
    rows = session.rows("bp")
    assert [r["kind"] for r in rows] == ["write", "write"]
    assert rows[0]["symbol"] == f"captable of {task}+0x4"
    assert rows[1]["symbol"].startswith(f"node of {task}/cap/0x1+")
    session.cmd(f"bp watch {task}/io/0x60")
    assert [(r["kind"], r["where"]) for r in session.rows("bp")][2:] == [("event", f"{task}/io/0x60")]
    session.cmd("bp event off")
    assert len(session.rows("bp")) == 2


def test_points_keep_their_numbers_and_tell_their_limits(session):
    for symbol in ("ping", "pong", "pager"):
        session.cmd(f"bp add {symbol}")
    session.cmd("bp del 1")
    assert [(r["n"], r["symbol"]) for r in session.rows("bp")] == [(0, "ping+0x0"), (2, "pager+0x0")]
    session.cmd("bp del 1", rc=3)
    session.cmd("bp add main")
    session.cmd("bp add 0x400000 kind=soft", rc=4)
    session.cmd("bp watch 0x400000")
    assert "no debug register" in session.cmd("bp add 0x400000", rc=4).text
    for _ in range(8):
        session.cmd("bp event obj.destroy")
    session.cmd("bp event obj.destroy", rc=7)
    session.cmd("bp del all")
    assert not session.rows("bp")


def test_events_with_conditions(machine):
    """Stop only if the line fails: a rule of the kernel, or a policy about who can get what."""
    m = boot(machine, "bp event cap.map unless='expect \"ep name=done cols=caps\" < 3'")
    stopped(m, 64)
    k = Kdb(m, stopped=True)
    assert k.rows("ep name=done")[0]["caps"] == 3
    assert k.rows("bp")[0]["passed"] > 10
    k.cmd("bp del all")
    k.go()
    m.expect("rounds played")


def test_scripts(session):
    session.cmd("script def look 'task | wc; thread | wc'")
    assert len(session.cmd("run look").lines) == 2
    assert session.rows("run look")[0]["n"] == len(session.rows("task"))
    session.cmd("script def look 'nonsense; task'")
    assert session.cmd("run look", rc=2).lines == ["error: no command 'nonsense'; help lists them"]
    session.cmd("run nobody", rc=3)
    session.cmd("script def again 'run again'")
    assert session.cmd("run again", rc=7).lines, "a script that runs itself ends"
    session.cmd("script on key look")
    assert session.rows("script script=look") == [{"script": "look", "on": ["key"], "lines": "nonsense; task"}]
    session.cmd("script on nothing look", rc=4)
    session.cmd("script on key nobody", rc=3)
    session.cmd("script def look 'trace mark 5; go'")
    session.go()
    session.machine.send(b"\x05")                  # it does not fall to the prompt
    session.machine.expect(rb"#B 0 go v1\r\n#E 0 rc=0")
    session.machine.expect(rb"\r\n")
    session.machine.send(b"\x05")
    session.machine.expect(rb"#B 0 go v1\r\n#E 0 rc=0")


def test_a_module_with_lines_runs_at_boot(machine, tmp_path):
    rc = tmp_path / "kdbrc"
    rc.write_text("# what I always want\nscript def mine 'task'\n\nbp add pong\nbadly\nobj | wc\n")
    m = machine(modules=[rc])
    m.expect(r"error: no command 'badly'")
    m.expect(r"kdbrc: line 5 ends with rc=2: badly")
    m.expect(rb"\r\n +\d+\r\n")
    stopped(m, 0)
    k = Kdb(m, stopped=True)
    assert [r["script"] for r in k.rows("script")] == ["mine"]
