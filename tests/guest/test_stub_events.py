# SPDX-License-Identifier: MIT
"""NMI, #DB and #MC at the first and the last instruction of every way into the kernel and out of it.  E-21

QEMU's own stub stops the guest suite at each of these places as its cases come along there, and QEMU's monitor injects
the event.  The kernel's debugger must tell the place, and `go` must lead back to it with all registers as they were.
"""

import re
import select
import socket
import struct
import subprocess

import pexpect
import pytest

from harness import rsp
from harness.kdb import Kdb

#: Cases that come along everywhere.
CASES = "canary,answer_,entry_,exception,irq_,fpu_two,ipc_every_length_task"
ESP, EIP, EFLAGS, DS, ES, WORDS = 4, 8, 9, 12, 13, 16
KERNEL_CS, USER_CS, USER_DS = 0x08, 0x1B, 0x23
FLAG_TF, FLAG_IF, FLAG_RF = 1 << 8, 1 << 9, 1 << 16
TSS_ROOM, TSS_ESP0, TSS_EIP, TSS_EFLAGS = 64, 4, 32, 36
HLT, INT_40, SYSENTER = 0xF4, 0x40CD, 0x340F
COM2_STATUS, COM2_TRIGGER = 0x2FD, 14
GATE_TASK, GATE_INTERRUPT = 5, 14

#: Uncorrected, in bank 1; "the interrupted code can go on", and that one is being reported.
MACHINE_CHECK = "mce 0 1 0xb200000000000000 5 0 0"

#: No case gets there.
NOT_REACHED = {"sysenter_entry.fast_late": "the payer's budget would have to end between two instructions"}

#: Where #DB itself comes along: a breakpoint there would never end, and kdb refuses it.
OF_DEBUG = re.compile(r"vector_1\b|trap_entry\b")


class Code:
    """The entry code of a kernel, by the symbols in its file: `places` is {address: name}.

    A block begins at a symbol; its last instruction is the one before the next symbol, or the one behind which nothing
    goes on.  Handlers of task gates are not in one piece with the others: `tasks`.
    """

    def __init__(self, kernel):
        names = subprocess.run(["nm", "-n", kernel], capture_output=True, text=True, check=True).stdout
        self.symbols = {name: int(at, 16) for at, name in re.findall(r"^(\w+) \w (\S+)$", names, re.MULTILINE)}
        text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", kernel], capture_output=True, text=True,
                              check=True).stdout
        self.code = [(int(at, 16), word) for at, word in re.findall(r"^([0-9a-f]+):\t(\S+)", text, re.MULTILINE)]
        start, end = self.symbols["entry_text_start"], self.symbols["entry_text_end"]
        every = {at: name for name, at in self.symbols.items()}
        self.tasks = {at: name for at, name in every.items() if re.sub("_entry$", "_tss", name) in self.symbols and
                      name.endswith("_entry")}
        blocks = {at: name for at, name in every.items() if start <= at < end} | self.tasks
        self.places, block = {}, None
        for (at, word), (behind, _) in zip(self.code, self.code[1:]):
            if at in blocks:
                block = blocks[at]
                self.places[at] = block
            if block and (word in ("jmp", "iret", "sysexit", "ret") or behind in every):
                self.places.setdefault(at, f"{block}, end")
                block = None
        self.shadows = [at for (_, before), (at, word) in zip(self.code, self.code[1:])
                        if before == "sti" and word in ("sysexit", "hlt")]
        self.nmi_iret = next(at for at in self.all("iret") if at > self.symbols["nmi_entry"])

    def all(self, *words):
        return [at for at, word in self.code if word in words]

    def choose(self, condition):
        return {at: name for at, name in self.places.items() if condition(name)}


def empty_qcow2(path):
    """Somewhere for QEMU's snapshots: header, table of reference counts, one block of them, table of clusters."""
    cluster = 1 << 16
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, 1 << 20, 0, 1, 3 * cluster, cluster, 1, 0, 0)
    parts = (header, struct.pack(">Q", 2 * cluster), struct.pack(">4H", 1, 1, 1, 1), b"")
    path.write_bytes(b"".join(part.ljust(cluster, b"\0") for part in parts))


