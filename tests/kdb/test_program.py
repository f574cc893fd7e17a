# SPDX-License-Identifier: MIT
"""What the debugger says, compared with what a program does (tests/kdb/program).  [G44]"""

import re
import time

import pytest

from harness import qemu
from harness.kdb import BREAK_KEY, Kdb


def results(text):
    return {name: (int(got), int(want)) for name, got, want in
            re.findall(r"^(\S+(?: \S+)*) got=(\d+) want=(\d+)", text.replace("\r", ""), re.MULTILINE)}


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_ring_of_senders_is_a_deadlock(machine, count):
    m = machine(sigma0="kdbtest", args=f"ring={count}")
    m.expect("ring: closed")
    k = Kdb(m)
    members = [r["id"] for r in k.rows("thread name=member")]
    assert len(members) == count
    rows = k.rows("why cycles", rc=1)
    assert {r["thread"] for r in rows} == set(members)
    assert all(r["verdict"] == "DEADLOCK" for r in rows)
    reply = k.cmd(f"why {members[0]}", rc=1)
    assert f"({count} threads, no timeout on any link)" in reply.text


def test_a_timeout_in_the_ring_is_no_deadlock(machine):
    m = machine(sigma0="kdbtest", args="ring=3 timeout")
    m.expect("ring: closed")
    k = Kdb(m)
    assert not k.rows("why cycles")
    verdicts = [r["verdict"] for r in k.rows("why -a", rc=None)]
    assert "ends with its timeout" in verdicts and "DEADLOCK" not in verdicts


def test_the_dry_run_predicts_the_unmap(machine):
    m = machine(sigma0="kdbtest", args="revoke")
    m.expect("revoke: done")
    found = results(m.text())
    assert len(found) == 18
    wrong = {name: pair for name, pair in found.items() if pair[0] != pair[1]}
    assert not wrong, f"got, want: {wrong}"
    assert found["whole objects destroyed"][0] >= 6
    assert found["children mappings removed"][0] == 1


def test_the_debug_call(machine):
    m = machine(sigma0="kdbtest", args="call")
    m.expect("call: done")
    found = results(m.text())
    assert len(found) >= 28
    wrong = {name: pair for name, pair in found.items() if pair[0] != pair[1]}
    assert not wrong, f"got, want: {wrong}"


def test_enter_stops_with_the_text_and_goes_on(machine):
    m = machine(sigma0="kdbtest", args="enter")
    m.expect(r"kdb: call: hello from user")
    k = Kdb(m, stopped=True)
    registers = {r["field"]: r["value"] for r in k.rows("regs")}
    assert registers["mode"] == "user"
    k.go()
    m.expect(r"enter: now")
    m.expect(rb'#B 0 enter v1\r\n\{"why":"call"')
    k._prompt()
    k.check()


@pytest.mark.parametrize("level,execs,enters", [("log", False, False), ("ro", True, False)])
def test_levels_of_the_debug_call(machine, level, execs, enters):
    m = machine(sigma0="kdbtest", args="call", append=f"debug={level}")
    m.expect(r"call: done|exec failed")
    found = results(m.text())
    nosys = 14
    assert (found["exec"][0] == 0) == execs
    if not execs:
        assert found["exec"][0] == nosys


def test_debug_off_has_no_way_in(machine):
    m = machine(append="debug=off")
    m.expect("boot:")
    time.sleep(2)
    m.send(BREAK_KEY)
    with pytest.raises(qemu.Hung):
        m.expect(r"kdb", timeout=5)


def test_boot_option_runs_lines(machine):
    m = machine(append="kdb=stat;cpu")
    m.expect(r"uptime ")
    m.expect("rounds played")


