# SPDX-License-Identifier: MIT
"""Every command of the table runs, and its rows are what its schema says."""

import json
import re

import pytest

from harness.kdb import Kdb

#: Lines that change the machine or end the session.
NOT_HERE = {"tour show", "go", "step", "gdb", "halt", "reboot", "proto", "self fault", "w"}
KINDS = {
    "num": int, "us": int, "bool": bool, "hex": str, "id": str, "name": str, "slot": str, "rights": str, "text": str,
    "list": list,
}


@pytest.fixture(scope="module")
def tables(build, tmp_path_factory):
    from harness.qemu import Machine

    m = Machine(directory=tmp_path_factory.mktemp("kdb"), build=build)
    m.expect("rounds played")
    k = Kdb(m)
    commands = {}
    for row in k.rows("schema"):
        entry = commands.setdefault(row["command"], {"columns": {}, "example": None, "effect": None})
        if row["column"] is None:
            entry.update(example=row["example"], effect=row["effect"])
        else:
            entry["columns"][row["column"]] = row["kind"]
    yield k, commands
    m.kill()


def ids(k):
    """Real ids and slots for the placeholders of the examples."""
    objects = {}
    for row in k.rows("obj"):
        objects.setdefault(row["type"], row["id"])
    return objects


def concrete(example, objects):
    for sample, kind in (("th39", "thread"), ("th34", "thread"), ("th2", "thread"), ("ep16", "endpoint"), ("rs8", "reservation"),
                         ("kp3", "kernel page"), ("kp2", "kernel page"), ("tk1", "task")):
        example = example.replace(sample, objects[kind])
    return example


EDGE = re.compile(r'  "(?:[^"\\]|\\.)*"(?: -> "(?:[^"\\]|\\.)*")? \[label="[^"\\]*"\];')


def is_message(line, form):
    """What a line says to people beside its rows."""
    return line.startswith("// error: " if form == "dot" else "error: ")


def fields(row, columns):
    for column, value in row.items():
        if column != "err" and value is not None:
            assert column in columns and isinstance(value, KINDS[columns[column]]), f"{column} = {value!r}"


def test_every_table_can_be_read_by_a_program(tables):
    """json, tsv and dot of every command with rows, and the same rows in each."""
    k, commands = tables
    objects = ids(k)
    for name, command in commands.items():
        if name in NOT_HERE or not command["example"] or not command["columns"] or command["effect"] != "pure":
            continue
        line = concrete(command["example"], objects)
        columns = list(command["columns"])
        reply = k.cmd(line + " -o json", rc=None)
        for text in reply.lines:
            row = json.loads(text)
            if "error" not in row:
                assert set(row) - {"err"} == set(columns), f"{line!r}: {sorted(row)}"
                fields(row, command["columns"])
        reply = k.cmd(line + " -o tsv", rc=None)
        rows = [text for text in reply.lines if not is_message(text, "tsv")]
        assert len(rows) == (reply.count + 1 if reply.count else 0), f"{line!r}:\n{reply.text}"
        for text in rows:
            assert len(text.split("\t")) == len(columns), f"{line!r}: {text!r}"
        if rows:
            assert rows[0].split("\t") == columns
        reply = k.cmd(line + " -o dot", rc=None)
        graph = [text for text in reply.lines if not is_message(text, "dot")]
        assert graph[0] == "digraph kdb {" and graph[-1] == "}", f"{line!r}:\n{reply.text}"
        assert len(graph) == reply.count + 2
        for text in graph[1:-1]:
            assert EDGE.fullmatch(text), f"{line!r}: {text!r}"


def test_text_tables_are_aligned(tables):
    """Every cell begins where its title begins, or ends where it ends (numbers, times)."""
    k, commands = tables
    objects = ids(k)
    tried, crooked = 0, []
    for name, command in commands.items():
        if name in NOT_HERE or not command["example"] or len(command["columns"]) < 2 or command["effect"] != "pure":
            continue
        reply = k.cmd(concrete(command["example"], objects).removesuffix("-o json"), rc=None)
        if not reply.count or reply.rc:
            continue
        tried += 1
        if set(command["columns"]) == {"field", "value"}:
            starts = {len(line) - len(line[15:].lstrip()) for line in reply.lines if len(line) > 17 and line[0] != " "}
            if starts != {17}:
                crooked.append((name, starts))
            continue
        title, rows = reply.lines[0], reply.lines[1:reply.count + 1]
        if title.startswith("-"):
            continue                               # only notes: its rows went into a pipe
        for word in re.finditer(r"\S+", title):
            right = command["columns"][word[0]] in ("num", "us")
            at = word.end() if right else word.start() - 1
            edge = [line[at:at + 1].strip() for line in rows]
            if word.start() and any(edge) or right and any(line[at - 1:at] == " " for line in rows):
                crooked.append((name, word[0], [line for line, e in zip(rows, edge) if e][:1]))
    assert tried > 25
    assert not crooked, crooked


