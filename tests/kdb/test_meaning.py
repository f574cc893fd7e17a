# SPDX-License-Identifier: MIT
"""What commands say about mappings, waiting, faults and damage is true."""

import re

from harness.kdb import Kdb


def number(text):
    return int(re.sub(r"\D", "", text))


def test_capability_trees_agree_with_capability_spaces(session):
    slots = {}
    for task in session.rows("task"):
        for cap in session.rows(f"cap ls {task['id']}"):
            slots[cap["slot"]] = cap
    for thing in session.rows("obj"):
        held = {r["slot"] for r in session.rows(f"who {thing['id']} -d")}
        assert held == {s for s, c in slots.items() if c["obj"] == thing["id"]}, thing
        assert len(held) == thing["caps"]
        tree = session.rows(f"map tree {thing['id']}")
        for node in tree:
            assert not node["slot"] or node["slot"] in slots
            if node["parent"]:
                parent = slots[node["parent"]]
                assert not set(node["rights"]) - set(parent["rights"]) - {"-"}, "a child has more than its parent"


def test_names_of_memory_agree_with_page_tables(session):
    for task in session.rows("task"):
        for entry in session.rows(f"mem ls {task['id']} max=8"):
            address = entry["range"].split("-")[0]
            walk = session.cmd(f"pt walk {task['id']}:{address} -o json").rows
            assert walk[-1]["verdict"] in ("agrees", "not installed"), walk
            virt = session.rows(f"vtop {task['id']}:{address}")[0]
            assert virt["phys"] == entry["phys"]
            names = {r["slot"] for r in session.rows(f"ptov {entry['phys']}")}
            assert virt["slot"] in names


def test_dry_run_of_an_endpoint_names_all_its_capabilities(session):
    ep = next(e for e in session.rows("ep") if e["receivers"])
    rows = session.rows(f"revoke -n {ep['id']}")
    mappings = {r["ref"] for r in rows if r["kind"] == "mapping"}
    assert mappings == {r["slot"] for r in session.rows(f"who {ep['id']} -d")}
    assert {"object"} <= {r["kind"] for r in rows}
    waiting = [r for r in rows if r["kind"] == "ipc"]
    assert len(waiting) == ep["receivers"]
    session.check()


def test_dry_run_of_children_keeps_the_object(session):
    ep = next(e for e in session.rows("ep") if e["caps"] > 1)
    rows = session.rows(f"revoke -n {ep['id']} children")
    assert len(rows) == ep["caps"] - 1
    assert all(r["kind"] == "mapping" for r in rows)


def test_dry_run_of_a_kernel_page_takes_what_stands_in_it(session):
    page = max((p for p in session.rows("kp")), key=lambda p: p["chunked"])
    inside = {r["ref"] for r in session.rows(f"kp show {page['id']}") if r["ref"] and "/" not in r["ref"]}
    before = session.cmd("snap before")
    rows = session.rows(f"revoke -n {page['id']}", rc=0)
    dead = {r["ref"] for r in rows if r["kind"] == "object"}
    assert inside <= dead
    session.cmd("diff before")                    # rc 0: nothing has changed
    assert before.rc == 0


def test_dry_run_narrows_when_rights_are_left(session):
    ep = next(e for e in session.rows("ep") if e["caps"] > 1)
    rows = session.rows(f"revoke -n {ep['id']} children rights=m")
    assert all(r["effect"] == "narrow" for r in rows)
    session.cmd(f"revoke -n {ep['id']} rights=q", rc=4)
    session.cmd(f"revoke {ep['id']}", rc=2)


def test_a_pager_fault_is_explained(session):
    faulted = [r for r in session.rows("trace event=fault")]
    assert faulted, "the demonstration has a page fault"
    thread = faulted[0]["thread"]
    facts = {r["field"]: r["value"] for r in session.rows(f"explain fault {thread}")}
    assert facts["reason"] == "EMPTY"
    assert facts["name"].startswith("memory 0x")
    assert facts["handler"].startswith("ep")