class Driver:
    """The suite, stopped by QEMU's stub at places and by the kernel's debugger at events."""

    def __init__(self, machine, tmp_path, code, append="", cpu="pentium3", **options):
        self.code = code
        stub, disk = tmp_path / "stub", tmp_path / "snapshots.qcow2"
        empty_qcow2(disk)
        self.m = machine(sigma0="guest", append=f"fault=log {append}", icount=True, cpu=cpu, memory="32M",
                         extra=["-drive", f"if=none,file={disk},format=qcow2", "-S",
                                "-gdb", f"unix:{stub},server=on,wait=off"], **options)
        self.stub = rsp.Client(stub)
        self.ask("qXfer:features:read:target.xml:0,1")  # or it sets no registers
        self.com2 = None
        self.kdb = None

    # ---- QEMU's stub ----

    def ask(self, request):
        reply = self.stub.ask(request)
        assert reply[:1] != b"E", f"{request}: {reply}"
        return reply.decode()

    def plant(self, at):
        self.ask(f"Z0,{at:x},1")

    def remove(self, at):
        self.ask(f"z0,{at:x},1")

    def registers(self):
        return struct.unpack(f"<{WORDS}I", bytes.fromhex(self.ask("g"))[:4 * WORDS])

    def set_register(self, number, value):
        self.ask(f"P{number:x}={struct.pack('<I', value).hex()}")

    def read(self, at):
        return struct.unpack("<I", bytes.fromhex(self.ask(f"m{at:x},4")))[0]

    def write(self, at, value):
        self.ask(f"M{at:x},4:{struct.pack('<I', value).hex()}")

    def go_on(self):
        self.stub.raw(self.stub.frame(b"c"))

    def stopped(self):
        """Wait for the stub to stop the machine: the address, or None at the machine's end.  The console is read meanwhile."""
        while not self.stub.data.lstrip(b"+"):
            ready, _, _ = select.select([self.stub.socket, self.m.socket], [], [], self.stub.patience)
            assert ready, f"the machine hangs; it said:\n{self.m.text()[-3000:]}"
            if self.m.socket in ready and self.m.console.expect([pexpect.TIMEOUT, pexpect.EOF], timeout=0):
                return None
            if self.stub.socket in ready:
                self.stub.data += self.stub.socket.recv(65536) or b"$W"
        if b"$W" in self.stub.data:
            return None
        assert self.stub.receive()[:1] == b"T"
        return self.registers()[EIP]

    def step(self):
        """One instruction, from a place where the stub has a breakpoint."""
        at = self.registers()[EIP]
        self.remove(at)
        assert self.stub.ask("s")[:1] == b"T"
        self.plant(at)

    def port(self, number):
        """What the CPU would read there."""
        _, text = self.stub.monitor(f"i /b {number:#x}")
        return int(re.search(r"= (0x\w+)", text).group(1), 16)

    def raise_com2(self):
        """Enough bytes for its interrupt, which stays until the kernel has read them; nobody waits for them."""
        if not self.com2:
            self.com2 = socket.socket(socket.AF_UNIX)
            self.com2.connect(str(self.m.gdb_socket))
        self.com2.sendall(COM2_TRIGGER * b"x")
        while True:
            self.halt()
            arrived = self.port(COM2_STATUS) & 1
            self.go_on()
            if arrived:
                return

    def halt(self):
        """Stop the machine wherever it is: in the debugger."""
        self.stub.raw(b"\x03")
        assert self.stub.receive()[:1] == b"T"

    # ---- the kernel's debugger ----

    def wait(self, pattern):
        """For the console to say it.  QEMU may see to another interrupt line before an event: the stub stops here once more."""
        while (found := self.m.console.expect([pattern, pexpect.TIMEOUT, pexpect.EOF], timeout=0)):
            ready, _, _ = select.select([self.stub.socket, self.m.socket], [], [], self.stub.patience)
            assert ready and found == 1, f"no {pattern!r} on the console; it said:\n{self.m.text()[-3000:]}"
            if self.stub.socket in ready:
                self.stub.data += self.stub.socket.recv(65536)
            if self.stub.data.lstrip(b"+"):
                assert self.stopped() == self.injected_at
                self.go_on()
        return self.m.console.match

    def prompt(self, why, at):
        """The debugger says that it was entered for that reason, from that place in kernel code."""
        match = self.wait(rb'"why":"([^"]*)","point":\S*,"cpu":0,"thread":\S*,"pc":"(0x[0-9a-f]+)","user":(\w+)\}')
        self.kdb._prompt()
        assert match.groups() == (why.encode(), b"0x%08x" % at, b"false"), self.m.text()[-1500:]

    def begin(self):
        """Bring the debugger into test mode, from the first place that is reached."""
        at = self.stopped()
        self.inject("nmi")
        self.wait(rb"-- kdb: nmi")
        self.kdb = Kdb(self.m, stopped=True)
        self.kdb.go()
        assert self.stopped() == at
        return at

    def ask_monitor(self, line):
        reply, text = self.stub.monitor(line)
        assert reply == "OK" and not text, text

    # ---- events at the place where the machine stands, which has a breakpoint of the stub ----

    def inject(self, event):
        self.injected_at = self.registers()[EIP]
        self.ask_monitor(event)
        self.go_on()

    def same(self, before):
        """Back at the place, with the registers that were there; what the user had in ds and es nobody needs."""
        name = self.code.places.get(before[EIP], hex(before[EIP]))
        at = self.stopped()
        assert at == before[EIP], f"{name}: came back to {at and hex(at)}"
        for n, (was, now) in enumerate(zip(before, self.registers())):
            if n == EFLAGS:
                was, now = was & ~FLAG_RF, now & ~FLAG_RF
            assert was == now or (n in (DS, ES) and now == USER_DS), f"{name}: register {n} was {was:#x}, is {now:#x}"

    def nmi(self):
        before = self.registers()
        self.inject("nmi")
        self.prompt("nmi", before[EIP])
        self.kdb.go()
        self.same(before)

    def machine_check(self):
        """It is the end of the kernel: tried on a copy of the machine."""
        before, number = self.registers(), self.kdb.number
        self.ask_monitor("savevm place")
        self.inject(MACHINE_CHECK)
        self.prompt("trap", before[EIP])
        assert "*** bank 1: status b200000000000000\r\n#B" in self.m.text()[-500:]
        self.halt()
        self.ask_monitor("loadvm place")
        self.kdb.number = number
        assert self.registers() == before

    def debug(self):
        """NMI and then #DB.  False: the debugger takes no breakpoint here.  It is set from the NMI, whose return would pass it."""
        before = self.registers()
        at = before[EIP]
        self.inject("nmi")
        self.prompt("nmi", at)
        self.halt()
        self.remove(at)
        self.plant(self.code.nmi_iret)
        self.go_on()
        taken = self.kdb.cmd(f"bp add {at:#x} kind=exec", rc=None).rc == 0
        self.kdb.go()
        assert self.stopped() == self.code.nmi_iret
        self.remove(self.code.nmi_iret)
        if taken:
            tss = next(tss for tss in self.task_states() if self.read(tss + TSS_EIP) == at)
            self.write(tss + TSS_EFLAGS, self.read(tss + TSS_EFLAGS) & ~FLAG_RF)
            self.go_on()
            self.prompt("step", at)
            self.halt()
        self.plant(at)
        self.go_on()
        if taken:
            self.kdb.cmd("bp del all")
            self.kdb.go()
        self.same(before)
        return taken

    def task_states(self):
        symbols = self.code.symbols
        return symbols["cpu_tss"] + TSS_ROOM, symbols["double_fault_tss"], symbols["machine_check_tss"]

    def reach(self, at):
        """From where the machine stands to a place of the entry code."""
        self.plant(at)
        self.go_on()
        assert self.stopped() == at

    def leave(self, at):
        self.remove(at)
        self.go_on()

    def end(self):
        """Every case has passed, and so has each `check` behind a case."""
        value = self.m.wait()
        bad = re.findall(r"^(?:# |not ok ).*$", self.m.text(), re.MULTILINE)
        assert value == 0x10 and not bad, bad or self.m.text()[-3000:]