def test_step_and_breakpoint(machine):
    m = machine(sigma0="kdbtest", args="enter")
    m.expect(r"kdb: call: hello from user")
    k = Kdb(m, stopped=True)
    k.cmd("bp add sys_debug")
    rows = k.rows("bp")
    assert rows[0]["kind"] == "soft" and rows[0]["symbol"].startswith("sys_debug")
    k.go()
    m.expect(rb'#B 0 enter v1\r\n\{"why":"bp"')
    k._prompt()
    assert k.rows("bt")[0]["symbol"].startswith("sys_debug")
    assert len(k.rows("bt")) >= 2
    m.send("step\r")
    m.expect(rb'#B 0 enter v1\r\n\{"why":"step"')
    k.number = None
    k._prompt()
    k.cmd("bp del all")
    assert not k.rows("bp")
    k.check()


def test_a_kernel_trap_shows_itself_and_cannot_be_continued(machine):
    m = machine(sigma0="kdbtest", args="enter")
    m.expect(r"kdb: call: hello from user")
    k = Kdb(m, stopped=True)
    at = k.rows("sym sys_debug")[0]["addr"]
    k.cmd("set unsafe on")
    k.cmd(f"w {at} 0x0b0f size=2")            # ud2
    k.go()
    m.expect(rb'#B 0 enter v1\r\n\{"why":"(trap|panic)"')
    k._prompt()
    assert any("sys_debug" in (r["symbol"] or "") for r in k.rows("bt"))
    k.cmd("go", rc=9)
    k.cmd("step", rc=9)
    assert "== thread" in k.cmd("report").text
    k.check()


def test_read_only_debugger(machine):
    m = machine(append="debug=ro")
    m.expect("rounds played")
    k = Kdb(m)
    k.cmd("set unsafe on")
    k.cmd("w 0xc0100000 0", rc=9)
    k.cmd("reboot", rc=9)
    k.cmd("thread")
    k.go()
    m.send(BREAK_KEY)
    k._prompt()
    k.check()


def test_stop_at_an_event(machine):
    m = machine(sigma0="kdbtest", args="revoke", append="kdb=bp+event+obj.destroy")
    m.expect(r"-- kdb: call: obj\.destroy")
    k = Kdb(m, stopped=True)
    points = k.rows("bp")
    assert points[0]["kind"] == "event" and points[0]["hits"] == 1
    last = k.rows("trace last=1")[0]
    assert last["event"] == "obj.destroy" and "type=endpoint" in last["args"]
    k.cmd("bp event off")
    assert not k.rows("bp")
    k.go()
    m.expect("revoke: done")
    assert all(got == want for got, want in results(m.text()).values())


def test_out_of_budget_is_told_from_outranked(machine):
    m = machine(sigma0="kdbtest", args="budget")
    m.expect("budget: done")
    assert results(m.text()) == {"outranked": (1, 1), "out-of-budget": (1, 1)}


def test_what_an_interrupted_call_goes_on_with(machine):
    m = machine(sigma0="kdbtest", args="progress", icount=True)
    m.expect("progress: done")
    assert results(m.text()) == {"search": (1, 1), "unmap": (1, 1)}
    assert re.search(r"^goes on +in (unmap_continue|create_again)", m.text(), re.MULTILINE)


def test_the_longest_stretch_has_a_length_and_two_places(machine):
    m = machine(sigma0="kdbtest", args="revoke", append="kdb=stat+stretch+on;bp+event+obj.destroy")
    k = Kdb(m, stopped=True)
    value = k.rows("stat stretch")[0]["value"]
    found = re.fullmatch(r"(\d+) ticks, \d+ us: (point \w+|call \d+|vector \d+|sleep) to (point \w+|exit|sleep), th\d+", value)
    assert found and int(found.group(1)) > 500, value
    assert k.rows("stat")[-1]["value"] == value
    k.check()
    k.cmd("stat stretch perhaps", rc=None)
    assert k.rows("stat stretch")[0]["value"] == value
    k.cmd("stat stretch off")
    assert k.rows("stat stretch")[0]["value"].startswith("not measured")
    k.check()
