# SPDX-License-Identifier: MIT
"""The GDB stub with the real GDB, and with packets that GDB would not send.  [G44]"""

import pathlib
import random
import re
import subprocess
import time

import pytest

from harness.rsp import Client

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE = 120


@pytest.fixture(scope="session")
def victim(tmp_path_factory):
    """A sigma0 that needs no library: see victim.c."""
    path = tmp_path_factory.mktemp("victim") / "victim.elf"
    subprocess.run(["gcc", "-m32", "-march=i486", "-O0", "-g3", "-std=gnu17", "-ffreestanding", "-fno-pic", "-fno-pie",
                    "-no-pie", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-nostdlib", "-static",
                    "-Wl,--build-id=none,--defsym=USER_BASE=0x400000,-T,user/libl4sec/user.ld", "-I.",
                    "tests/gdb/victim.c", "-o", str(path)], cwd=ROOT, check=True)
    return path


@pytest.fixture
def running(machine, victim):
    """A machine that runs the victim."""

    def start(append="", **options):
        m = machine(sigma0=str(victim), append=append, **options)
        if "gdb=wait" not in append:
            m.expect(rb"sigma0 at 0x[0-9a-f]+")
        return m

    return start


@pytest.fixture
def session(running, victim, build, tmp_path):
    """session(commands) runs GDB on a fresh machine; its output."""

    def run(commands, append="", target=None, m=None, program=victim, **options):
        m = m or running(append, **options)
        script = tmp_path / "session.gdb"
        script.write_text("source scripts/gdb/init.gdb\nset disassembly-flavor att\nset remotetimeout 60\n"
                          f"add-symbol-file {program}\ntarget remote {target or m.gdb_socket}\n" + commands)
        done = subprocess.run(["gdb", "-nx", "-batch", "-x", str(script), str((build / "l4sec.elf").resolve())], cwd=ROOT,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=PATIENCE * 2, check=False)
        return done.stdout.decode(errors="replace")

    return run


def has(text, *patterns):
    """Each pattern matches, in this order."""
    at = 0
    for pattern in patterns:
        match = re.compile(pattern, re.MULTILINE).search(text, at)
        assert match, f"no {pattern!r} behind position {at} in:\n{text}"
        at = match.end()


# ---- sessions --------------------------------------------------------------------------------------------


@pytest.mark.everyday
def test_attach(session):
    out = session("info threads\nbt\ninfo registers\nprint $cr0\nprint boot_cpu.current->obj\ndetach\n")
    has(out, r"^\* 1 +Thread \d+ \"th\d+\" \(tk\d+ running", r"in run \(\)", r"^eip +0x4", r"= \[ .*PG \]",
        r"= th\d+", r"detached")


@pytest.mark.everyday
def test_user_breakpoints(session):
    out = session("break square\ncontinue\nprint x == (rounds & 7)\nfinish\ncontinue\nbt 3\ndelete\n"
                  "tbreak ask_kernel\ncontinue\nnext\nnext\nnext\nnext\nprint total > 0\ndetach\n")
    has(out, r"Breakpoint 1, square \(x=", r"= 1$", r"Value returned is",
        r"Breakpoint 1, square", r"#1 .* one_round", r"#2 .* run", r"Temporary breakpoint 2, ask_kernel", r"one_round \(\)",
        r"= 1$", "detached")


def test_hardware_points(session):
    out = session("hbreak square\ncontinue\nbt 1\ndelete\nwatch total\ncontinue\ncontinue\ndelete\n"
                  "awatch bytes[2]\ncontinue\ndelete\nwatch odd_step\nwatch rounds\nwatch bytes\ncontinue\ndelete\n"
                  "rwatch total\ncontinue\n")
    has(out, r"Breakpoint 1, square", r"Hardware watchpoint 2: total", r"Old value = \d+\nNew value = \d+",
        r"Old value = \d+\nNew value = \d+", r"Hardware access .*watchpoint 3: bytes\[2\]", r"Hardware watchpoint \d")
    assert re.search(r"read watchpoint|Could not insert|doesn't support", out), out


def test_steps(session):
    out = session("tbreak one_round\ncontinue\nstepi\nstepi\nstepi\nprint $eflags\nnext\nnext\nstep\nbt 2\n"
                  "finish\ninfo line\nprint $_siginfo_missing\n")
    has(out, r"Temporary breakpoint 1, one_round", r"\[ .*IF \]", r"one_round|long_line")
    assert "TF" not in re.search(r"\$1 = (.*)", out).group(1)


def test_range_stepping_needs_few_packets(session):
    out = session("tbreak long_line\ncontinue\nset debug remote 1\nnext\nset debug remote 0\nprint 4711\ndetach\n")
    body = out[:out.index("4711")]
    assert body.count("Sending packet") < 40, body[-3000:]
    assert "vCont;r" in body