def events(driver, kind, breakpoint=True):
    registers = driver.registers()
    shadow = registers[EIP] in driver.code.shadows
    if shadow:  # behind the event an interrupt could come first: test_interrupt_behind_sti
        driver.set_register(EFLAGS, registers[EFLAGS] & ~FLAG_IF)
    if kind == "machine check":
        driver.machine_check()
    else:
        assert driver.debug() == breakpoint
    if shadow:
        driver.set_register(EFLAGS, registers[EFLAGS])


def tour(driver, places, kind, breakpoint=True):
    """Visit these places, each when the suite comes along there first; those that it came to."""
    for at in places:
        driver.plant(at)
    driver.go_on()
    at, seen = driver.begin(), set()
    while at is not None:
        assert at in places
        events(driver, kind, breakpoint)
        seen.add(at)
        driver.leave(at)
        at = driver.stopped()
    driver.end()
    return seen


@pytest.fixture(scope="module")
def code(build):
    return Code(build / "l4sec.elf")


@pytest.fixture
def start(machine, tmp_path, code):
    def begin(**options):
        where = tmp_path / str(len(list(tmp_path.iterdir())))
        where.mkdir()
        return Driver(machine, where, code, **options)
    return begin


KINDS = pytest.mark.parametrize("kind", ["nmi and debug", pytest.param("machine check", marks=pytest.mark.slow)])