def test_wrong_arguments_are_told_and_do_nothing(tables):
    """Too many arguments, and nonsense: a clear error for every command that there is."""
    k, commands = tables
    k.cmd("snap arguments")
    for name, command in commands.items():
        if name in ("self fault", "go", "step", "gdb"):
            continue
        many = k.cmd(f"{name} " + " ".join(["=?"] * 13), rc=None)
        assert many.rc == 2 and many.lines[0].startswith("error: "), f"{name}: {many.rc} {many.text}"
        for nonsense in ("%s", "th4294967296", "tk0/cap/", "'", "-", "=", "/"):
            reply = k.cmd(f"{name} {nonsense}", rc=None)
            assert reply.rc in (0, 1, 2, 3, 4, 7, 9), f"{name} {nonsense}: rc {reply.rc}\n{reply.text}"
            if reply.rc > 1:
                assert reply.lines and len(reply.lines[-1]) > len("error: ") + 5, f"{name} {nonsense}: {reply.text!r}"
        if k.cmd(name, rc=None).rc in (2,):
            assert k.cmd(name, rc=2).lines[-1].startswith("error: ")
    k.cmd("set max 0")
    k.cmd("set output text")
    k.cmd("diff arguments")
    for row in k.rows("snap ls"):                  # nonsense is a name like another
        k.cmd(f"snap del {row['snapshot']}")
    k.check()


def test_misspelled_commands_get_a_proposal(tables):
    k, _ = tables
    assert "did you mean task?" in k.cmd("tsk", rc=2).text
    assert "did you mean thread?" in k.cmd("thred show th1", rc=2).text
    assert "did you mean" not in k.cmd("frobnicate", rc=2).text
    assert k.cmd("?").count == k.cmd("help").count


def test_each_runs_a_line_for_every_row(tables):
    k, _ = tables
    eps = k.rows("ep")
    reply = k.cmd("ep | each 'who % -d | wc' -o json")
    assert [r["n"] for r in reply.rows] == [e["caps"] for e in eps]
    tasks = k.rows("thread | uniq task")
    reply = k.cmd("thread | uniq task | each task show")
    assert [line for line in reply.lines if line.startswith("== ")] == [f"== task show {t['task']}" for t in tasks]
    threads = k.rows("thread")
    assert [r["field"] for r in k.rows("thread max=1 | each regs")] == [r["field"] for r in k.rows(f"regs {threads[0]['id']}")]
    k.cmd("thread | each task show", rc=4)            # the worst of the lines
    assert k.cmd("thread cols=task | each task show").rc == 0
    k.cmd("obj | count by type | each obj show", rc=2)
    k.cmd("ep | each", rc=2)
    k.cmd("ep | each who % | wc", rc=2)               # a pipe inside needs quotes
    k.cmd("ep | each 'ep | each why'", rc=11)
    assert k.cmd("ep senders>999 | each why").lines == []


def test_every_example_runs_and_keeps_to_its_schema(tables):
    k, commands = tables
    objects = ids(k)
    assert len(commands) > 60
    for name, command in commands.items():
        if name in NOT_HERE or not command["example"]:
            continue
        line = concrete(command["example"], objects)
        reply = k.cmd(line if "'" in line else line + " -o json", rc=None)
        assert reply.rc in (0, 1, 3, 5, 6), f"{line!r}: rc {reply.rc}\n{reply.text}"
        for text in reply.lines:
            if not text.startswith("{") or name == "report":
                continue
            row = json.loads(text)
            if "error" in row:
                continue
            for column, value in row.items():
                if column == "err" or value is None:
                    continue
                kind = command["columns"].get(column)
                assert kind, f"{line!r}: column {column} is not in the schema"
                assert isinstance(value, KINDS[kind]), f"{line!r}: {column} = {value!r}"
    k.cmd("set max 0")