def test_kernel_breakpoint_and_frames(session):
    out = session("break sys_entry\ncontinue\nbt\nfinish\ndelete\ntbreak sched_timer\ncontinue\nbt\ninfo threads\n"
                  "nexti\nnexti\nstepi\ndetach\n")
    has(out, r"Breakpoint 1, sys_entry \(t=0x", r"#0 +sys_entry", r"#1 +<signal handler called>", r"#2 .* ask_kernel",
        r"#3 .* one_round", r"sched_timer", r"#0 +sched_timer", r"<signal handler called>", r"in kernel\)", "detached")


def test_breakpoint_in_the_trap_path_is_refused(session):
    out = session("break *debug_enter\ncontinue\ndelete\nbreak square\ncontinue\ndetach\n")
    has(out, r"Cannot insert|Error", )
    out = session("break sys_finish\ncontinue\ncontinue\ndelete\nbreak memcpy\ntbreak square\ncontinue\ndetach\n")
    has(out, r"Breakpoint 1(\.\d+)?, .*sys_finish", r"Breakpoint 1(\.\d+)?, .*sys_finish", r"detached")


def test_calls_and_writes(session):
    out = session("tbreak one_round\ncontinue\nprint square(12)\nprint (int)(ratio > 1)\nset var rounds = 77\nprint rounds\n"
                  "set $ecx = 0x1234\nprint/x $ecx\nset $cs = 8\nprint $cs\nset $eflags = 0\nprint $eflags\nbt 1\n"
                  "print *(int *)0x10000000\n")
    has(out, r"= 144$", r"= 1$", r"= 77$", r"= 0x1234$", r"= 27$", r"= \[ IF \]", r"one_round", r"Cannot access memory")


def test_calls_in_the_kernel(session):
    """A function is called on the stack of interrupted kernel code, below what stands there."""
    out = session("tbreak sys_cap_inspect\ncontinue\nprint log_total() > 0\nprint *kobj_by_id(5)\nset var $sp0 = $esp\n"
                  "call (void)kputc(10)\nprint $esp == $sp0\nbt 5\ntbreak square\ncontinue\ndetach\n")
    has(out, r"sys_cap_inspect", r"\$1 = 1$", r"= tk5$", r"= 1$", r"#\d .* ask_kernel", r"Temporary breakpoint \d, square")


def test_panic_comes_to_gdb(session):
    out = session("tbreak sys_cap_inspect\ncontinue\nset var {int}($esp + 4) = 0xc0100000\njump panic\nbt 1\nmonitor thread\n")
    has(out, r"SIGABRT", r"panic", r"th\d+ +\S+ +tk\d+")


def test_kernel_memory(session):
    out = session("print/x *(unsigned char *)text_end\nx/i sys_entry\nset var *(char *)&l4sec_nothing = 1\n")
    assert "No symbol" in out
    out = session("print clock_khz > 1000\nx/4xw 0xc00b8000\n")
    has(out, r"= 1$", r"Cannot access memory at address 0xc00b8000")


def test_conditions_are_decided_in_the_stub(session):
    """Hits with a false condition do not reach GDB; locals, memory, registers; one that cannot be read stops."""
    out = session("set debug remote 1\nbreak square if (rounds & 15) == 7 && x == 7\ncontinue\nset debug remote 0\n"
                  "print 100 + (rounds & 15)\nprint x\ndelete\nhbreak square if (rounds & 7) == 3\ncontinue\n"
                  "print 200 + (rounds & 7)\ndelete\nbreak long_line if $esp == 0\ntbreak square\ncontinue\n"
                  "next\nnext\ninfo breakpoints\ndelete\nbreak square if *(int *)0x10000000 == 1\ncontinue\ndelete\n"
                  "break sched_timer if 1 == 1\ncontinue\ndetach\n")
    has(out, r";X[0-9a-f]+,", r"Breakpoint 1, square", r"= 107$", r"= 7$", r"Breakpoint 2, square", r"= 203$", r"breakpoint 4, square",
        r"stop only if \$esp == 0 \(target evals\)", r"Error in testing|Cannot access memory|Breakpoint 5, square", r"sched_timer", "detached")
    assert out[:out.index("= 107")].count("Sending packet: $vCont;c#") == 1


def test_backtrace_of_an_idle_processor(machine, session, build):
    """It ends where no thread is; an empty `monitor` lists the commands."""
    m = machine(args="quiet", append="gdb=wait")
    out = session("tbreak arch_idle\ncontinue\nbt\nmonitor\ndetach\n", m=m, program=build.resolve() / "user/sigma0.elf")
    has(out, r"#0 .*arch_idle", r"<signal handler called>", r"^#\d +0x0+ in", r"^cap ls ", "detached")
    assert "Backtrace stopped" not in out and "Cannot access" not in out