def test_no_gate_and_no_exit_is_left_out(start, code):
    d = start(args="entry=sysenter only=entry_reserved_numbers")
    d.reach(code.symbols["enter_user"])
    _, text = d.stub.monitor("info registers")
    tables = {name: (int(at, 16), int(limit, 16)) for name, at, limit in re.findall(r"(.DT)=\s+(\w+) (\w+)", text)}
    idt, limit = tables["IDT"]
    count = 0
    for gate in range(idt, idt + limit, 8):
        low, high = d.read(gate), d.read(gate + 4)
        if not high >> 15 & 1:
            continue
        count += 1
        if high >> 8 & 31 == GATE_TASK:
            descriptor = tables["GDT"][0] + (low >> 16)
            tss = d.read(descriptor) >> 16 | d.read(descriptor + 4) & 0xFF000000 | d.read(descriptor + 4) << 16 & 0xFF0000
            assert code.tasks.get(d.read(tss + TSS_EIP))
        else:
            assert high >> 8 & 31 == GATE_INTERRUPT
            assert (high & 0xFFFF0000 | low & 0xFFFF) in code.choose(lambda name: "," not in name)
    assert count == 0x30 + 1  # exceptions, interrupts, int 0x40
    assert set(code.all("iret", "sysexit")) <= set(code.places)


@KINDS
def test_entries_and_exits(start, code, kind):
    places = code.choose(lambda name: not OF_DEBUG.match(name) and not name.startswith("sysenter_entry_c"))
    places = {at: name for at, name in places.items() if not any(name.startswith(task) for task in code.tasks.values())}
    seen = tour(start(args=f"entry=sysenter match={CASES}"), places, kind)
    small = code.choose(lambda name: name == "sysenter_entry.fast_words, end")
    seen |= tour(start(args="entry=sysenter only=answer_paths_agree", cpu="pentium3,-pse"), small, kind)
    left = {at: name for at, name in places.items() if at not in seen and name not in NOT_REACHED}
    others = [name for name in left.values() if not name.startswith("vector_")]
    assert not others, "no case comes along there"

    # Stubs of vectors that nothing raises here: another exception is sent there, and back behind it.
    d = start(args="entry=sysenter only=entry_every_int_n")
    origin = code.symbols["vector_13"]
    d.plant(origin)
    d.go_on()
    assert d.begin() == origin
    for at, name in left.items():
        if not name.endswith(", end"):
            through_stub(d, at, next(end for end in left if left[end] == f"{name}, end"), kind)
            assert d.stopped() == origin
    d.leave(origin)
    assert d.stopped() is None
    d.end()


