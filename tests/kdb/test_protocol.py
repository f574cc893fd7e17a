# SPDX-License-Identifier: MIT
"""The framed protocol, and input that nobody should send."""

import random
import re

import pytest

from harness.kdb import BREAK_KEY, Kdb, crc16

HUMAN = rb"kdb\[[^\]]*\]> "


def test_a_frame_has_number_name_and_checksum(session):
    reply = session.cmd("task ls max=1 -o json")
    assert reply.name == "task.ls v1"
    assert reply.count == 1 and reply.more
    assert set(reply.rows[0]) >= {"id", "name", "threads", "caps"}


def test_unknown_command_is_usage(session):
    reply = session.cmd("nonsense", rc=2)
    assert reply.name == "? v1"
    assert "nonsense" in reply.text


def test_sync_answers_the_nonce(session):
    session.machine.send("\x03sync abc123\r")
    session.machine.expect(rb"#S abc123\r\n")
    session.machine.expect(rb"kdb:(\d+)> ")
    session.number = int(session.machine.console.match.group(1))
    session.cmd("stat")


def test_no_echo_and_no_escape_in_test_mode(session):
    session.machine.send("cpu\r")
    session.machine.expect(rb"#E \d+ [^\r\n]*\r\n")
    before = session.machine.console.before
    assert not before.startswith(b"cpu")
    assert b"\x1b" not in before


def test_entry_frame_in_test_mode(session):
    session.go()
    session.machine.send(BREAK_KEY)
    session.machine.expect(rb"#B 0 enter v1\r\n")
    session.machine.expect(rb"#E 0 rc=0 rows=1 more=0 bad=0 us=0 crc=([0-9a-f]{4})\r\n")
    data = session.machine.console.before
    assert b'"why":"key"' in data
    assert crc16(data) == int(session.machine.console.match.group(1), 16)


def test_a_line_of_4_kb_is_refused_whole(session):
    session.machine.send("obj " + "x" * 4096 + "\r")
    session.machine.expect(rb"#E (\d+) rc=2 [^\r\n]*\r\n")
    session._prompt()
    session.cmd("obj max=1")


def test_ctrl_c_stops_a_command(session):
    session.machine.send("self fault loop\r")
    session.machine.expect(rb"#B \d+ self\.fault v1\r\n")
    session.machine.send("\x03")
    session.machine.expect(rb"#E \d+ rc=(8|7) [^\r\n]*\r\n")
    assert session.machine.console.match.group(1) == b"8"
    session._prompt()
    session.cmd("stat")


def test_every_fault_comes_back_to_the_prompt(session):
    for how in ("read", "write", "nested", "assert"):
        reply = session.cmd(f"self fault {how}", rc=12)
        assert "fault in self fault" in reply.text
    assert session.cmd("self test").count >= 10
    session.check()


def test_the_machine_goes_on_after_all_that(session):
    session.cmd("self fault read", rc=12)
    session.go()
    session.machine.send(BREAK_KEY)
    session._prompt()
    session.check()


def test_random_lines_never_break_the_frame(session):
    rng = random.Random(7)
    words = ["obj", "thread", "cap", "ls", "show", "tk5", "th6", "|", "head", "wc", "count", "by", "type", "id>3", "-o",
             "json", "sort=id", "max=2", "'", '"', "tk5/cap/0x1", "x/4", "0xffffffff", "=", "@sigma0", "$0", "-v", "&", "~",
             "map", "tree", "explain", "who", "revoke", "-n", "kp2", "why", "grep", "tail", "99999999999", "expect"]
    for _ in range(150):
        line = " ".join(rng.choice(words) for _ in range(rng.randint(1, 8)))
        reply = session.cmd(line, rc=None)
        assert reply.rc not in (12,), f"{line!r} faulted:\n{reply.text}"
        for text in reply.lines:
            assert not text.startswith("#") and not text.startswith("kdb:")


def test_random_bytes_never_hang_the_prompt(session):
    rng = random.Random(11)
    for _ in range(20):
        junk = bytes(rng.choice([b for b in range(256) if b != 0x13]) for _ in range(200))
        # A line that resumes or resets the machine would not be a hang; 'go' cannot come out of these by chance.
        session.machine.send(junk)
    session.machine.send("\r\x03sync done1\r")
    session.machine.expect(rb"#S done1\r\n")
    session._resync() if hasattr(session, "_resync") else session.machine.expect(rb"kdb:\d+> ")


def test_names_cannot_forge_a_frame(session):
    thread = session.rows("thread")[0]["id"]
    session.cmd(f"name {thread} '#E 1 rc=0'")
    name = session.rows(f"thread name~_")[0]["name"]
    assert name == "_E_1_rc_0"


@pytest.fixture
def human(machine):
    m = machine()
    m.expect("rounds played")
    m.send(BREAK_KEY)
    m.expect(HUMAN)
    return m


def test_human_mode_edits_and_remembers(human):
    human.send("tazk\x7f\x7fsk\r")          # Backspace
    human.expect(rb"id +name +threads")
    human.expect(HUMAN)
    human.send("\x1b[A\r")                  # history: the same line again
    human.expect(rb"id +name +threads")
    human.expect(HUMAN)


def test_tab_completes_commands_and_ids(human):
    human.send("lea\t")
    human.expect(rb"leaks ")
    human.send("\x15thread show @sig\t")
    human.expect(rb"@sigma0 ")
    human.send("\x15")


def test_tab_completes_slots_and_columns(human):
    human.send("task | grep sigma0\r")
    task = human.expect(rb"\r\n(tk\d+) +@sigma0").group(1).decode()
    human.expect(HUMAN)
    for typed, complete in ((f"cap show {task}/c", f"{task}/cap/"), (f"cap show {task}/cap/0x1fff", None),
                            ("obj | count by typ", "count by type "), ("thread sta", "state="), ("ep | su", "sum ")):
        human.send(f"\x15{typed}\t")
        if complete:
            human.expect(rb"\r" + HUMAN + re.escape(typed.rsplit(" ", 1)[0]).encode() + b" " +
                         re.escape(complete.split()[-1]).encode())
    human.send(f"\x15cap show {task}/cap/0x\t\t")
    human.expect((task + "/cap/0x1  ").encode())
    human.send("\x15")


def test_tab_at_every_place_changes_nothing(human):
    line = "thread show @sigma0 | grep x"
    for i in range(len(line) + 1):
        human.send("\x15" + line[:i] + "\t\t")
    human.send("\x15obj | wc\r")
    human.expect(rb"\r\n +\d+\r\n")
    human.expect(HUMAN)


def test_time_stands_still(machine):
    m = machine()
    m.expect("rounds played")
    k = Kdb(m)

    def uptime():
        text = next(r["value"] for r in k.rows("stat") if r["field"] == "uptime")
        return int(text.split()[0])

    first = uptime()
    for _ in range(20):
        k.cmd("obj")
    assert uptime() == first