def test_condition_packets(client):
    """A false one costs no packet; what is malformed or too long sets nothing."""
    c = client()
    c.begin()
    c.ask("?")
    assert c.ask("Z0,400000,1;X3,220027") == b"OK"  # square(), if 0
    c.raw(c.frame(b"vCont;c"))
    assert c.silent(0.5) == b""
    c.raw(b"\x03")
    assert c.receive()[:3] == b"T02"
    assert c.ask("Z0,400000,1;X3,220027X3,220127") == b"OK"  # one of several
    c.raw(c.frame(b"vCont;c"))
    assert b"swbreak" in c.receive()
    for wrong in ("X", "X3", "X3,2200", "X3,22zz27", "X0,", "Xffffffff,22", "X200," + "22" * 0x200, "cmds:1", "Y3,220027"):
        assert c.ask("z0,400000,1") == b"OK"
        assert c.ask(f"Z0,400000,1;{wrong}")[:1] == b"E", wrong
        c.raw(c.frame(b"vCont;c"))
        assert c.silent(0.1) == b"", wrong
        c.raw(b"\x03")
        assert c.receive()[:3] == b"T02", wrong
    # All the room there is, and not one more.
    for i in range(33):
        reply = c.ask(f"Z0,{0x400000 + i:x},1;X3,220027")
        assert (reply == b"OK") == (i < 32), (i, reply)
    assert c.ask("D") == b"OK"


@pytest.mark.slow
def test_wait_at_boot(session):
    out = session("bt\ninfo threads\nnext\nnext\nfinish\ntbreak kernel_exit\ncontinue\nbt\ntbreak square\ncontinue\ndetach\n",
                  append="gdb=wait")
    has(out, r"arch_debug_break", r"debug_init", r"boot_kernel", r"\"cpu0\"", r"arch_start", r"kernel_exit",
        r"breakpoint \d, square", "detached")


@pytest.mark.slow
def test_detach_and_attach_again(running, session):
    m = running()
    out = session("break square\ncontinue\nprint rounds\ndetach\n", m=m)
    first = int(re.search(r"\$1 = (\d+)", out).group(1))
    time.sleep(0.5)
    out = session("print rounds\ndetach\n", m=m)
    assert int(re.search(r"\$1 = (\d+)", out).group(1)) > first


@pytest.mark.slow
def test_client_dies(running, session):
    """A GDB that is killed with breakpoints set leaves nothing that the next one sees."""
    m = running()
    client = Client(m.gdb_socket)
    client.begin()
    assert client.ask("?")[:1] == b"T"
    square = symbol(session, "square")
    assert client.ask(f"Z0,{square:x},1") == b"OK"
    client.raw(client.frame(b"vCont;c"))
    assert b"swbreak" in client.receive()
    client.close()
    out = session("info threads\nbt 1\ntbreak long_line\ncontinue\ndetach\n", m=m)
    has(out, r"\* 1 ", r"long_line", "detached")


@pytest.mark.everyday
def test_monitor_and_l4(session):
    out = session("monitor thread\nl4 tasks\nl4 threads\nl4 set backend walk\nl4 tasks\nl4 caps tk5\nprint $l4_obj(5)\n"
                  "print $l4_current()->obj\nl4 check\n")
    has(out, r"th\d+ +\S+ +tk\d+ +running", r"^tk\d+", r"^th\d+", r"^tk\d+ .*0xc", r"tk\d+/cap/0x1 +tk\d+", r"struct task|task \*",
        r"= th\d+")


@pytest.mark.slow
def test_l4_over_qemu(running, session, tmp_path):
    path = tmp_path / "qemu-gdb"
    m = running(extra=("-gdb", f"unix:{path},server=on,wait=off"))
    out = session("l4 objects\nl4 tasks\nl4 threads\nl4 caps tk5\nl4 map tk5\nl4 map phys/0x400000\nl4 check\n", m=m,
                  target=path)
    has(out, r"^kp\d+", r"^tk\d+ .*0xc", r"^th\d+", r"tk\d+/cap/0x1", r"tk\d+/cap/0x1", r"tk\d+/mem/0x400000",
        r"connect to its stub")


TABLES = ("l4 objects", "l4 tasks", "l4 threads", "l4 caps tk5", "l4 map tk5", "l4 map tk5/cap/0x1", "l4 map phys/0x400000")


def table(out, name, command):
    return out[out.index(f"<{name} {command}>"):out.index(f"</{name} {command}>")].split("\n")[1:]