def through_stub(d, at, end, kind):
    """From vector_13 through another vector's stub, and to trap_entry as vector 13."""
    esp = d.registers()[ESP]
    error = d.read(esp)
    if d.read(at) & 0xFFFF == 0x006A:  # push 0: this vector has no error code
        d.set_register(ESP, esp + 4)
    d.set_register(EIP, at)
    for place in (at, end):
        d.plant(place)
        if place == end:
            d.go_on()
            assert d.stopped() == end
        events(d, kind)
        d.remove(place)
    assert d.registers()[ESP] == esp - 4
    d.write(esp - 4, 13)
    d.write(esp, error)
    d.go_on()


@KINDS
def test_entry_without_shortcut(start, code, kind):
    places = code.choose(lambda name: name.startswith("sysenter_entry_c"))
    assert tour(start(args="entry=sysenter only=canary_ipc", append="ipc=c"), places, kind) == set(places)


@KINDS
def test_way_of_all_traps(start, code, kind):
    """And the first stub of it, of #DB itself."""
    places = code.choose(OF_DEBUG.match)
    seen = tour(start(args=f"entry=sysenter match={CASES}"), places, kind, breakpoint=False)
    assert not {name for at, name in places.items() if at not in seen}


# ---- task gates ----

def test_nmi_handler(start, code):
    """NMI waits there until iret; the other two are taken."""
    d = start(args="entry=sysenter only=canary_ipc")
    place = code.symbols["sysenter_entry"]
    d.plant(place)
    d.go_on()
    d.begin()
    before = d.registers()
    for at in (code.nmi_iret + 1, code.symbols["nmi_entry"], code.nmi_iret):  # the second NMI begins behind the iret
        d.ask_monitor("nmi")
        if at == code.nmi_iret:
            d.go_on()
            d.prompt("nmi", place)
            d.halt()
            d.plant(at)
            d.go_on()
            d.kdb.go()
            assert d.stopped() == at
        else:
            d.reach(at)
        d.machine_check()
        d.ask_monitor("nmi")
        d.leave(at)
        for _ in range(1 if at == code.nmi_iret else 2):
            d.prompt("nmi", place)
            d.kdb.go()
        d.same(before)

        d.inject("nmi")
        d.prompt("nmi", place)
        d.kdb.cmd(f"bp add {at:#x} kind=exec")
        d.kdb.go()
        if at != code.nmi_iret:
            d.same(before)
            d.inject("nmi")
        d.prompt("step", at)
        d.kdb.cmd("bp del all")
        d.kdb.go()
        if at != code.nmi_iret:
            d.prompt("nmi", place)
            d.kdb.go()
        d.same(before)
    d.leave(place)
    assert d.stopped() is None
    d.end()


def test_double_fault_handler(start, code):
    d = start(args="entry=sysenter only=canary_ipc")
    place = code.symbols["enter_user"]  # a call
    d.plant(place)
    d.go_on()
    d.begin()
    d.remove(place)
    d.set_register(ESP, code.symbols["kernel_stack_guard"] + 0x800)
    for at, name in code.choose(lambda name: name.startswith("double_fault_entry")).items():
        d.reach(at)
        d.machine_check()
        d.nmi()
        assert d.debug()
        d.remove(at)
    d.go_on()
    d.prompt("double-fault", place)


def test_machine_check_handler(start, code):
    """Another one here shuts the processor down: no kernel can do anything about that."""
    d = start(args="entry=sysenter only=canary_ipc")
    place, at = code.symbols["sysenter_entry"], code.symbols["machine_check_entry"]
    d.plant(place)
    d.go_on()
    d.begin()
    d.ask_monitor(MACHINE_CHECK)
    d.reach(at)
    d.nmi()
    assert d.debug()
    d.leave(at)
    d.prompt("trap", place)


# ---- MOV SS  E-22 ----