def test_explain_tells_reasons_apart(session):
    task = session.rows("task name!=sigma0")[0]["id"]
    reasons = {}
    entry = next(e for e in session.rows(f"mem ls {task}") if e["rights"][1] == "-")
    address = entry["range"].split("-")[0]
    for what, line in (("read", f"explain {task} {address} r"), ("write", f"explain {task} {address} w"),
                       ("hole", f"explain {task} 0xb0000000 r"), ("kernel", f"explain {task} 0xc0000000 r"),
                       ("slot", f"explain {task}/cap/0x3ff"), ("table", f"explain {task}/cap/0x80000")):
        reasons[what] = [r["value"] for r in session.rows(line) if r["field"] == "reason"][0]
    assert reasons == {"read": "ALLOWED", "write": "RIGHTS", "hole": "EMPTY", "kernel": "KERNEL_RANGE", "slot": "EMPTY",
                       "table": "NO_CAPTABLE"}


def test_everybody_waits_for_ever_after_the_demonstration(session):
    rows = session.rows("why -a", rc=1)
    assert rows and all(r["verdict"].startswith("STUCK") for r in rows)
    session.cmd("why cycles")


def test_leaks_names_the_unused_kernel_page(session):
    classes = {r["class"] for r in session.rows("leaks")}
    assert classes <= {"kp-empty", "task-empty", "thread-idle", "res-unused", "ep-deaf", "ep-mute", "orphan", "dying"}
    assert "orphan" not in classes and "dying" not in classes


def test_history_of_an_object_begins_with_its_creation(session):
    ep = session.rows("ep")[0]["id"]
    events = [r["event"] for r in session.rows(f"hist {ep}")]
    assert events[0] == "obj.create"
    assert "cap.map" in events
    session.cmd(f"when {ep} created")
    session.cmd(f"when {ep} destroyed", rc=3)


def address_of(session, thing):
    return int(session.rows(f"obj show {thing}")[0]["addr"], 16)


def test_a_damaged_queue_is_shown_and_hides_nothing(session):
    """The queue of one endpoint leads to nowhere: a row with '!', all others as before, and check fails."""
    before = session.rows("ep")
    victim = next(e for e in before if e["receivers"])
    base = address_of(session, victim["id"])
    words = session.cmd(f"x/16xw {base:#x}").text
    values = [int(w, 16) for line in words.splitlines()[1:] for w in line.split()[-4:]]
    thread = address_of(session, next(t for t in session.rows("thread") if t["on"] == victim["id"])["id"])
    place = base + 4 * next(i for i, v in enumerate(values) if v == thread)
    session.cmd("set unsafe on")
    for bad in (0xFFF00000, 4, base, 0xC0100001):
        session.cmd(f"w {place:#x} {bad:#x}")
        reply = session.cmd("ep -o json", rc=None)
        assert reply.rc in (0, 6)
        assert len(reply.rows) >= len(before)
        assert reply.bad == 1
        assert [r["id"] for r in reply.rows if "id" in r] == [r["id"] for r in before]
        session.cmd("ipcq", rc=None)
        session.cmd("thread")
        session.cmd("why -a", rc=None)
        assert session.cmd("check", rc=1).text.count("FAIL") >= 1
    session.cmd(f"w {place:#x} {thread:#x}")
    session.check()


def test_damaged_tree_links_are_found(session):
    ep = next(e for e in session.rows("ep") if e["caps"] > 1)
    base = address_of(session, ep["id"])          # the root node is the object's first member
    next_link = int(session.cmd(f"x/1xw {base:#x}").text.split()[-1], 16)
    session.cmd("set unsafe on")
    for bad in (0xFFF00000, 0, base + 4, 0xC0100000, next_link + 32):
        session.cmd(f"w {base:#x} {bad:#x}")
        session.cmd(f"map tree {ep['id']}", rc=6)
        for line in ("obj", "cap ls @sigma0", f"who {ep['id']}", f"revoke -n {ep['id']}", "leaks", "map stat"):
            assert session.cmd(line, rc=None).rc != 12, f"{line} faulted with next={bad:#x}"
        assert session.cmd("check MDB", rc=1).rc == 1
    session.cmd(f"w {base:#x} {next_link:#x}")
    session.check()