@pytest.mark.slow
def test_tables_agree(machine, session, build, tmp_path):
    """The walk over our stub and over QEMU's, in one stopped machine: the same text.  kdb: the same objects."""
    path = tmp_path / "qemu-gdb"
    m = machine(sigma0="gdbpair", extra=("-gdb", f"unix:{path},server=on,wait=off"))
    m.expect("pair: started")

    def dump(name):
        return "".join(f"echo <{name} {c}>\\n\n{c}\necho </{name} {c}>\\n\n" for c in TABLES)

    kernel = (build / "l4sec.elf").resolve()
    out = session(dump("kdb") + "l4 set backend walk\n" + dump("ours") +
                  f"add-inferior -no-connection -exec {kernel}\ninferior 2\ntarget remote {path}\n" + dump("qemu") +
                  "detach inferiors 2\ninferior 1\ndetach\n", m=m, program=build.resolve() / "user/gdbpair.elf")
    for command in TABLES:
        ours, qemu, kdb = (table(out, name, command) for name in ("ours", "qemu", "kdb"))
        assert len(ours) > 2 and ours == qemu, (command, ours, qemu)
        assert not any("rror" in line for line in ours), ours
        mentioned = [set(re.findall(r"\b(?:tk|th|ep|rs|kp|cp)\d+\b", "\n".join(t))) for t in (ours, kdb)]
        if command in ("l4 objects", "l4 tasks", "l4 caps tk5"):
            assert mentioned[0] and mentioned[0] <= mentioned[1], (command, mentioned)


def test_what_kdb_changes_is_read_anew(session):
    out = session("l4 set backend walk\nl4 objects\npython gdb.execute('monitor name %d zebra' % objects()[0][2])\n"
                  "l4 objects\ndetach\n")
    has(out, "-- \\d+ rows", "zebra", "detached")


def symbol(session, name):
    match = re.search(rf"\$1 = .* (0x[0-9a-f]+) <{name}>", session(f"print &{name}\n"))
    return int(match.group(1), 16)


def test_the_programs_own_int3(session):
    """Nobody handles it, so it comes to GDB; it is not GDB's to take away."""
    out = session("set var {char}&rest_nop = 0xcc\ncontinue\nprint $pc == (void (*)())&rest_nop\nx/1xb &rest_nop\ncontinue\n"
                  "stepi\nset var {char}&rest_nop = 0x90\ntbreak square\ncontinue\ndetach\n")
    has(out, r"SIGTRAP", r"0xcc", r"SIGTRAP", r"Temporary breakpoint \d, square", "detached")


def test_watch_of_kernel_data(session):
    out = session("watch boot_cpu.interrupts\ncontinue\nbt 2\ncontinue\ndelete\ntbreak square\ncontinue\ndetach\n")
    has(out, r"Old value = \d+\nNew value = \d+", r"accept|trap_user|trap_kernel", r"Old value", r"square", "detached")


@pytest.mark.slow
def test_kdb_waits_for_gdb(running, session):
    m = running()
    m.send(b"\x05")
    m.expect(rb"kdb\[[^\]]*\]> ")
    m.send("gdb\r")
    time.sleep(2)
    out = session("print rounds\nprint rounds\ndetach\n", m=m)
    assert len(set(re.findall(r"\$\d = (\d+)", out))) == 1


# ---- packets ---------------------------------------------------------------------------------------------


@pytest.fixture
def client(running):
    opened = []

    def start(append="", **options):
        m = running(append, **options)
        c = Client(m.gdb_socket)
        c.machine = m
        opened.append(c)
        return c

    yield start
    for c in opened:
        c.close()


@pytest.mark.everyday
def test_protocol(client):
    c = client()
    features = c.begin()
    assert "swbreak+" in features and "hwbreak+" in features and "QStartNoAckMode+" in features
    assert "PacketSize=4000" in features
    assert c.ask("vMustReplyEmpty") == b""
    assert c.ask("qNonsense") == b"" and c.ask("Y") == b"" and c.ask("") == b""
    assert c.ask("vCont?") == b"vCont;c;C;s;S;r"
    stop = c.ask("?")
    assert re.match(rb"T05(0[4589]:[0-9a-f]{8};){4}thread:[0-9a-f]+;core:0;$", stop)
    me = re.search(rb"thread:([0-9a-f]+)", stop).group(1)
    assert c.ask("qC") == b"QC" + me
    assert me in c.ask("qfThreadInfo") and c.ask("qsThreadInfo") == b"l"
    assert b"running" in bytes.fromhex(c.ask(b"qThreadExtraInfo," + me).decode())
    assert c.ask(b"T" + me) == b"OK" and c.ask("Tffffff") == b"E01"
    assert c.ask("Hgffffff")[:1] == b"E" and c.ask(b"Hg" + me) == b"OK"
    assert c.ask("qAttached") == b"1"