def test_watched_mov_ss(start, code):
    """A debug exception that comes with the load of SS waits for the next instruction: int 0x40 or sysenter, so it meets kernel code.

    QEMU does not let it wait (test_watched_mov_ss_in_bochs: Bochs does, before sysenter).  When it enters vector_1, that
    next instruction is done by hand as a CPU does it, and the exception is pushed again from behind it.  Not if TF is set
    at sysenter: DR6 would have to tell of that, too, and the stub has no DR6.
    """
    d = start(args="only=entry_mov_ss", append="kdb=bp+watch+mov_ss_operand+len=2+on=access+do=go")
    stub, esp0 = code.symbols["vector_1"], code.symbols["cpu_tss"] + TSS_ROOM + TSS_ESP0
    d.plant(stub)
    d.go_on()
    while d.stopped() is not None:
        esp = d.registers()[ESP]
        eip, cs, eflags = (d.read(esp + 4 * n) for n in range(3))
        instruction = d.read(eip) & 0xFFFF if cs == USER_CS else None
        if instruction == INT_40:
            d.write(esp, eip + 2)
            push(d, esp, eflags & ~(FLAG_IF | FLAG_TF), "syscall_entry")
        elif instruction == SYSENTER and not eflags & FLAG_TF:
            push(d, esp0, eflags & ~FLAG_IF, "sysenter_entry")
        d.step()
        d.go_on()
    d.end()
    told = re.findall(r"-- kdb: step: debug exception \(point 0\); th\d+ at 0x\w+ (\w+)\+0x0", d.m.text())
    assert told == 2 * ["syscall_entry", "sysenter_entry"] + 2 * ["syscall_entry"]


def push(d, esp, eflags, name):
    """An exception in kernel code."""
    for n, word in enumerate((d.code.symbols[name], KERNEL_CS, eflags)):
        d.write(esp - 12 + 4 * n, word)
    d.set_register(ESP, esp - 12)


# ---- what an event must not take away ----

def test_interrupt_behind_sti(start, code):
    """sti keeps interrupts out for one instruction, but an NMI's return to this instruction does not.

    The interrupt of COM2 comes then, or the timer's before it.  It may have made another thread ready: neither may user code go on without a look
    at that, nor may the processor sleep.
    """
    d = start(args="entry=sysenter match=canary_ipc,answer_paths_agree,answer_across_tasks")
    assert len(code.shadows) == 4
    for at in code.shadows:
        d.plant(at)
    d.go_on()
    at, stubs = d.begin(), {code.symbols["vector_32"], code.symbols["vector_35"]}
    for _ in code.shadows:
        behind = at + 1 if d.read(at) & 0xFF == HLT else code.symbols["enter_user"]
        d.inject("nmi")
        d.prompt("nmi", at)
        d.raise_com2()
        d.halt()
        d.remove(at)
        for stub in stubs:
            d.plant(stub)
        d.go_on()
        d.kdb.go()
        assert d.stopped() in stubs and d.read(d.registers()[ESP]) == at, "no interrupt between sti and its next instruction"
        for stub in stubs:
            d.remove(stub)
        d.plant(behind)
        d.plant(at)
        d.go_on()
        assert d.stopped() == behind
        d.remove(behind)
        d.leave(at)
        at = d.stopped()
    assert at is None
    d.end()


def test_nmi_takes_no_step_away(start, code):
    """NMI at the first instruction of #DB: why that came stands in DR6, and the debugger looks at it for the NMI, too."""
    d = start(args="entry=sysenter match=entry_trap_flag,exception_1")
    stub = code.symbols["vector_1"]
    d.plant(stub)
    d.go_on()
    d.begin()
    count = 0
    while True:
        d.nmi()
        count += 1
        d.step()
        d.go_on()
        if d.stopped() is None:
            break
    d.end()
    assert count > 5


def test_nmi_in_fpu_code(start, code):
    """Its task switches leave CR0.TS set."""
    d = start(args="entry=sysenter match=fpu_")
    first = code.symbols["fpu_take"]
    behind = min(at for at in code.symbols.values() if at > first)
    places = [at for at in code.all("fxsave", "fxrstor", "fninit") if first <= at < behind]
    for at in places:
        d.plant(at)
    d.go_on()
    at, count = d.begin(), 0
    while at is not None:
        d.nmi()
        count += 1
        d.leave(at)
        at = d.stopped()
    d.end()
    assert count >= 2