def test_flipped_bits_never_kill_the_debugger(session):
    """Single bits of live objects flipped: any answer is fine, a lost prompt is not."""
    import random

    rng = random.Random(3)
    targets = [address_of(session, o["id"]) for o in session.rows("obj") if o["type"] in ("thread", "endpoint", "task")][:12]
    session.cmd("set unsafe on")
    lines = ("obj", "task", "thread", "ep", "ipcq", "why -a", "rq", "tmo", "cap ls @sigma0 max=5", "check", "report -q")
    for _ in range(24):
        place = rng.choice(targets) + 4 * rng.randrange(16)
        old = int(session.cmd(f"x/1xw {place:#x}").text.split()[-1], 16)
        session.cmd(f"w {place:#x} {old ^ 1 << rng.randrange(32):#x}")
        session.cmd(rng.choice(lines), rc=None)
        session.cmd(f"w {place:#x} {old:#x}")
    session.check()


def test_tasks_of_one_image_share_its_text(session):
    rows = session.rows("mem shared @ping @pong")
    assert rows and all("w" not in (r["rights"] + r["others"]) or r["rights"] != r["others"] for r in rows)
    names = session.rows(f"ptov {rows[0]['phys']}")
    assert {rows[0]["slot"], rows[0]["other"]} <= {n["slot"] for n in names}


def test_a_lost_current_thread_does_not_lose_the_prompt(session):
    """The per-CPU block points to nowhere: every command answers, the prompt stays."""
    cpu = int(session.rows("sym boot_cpu")[0]["addr"], 16)
    words = session.cmd(f"x/16xw {cpu:#x}").text
    assert words
    session.cmd("set unsafe on")
    head = 48                                     # struct kobj; `current` is next
    old = int(session.cmd(f"x/1xw {cpu + head:#x}").text.split()[-1], 16)
    session.cmd(f"w {cpu + head:#x} 0xfff00000")
    for line in ("cpu", "thread", "regs", "bt", "why -a", "cap ls", "x/4xw tk5:0x400000", "report -q", "obj name~x", "check"):
        session.cmd(line, rc=None)
    session.cmd("proto test")
    session.cmd(f"w {cpu + head:#x} {old:#x}")
    session.check()


def test_the_state_hash_sees_a_single_bit(session):
    before = session.rows("stat hash")
    assert before == session.rows("stat hash")
    place = address_of(session, session.rows("ep")[0]["id"]) + 52
    old = int(session.cmd(f"x/1xw {place:#x}").text.split()[-1], 16)
    session.cmd("set unsafe on")
    session.cmd(f"w {place:#x} {old ^ 1:#x}")
    changed = session.rows("stat hash")
    assert [r["part"] for r, b in zip(changed, before) if r["hash"] != b["hash"]] == ["kernel pages", "all"]
    session.cmd(f"w {place:#x} {old:#x}")
    assert session.rows("stat hash") == before


def test_costs_of_threads_agree_with_the_switches(machine):
    m = machine(append="kdb=trace+on+sched.switch", icount=True)
    m.expect("rounds played")
    k = Kdb(m)
    costs = {r["thread"]: r for r in k.rows("prof")}
    switches = k.rows("trace event=sched.switch max=9999")
    runs, times = {}, {}
    for record, then in zip(switches, switches[1:] + [{"ago": 0}]):
        thread = re.search(r" to=(\S+)", record["args"]).group(1)
        thread = None if thread == "-" else thread
        runs[thread] = runs.get(thread, 0) + 1
        times[thread] = times.get(thread, 0) + record["ago"] - then["ago"]
    assert {t: r["runs"] for t, r in costs.items()} == runs
    assert all(abs(r["time"] - times[t]) <= r["runs"] + 1 for t, r in costs.items()), (costs, times)
    assert all(r["longest"] <= r["time"] <= r["ticks"] for r in costs.values())
    assert 1000 - len(costs) <= sum(r["permille"] for r in costs.values()) <= 1000


def test_costs_need_the_switches(session):
    assert "trace on sched.switch" in session.cmd("prof", rc=3).text