def test_documents_in_pieces(client):
    c = client()
    c.begin()
    for what in ("features:read:target.xml", "threads:read:"):
        whole = c.ask(f"qXfer:{what}:0,3ff0")
        assert whole[:1] == b"l"
        pieces, offset = b"", 0
        while True:
            part = c.ask(f"qXfer:{what}:{offset:x},41")
            pieces += part[1:]
            offset += len(part) - 1
            if part[:1] == b"l":
                break
        assert pieces == whole[1:]
    assert c.ask("qXfer:features:read:other.xml:0,10") == b"E00"
    assert c.ask("qXfer:siginfo:read::0,10") == b""


def test_registers(client):
    c = client()
    c.begin()
    block = c.ask("g")
    assert len(block) == 2 * 324
    assert c.ask(b"G" + block) == b"OK" and c.ask("g") == block
    assert c.ask("p8") == block[64:72]
    assert c.ask("P1=78563412") == b"OK" and c.ask("p1") == b"78563412"
    assert c.ask("p2d")[:1] == b"E" and c.ask("P29=00000000") == b"OK" and c.ask("p29") != b"00000000" and c.ask("P1=12")[:1] == b"E"
    assert c.ask("P9=00000000") == b"OK"
    assert int.from_bytes(bytes.fromhex(c.ask("p9").decode()), "little") & 0x202 == 0x202


def test_memory(client):
    c = client()
    c.begin()
    text = c.ask("m400000,40")
    assert len(text) == 0x80
    assert c.ask("x400000,40") == b"b" + bytes.fromhex(text.decode())
    assert c.ask("x0,0") == b"b" and c.ask("m400000,0") == b""
    assert c.ask("m10000000,4") == b"E0e" and c.ask("mffffffff,10")[:1] in (b"E", b"0")
    assert c.ask("mc00b8000,4") == b"E0e" and c.ask("mb8000,4") == b"E0e"
    assert c.ask("M10000000,1:00") == b"E0e"
    assert c.ask("m400000")[:1] == b"E" and c.ask("m,4")[:1] == b"E" and c.ask("m123456789,4")[:1] == b"E"
    assert c.ask("M400000,4:0011")[:1] == b"E" and c.ask("M400000,ffffffff:00")[:1] == b"E"
    # A page that the program does not use any more: everything that needs an escape.
    awkward = bytes(range(256)) + b"$#}*" * 8
    old = bytes.fromhex(c.ask(f"m402800,{len(awkward):x}").decode())
    assert c.ask(b"X402800,%x:" % len(awkward) + awkward) == b"OK"
    assert c.ask(f"x402800,{len(awkward):x}") == b"b" + awkward
    assert c.ask(f"M402800,{len(old):x}:{old.hex()}") == b"OK"
    assert c.ask("X402800,0:") == b"OK"
    # Long reads are cut, not refused; zeros travel as run lengths.
    assert len(c.ask("m401000,ffffff")) > 0
    crc = c.ask("qCRC:400000,100")
    assert crc[:1] == b"C" and crc == c.ask("qCRC:400000,100")
    at = c.ask(b"qSearch:memory:400000;1000;" + bytes.fromhex(text[:16].decode()))
    assert at == b"1,400000"
    assert c.ask(b"qSearch:memory:400000;100;no such text") == b"0"


def test_breakpoint_bytes_are_hidden(client, session):
    c = client()
    c.begin()
    clean = c.ask("m400000,100")
    assert c.ask("Z0,400000,1") == b"OK" and c.ask("Z0,400000,1") == b"OK"
    assert c.ask("m400000,100") == clean
    c.raw(c.frame(b"vCont;c"))
    stop = c.receive()
    assert b"swbreak:;" in stop and b"08:00004000;" in stop
    assert c.ask("m400000,100") == clean
    for _ in range(20):
        c.raw(c.frame(b"c"))
        assert b"swbreak:;" in c.receive()
    assert c.ask("z0,400000,1") == b"OK" and c.ask("z0,400000,1") == b"OK"
    assert c.ask("Z0,10000000,1")[:1] == b"E"
    assert c.ask("Z3,400000,1") == b"" and c.ask("Z9,400000,1") == b"" and c.ask("Z0,4000")[:1] == b"E"
    assert [c.ask(f"Z1,40000{i},1") for i in range(5)][4][:1] == b"E"


def test_interrupt(client):
    c = client()
    c.begin()
    for _ in range(5):
        c.raw(c.frame(b"vCont;c"))
        assert c.silent(0.2) == b""
        c.raw(b"\x03")
        assert c.receive()[:3] == b"T02"
    # One that comes when the machine has stopped by itself is dropped.
    c.raw(b"\x03")
    assert c.ask("qC")[:2] == b"QC"