def test_tours_show_what_they_say(tables):
    k, commands = tables
    tours = k.rows("tour")
    assert len(tours) >= 5
    for tour in tours:
        for step in range(1, tour["steps"] + 1):
            lines = k.cmd(f"tour {tour['tour']} {step}", rc=None).lines
            at = next(i for i, text in enumerate(lines) if text.startswith("== "))
            words = lines[at][3:].split()
            name = " ".join(words[:2]) if " ".join(words[:2]) in commands else words[0]
            command = commands.get(name) or commands.get(f"{name} ls") or commands[f"{name} show"]
            assert command["effect"] == "pure", lines[at]
            assert lines[0] == f"tour {tour['tour']}, step {step} of {tour['steps']}" and at >= 2
            assert not any(text.startswith("error") for text in lines), lines
            assert len(lines) > at + 2 or words[0] in ("rq", "tmo"), f"{lines[at]}: nothing to see"
    k.cmd("tour caps 7", rc=4)
    k.cmd("tour caps 0", rc=4)
    k.cmd("tour nowhere", rc=3)


def test_machine_commands_need_unsafe(tables):
    k, _ = tables
    k.cmd("w 0xc0100000 1", rc=9)
    k.cmd("reboot", rc=9)
    k.cmd("x/1xw 0xfee00000 -f", rc=9)
    k.cmd("set unsafe on")
    k.cmd("set unsafe off")


def test_filters_sorting_and_pipes(tables):
    k, _ = tables
    rows = k.rows("obj sort=-id")
    numbers = [int("".join(c for c in r["id"] if c.isdigit())) for r in rows]
    assert numbers == sorted(numbers, reverse=True)
    threads = k.rows("obj type=thread")
    assert threads and all(r["id"].startswith("th") for r in threads)
    assert k.rows("obj type=thread | wc") == [{"n": len(threads)}]
    counts = {r["type"]: r["n"] for r in k.rows("obj | count by type")}
    assert counts["thread"] == len(threads) and sum(counts.values()) == len(rows)
    assert len(k.rows("obj | head 3")) == 3
    assert k.rows("obj | tail 2")[-1] == k.rows("obj")[-1]
    assert k.rows("obj sort=id | tail 1") == rows[:1]
    assert all("sigma0" in json.dumps(r) for r in k.rows("obj | grep sigma0"))
    assert k.rows("obj | sum caps")[0]["sum"] == sum(r["caps"] for r in rows)
    assert [r["type"] for r in k.rows("obj | uniq type")] == list(dict.fromkeys(r["type"] for r in k.rows("obj")))
    assert list(k.rows("obj cols=type,id max=1")[0]) == ["type", "id"]
    task = k.rows("task name=sigma0")[0]["id"]
    pages = k.rows(f"cap ls {task} type~kernel* rights&a")
    assert pages and all("a" in r["rights"] for r in pages)


def test_expect_compares_and_reports(tables):
    k, _ = tables
    k.cmd("expect 'task | wc' >= 1")
    reply = k.cmd("expect 'task | wc' = 99 -o json", rc=1)
    assert reply.rows[0]["ok"] is False and reply.rows[0]["want"] == "99"


def test_ids_of_the_wrong_type_are_refused(tables):
    k, _ = tables
    thread = k.rows("thread")[0]["id"]
    k.cmd(f"ep show {thread}", rc=4)
    k.cmd(f"task show {thread.replace('th', 'tk')}", rc=4)
    k.cmd("thread show th99999", rc=3)
    k.cmd("thread show @nobody", rc=3)


def test_memory_that_is_not_there_is_shown_as_such(tables):
    k, _ = tables
    task = k.rows("task")[0]["id"]
    reply = k.cmd(f"x/4xw {task}:0xbffffff8", rc=5)
    assert "??" in reply.text
    reply = k.cmd("x/4xw 0xfffffff0", rc=5)
    k.cmd("x/1xw 0xb0000000", rc=5)


def test_report_has_all_parts(tables):
    k, _ = tables
    reply = k.cmd("report")
    for part in ("== thread", "== ipcq", "== check", "== log"):
        assert part in reply.text


def test_the_manual_is_up_to_date(tables):
    import importlib.util
    import pathlib

    root = pathlib.Path(__file__).resolve().parents[2]
    spec = importlib.util.spec_from_file_location("kdb_doc", root / "scripts/kdb_doc.py")
    doc = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(doc)
    k, _ = tables
    text = (root / "docs/kdb.md").read_text()
    assert text.split(doc.MARKER)[1].strip() == doc.reference(k.rows("schema")).strip(), "run scripts/kdb_doc.py"


def test_reading_commands_change_nothing(tables):
    k, commands = tables
    objects = ids(k)
    k.cmd("snap quiet")
    digest = k.rows("stat hash")
    for command in commands.values():
        if command["effect"] == "pure" and command["example"]:
            line = concrete(command["example"], objects)
            k.cmd(line + " | wc" if command["columns"] else line, rc=None)
            assert k.rows("stat hash") == digest, line
    k.cmd("diff quiet")
    k.cmd("snap del quiet")
    k.check()