def test_interrupt_of_a_range_step(client):
    """Ctrl-C ends it as an interrupt (GDB would step on from a trap); the first packet of a new client is not lost."""
    c = client()
    c.begin()
    c.ask("?")
    for _ in range(3):
        c.raw(c.frame(b"vCont;r0,ffffffff"))
        assert c.silent(0.2) == b""
        c.raw(b"\x03")
        assert c.receive()[:3] == b"T02"
        c.raw(c.frame(b"vCont;r0,ffffffff"))
        assert c.silent(0.2) == b""
        assert c.ask("qC")[:2] == b"QC"


def test_acknowledgements(client):
    c = client()
    c.ask("qSupported")
    assert c.acks >= 1
    c.raw(b"$qC#00")  # wrong checksum
    while (byte := c.byte()) != b"-":
        assert byte in b"+"
    assert c.ask("qC")[:2] == b"QC"
    # A reply that is not taken comes again.
    c.no_ack = True
    c.raw(c.frame(b"qC"))
    first = c.receive()
    c.raw(b"-")
    assert c.receive() == first
    c.raw(b"+")
    # Noise, half packets, a packet in a packet.
    c.no_ack = False
    c.raw(b"+++\x00\xff~~$half$m40")
    assert c.ask("qC")[:2] == b"QC"


def test_too_long(client):
    c = client()
    c.begin()
    assert c.ask(b"m" + b"1" * 20000)[:1] == b"E"
    assert c.ask("qC")[:2] == b"QC"


def test_sessions(client):
    c = client()
    c.begin()
    assert c.ask("Z0,400000,1") == b"OK"
    c.begin()  # acknowledgements are on again, breakpoints gone
    c.raw(c.frame(b"vCont;c"))
    assert c.silent(0.3) == b""
    c.raw(b"\x03")
    assert c.receive()[:3] == b"T02"
    assert c.ask("D") == b"OK"
    assert c.silent(0.2) == b""
    c.raw(b"\x03")  # nobody is attached
    assert c.silent(0.3) == b""
    c.no_ack = False
    assert c.ask("?")[:1] == b"T"
    c.raw(c.frame(b"k"))
    c.machine.send(b"\x05")
    c.machine.expect(rb"kdb")


@pytest.mark.slow
def test_noise_does_not_stop_the_machine(client):
    c = client()
    c.raw(b"$oops")
    assert c.silent(3) == b""
    c.machine.send(b"\x05")
    c.machine.expect(rb"kdb[\[:]")


@pytest.mark.slow
@pytest.mark.parametrize("level", ["off", "log", "ro"])
def test_levels_without_gdb(client, level):
    c = client(f"debug={level}")
    c.raw(c.frame(b"?"))
    assert c.silent(1) == b""


def test_key_while_gdb_is_stopped(client):
    """Ctrl-E on COM1 takes the stopped machine to kdb; its `gdb` command gives it back."""
    c = client()
    c.begin()
    assert c.ask("?")[:1] == b"T"
    c.machine.send(b"\x05")
    c.machine.expect(rb"kdb\[[^\]]*\]> ")
    c.machine.send("gdb\r")
    assert c.ask("qC")[:2] == b"QC"


def test_monitor(client):
    c = client()
    c.begin()
    reply, text = c.monitor("thread ls")
    assert reply == "OK" and "th" in text
    reply, text = c.monitor("nonsense")
    assert reply[:1] == "E" and text
    reply, text = c.monitor("mmio on")
    assert reply == "OK"
    assert len(c.ask("mc00b8000,4")) == 8
    assert c.monitor("mmio off")[0] == "OK"
    assert c.ask("mc00b8000,4") == b"E0e"


def test_steps_raw(client):
    """Each step moves by one instruction and reports itself; interrupts do not show."""
    c = client()
    c.begin()
    for _ in range(300):
        c.raw(c.frame(b"vCont;s"))
        stop = c.receive()
        assert stop[:3] == b"T05", stop
        eip = int.from_bytes(bytes.fromhex(re.search(rb"08:([0-9a-f]{8});", stop).group(1).decode()), "little")
        assert 0x400000 <= eip < 0x401000, hex(eip)


@pytest.mark.slow
def test_fuzz(client):
    """Packets with correct checksums and senseless contents: an answer each time, and the kernel lives."""
    c = client()
    c.begin()
    rng = random.Random(5)
    heads = [b"m", b"x", b"M", b"X", b"Z0", b"Z2", b"z1", b"H", b"T", b"p", b"P", b"G", b"q", b"qXfer:", b"qXfer:threads:read::",
             b"qRcmd,", b"qCRC:", b"qSearch:memory:", b"qThreadExtraInfo,", b"vCont;x", b"Q", b"qfThreadInfo", b"vKilt"]
    for _ in range(400):
        tail = bytes(rng.choice(b"0123456789abcdef,:;=-$#}*\x00\xff") for _ in range(rng.randrange(30)))
        head = rng.choice(heads)
        if head in (b"M", b"X", b"G", b"P"):  # these would do what they say
            tail = tail.replace(b"=", b",")
        if head == b"G" and len(tail) >= 128:
            continue
        reply = c.ask(head + tail)
        while reply[:1] == b"O" and reply != b"OK":  # output of a monitor command comes before its reply
            reply = c.receive()
    assert c.ask("?")[:1] == b"T"
    assert c.monitor("check")[0] == "OK"
    c.machine.send(b"\x05")
    c.machine.expect(rb"kdb\[[^\]]*\]> ")


@pytest.mark.slow
def test_fuzz_of_the_line(client):
    """Bytes, frames cut off, wrong checksums, lengths beyond the buffer, between good packets: each of these is answered."""
    c = client()
    c.begin()
    c.ask("?")
    rng = random.Random(9)
    good = c.frame(b"qAttached")
    for i in range(200):
        kind = 4 if i % 80 == 79 else i % 4
        if kind == 0:  # whatever comes
            c.raw(bytes(rng.randrange(256) for _ in range(rng.randrange(1, 60))).replace(b"$", b"%"))
        elif kind == 1:  # truncated, and the next one begins at once
            c.raw(good[:rng.randrange(1, len(good))])
        elif kind == 2:  # checksum
            c.raw(good[:-2] + b"%02x" % rng.randrange(256) if rng.randrange(2) else good[:-2] + b"zz")
        elif kind == 3:  # sizes that do not fit, or are no numbers
            c.raw(c.frame(rng.choice([b"m0,", b"M400000,", b"X400000,", b"x400000,", b"qCRC:0,", b"vCont;r0,"]) +
                          rng.choice([b"ffffffff", b"fffffffff", b"-1", b"", b"4000:", b"0x10:00"])[:9]))
        else:
            c.raw(b"$" + b"A" * 0x4800 + b"#%02x" % (0x41 * 0x4800 & 255))
        c.raw(c.frame(b"qC"))
        while not c.receive().startswith(b"QC"):  # answers to what was well formed by chance
            pass
    assert c.monitor("check")[0] == "OK"
    assert c.ask("D") == b"OK"
    c.machine.send(b"\x05")
    c.machine.expect(rb"kdb\[")


@pytest.mark.slow
def test_unanswered_reply(client):
    """A client that does not acknowledge does not stop the stub for ever."""
    c = client()
    c.raw(c.frame(b"qSupported"))
    time.sleep(4)
    c.silent(0.2)
    assert c.ask("qC")[:2] == b"QC"




# ---- several tasks (program/main.c) ------------------------------------------------------------------------

SWITCH = """python
def use(name):
    next(t for t in gdb.selected_inferior().threads() if t.name == name).switch()
end
"""


@pytest.fixture
def pair(machine, build):
    m = machine(sigma0="gdbpair")
    m.expect("pair: started")
    return m


def test_a_breakpoint_belongs_to_its_task(pair, session, build):
    """Both tasks execute the byte all the time; only the one that is meant stops."""
    out = session(SWITCH + "info threads\npython use('first')\nbreak shared_step\ncontinue\nprint 10 + who\ncontinue 100\n"
                  "print 20 + who\ndelete\npython use('second')\nbreak shared_step\ncontinue\nprint 30 + who\n"
                  "continue 100\nprint 40 + who\nup\nprint count > 200\ninfo threads\ndetach\n", m=pair,
                  program=build.resolve() / "user/gdbpair.elf")
    has(out, r"\"starter\" \(tk\d+ recv ep\d+\)", r"\"first\"", r"\"second\"", r"= 11$", r"= 21$", r"= 32$", r"= 42$",
        r"= 1$", "detached")


def test_step_past_false_conditions_elsewhere(pair):
    """While one thread steps, the other one's hits with a false condition do not end the step."""
    c = Client(pair.gdb_socket)
    c.begin()
    c.ask("?")
    names = {name: i for i, name in re.findall(r'id="([0-9a-f]+)" core="0" name="(\w+)"',
                                               c.ask("qXfer:threads:read::0,1000").decode())}
    current = c.ask("qC")[2:].decode()
    other = next(names[n] for n in ("first", "second") if names[n] != current)
    assert c.ask(f"Z1,{symbol_of(pair.build, 'shared_step'):x},1;X3,220027") == b"OK"
    for _ in range(40):
        c.raw(c.frame(f"vCont;s:{other};c".encode()))
        stop = c.receive()
        assert stop[:3] == b"T05" and f"thread:{other};".encode() in stop and b"hwbreak" not in stop, stop
    assert c.ask("D") == b"OK"


def symbol_of(build, name):
    out = subprocess.run(["nm", str(build / "user/gdbpair.elf")], capture_output=True, text=True, check=True).stdout
    return int(re.search(rf"^([0-9a-f]+) T {name}$", out, re.MULTILINE).group(1), 16)


def test_a_breakpoint_survives_a_change_of_thread(pair, build, tmp_path):
    """Plain GDB takes points out at each stop: the task is remembered whatever thread is selected later."""
    script = tmp_path / "plain.gdb"
    script.write_text("set pagination off\nset remotetimeout 60\n" + SWITCH + f"target remote {pair.gdb_socket}\n"
                      "python use('first')\nbreak shared_step\ncontinue\nprint 10 + who\npython use('second')\ncontinue\n"
                      "print 20 + who\npython use('starter')\ncontinue\nprint 30 + who\ndetach\n")
    out = subprocess.run(["gdb", "-nx", "-batch", "-x", str(script), str(build / "user/gdbpair.elf")],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         timeout=PATIENCE * 2, check=False).stdout.decode()
    has(out, r"= 11$", r"= 21$", r"= 31$")


def test_step_of_another_thread(pair):
    c = Client(pair.gdb_socket)
    c.begin()
    c.ask("?")
    current = c.ask("qC")[2:]
    ids = c.ask("qfThreadInfo")[1:].split(b",")
    assert len(ids) == 3 and current in ids
    names = dict(re.findall(r'id="([0-9a-f]+)" core="0" name="(\w+)"', c.ask("qXfer:threads:read::0,1000").decode()))
    assert sorted(names.values()) == ["first", "second", "starter"]
    other = next(i for i in ids if i != current and names[i.decode()] != "starter")
    for _ in range(20):
        c.raw(c.frame(b"vCont;s:" + other + b";c"))
        stop = c.receive()
        assert stop[:3] == b"T05" and b"thread:" + other + b";" in stop
        other = next(i for i in ids if i != other and names[i.decode()] != "starter")
    # Registers and memory of a blocked thread can be read and written.
    starter = next(i for i in names if names[i] == "starter")
    assert c.ask(f"Hg{starter}") == b"OK"
    registers = c.ask("g")
    assert c.ask("P1=11223344") == b"OK" and c.ask("p1") == b"11223344"
    assert c.ask(b"G" + registers) == b"OK" and c.ask("g") == registers
    assert c.ask("D") == b"OK"
    pair.send(b"\x05")
    pair.expect(rb"kdb\[")


def test_steps_over_sysenter(pair, session, build):
    """A step at a system call lands behind it, in the same thread."""
    out = session(SWITCH + "python use('first')\nbreak l4_call_sysenter\ncontinue\ndelete\nstepi 18\nx/i $pc\nstepi\nx/i $pc\n"
                  "stepi\nstepi\ninfo threads\ndetach\n", m=pair, program=build.resolve() / "user/gdbpair.elf")
    has(out, r"l4_call_sysenter", r"=> .*", r"\* \d .*\"first\" \(tk\d+ running\)", "detached")
    assert "sysenter_entry" not in out


@pytest.mark.parametrize("cpu", ["486", "qemu32,+sep"])
def test_backtraces_go_through_calls(machine, session, build, cpu):
    """From kernel code, and from a thread that waits in a call, to the C code that called; with locals."""
    m = machine(sigma0="gdbpair", cpu=cpu)
    m.expect("pair: started")
    entry = "l4_call_int" if cpu == "486" else "l4_call_sysenter"
    out = session(SWITCH + "python use('starter')\nbt\npython use('first')\ntbreak sys_thread_switch\ncontinue\nbt\n"
                  "frame function worker\nprint count % 64\ndetach\n", m=m, program=build.resolve() / "user/gdbpair.elf")
    has(out, rf"#0 .*{entry}", r"^#\d .* main \(boot=", r"hit Temporary breakpoint 1", r"#0 +sys_thread_switch", r"<signal handler called>",
        rf"#\d .*{entry}", r"^#\d .* worker \(who=", r"= 0$", "detached")


@pytest.mark.slow
def test_many_hits_leave_no_trace(client):
    """Breakpoints hit thousands of times: all text is as it was, and the kernel is sound."""
    c = client()
    c.begin()
    c.ask("?")
    before = c.ask("qCRC:c0100000,20000"), c.ask("qCRC:400000,1000")
    user = 0x400000  # square()
    assert c.ask(f"Z0,{user:x},1") == b"OK"
    for i in range(2000):
        c.raw(c.frame(b"vCont;c"))
        assert c.receive()[:3] == b"T05", i
    assert (c.ask("qCRC:c0100000,20000"), c.ask("qCRC:400000,1000")) == before
    assert c.ask(f"z0,{user:x},1") == b"OK"
    reply, text = c.monitor("check")
    assert reply == "OK", text
    assert c.ask("D") == b"OK"
