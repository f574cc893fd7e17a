# SPDX-License-Identifier: MIT
"""GDB commands for L4.Sec: `help l4`.

Two back ends give the same commands.  Over the kernel's own stub (COM2) a command is a kdb line, run by
`monitor`.  Over any other target (QEMU's stub, a core file) the structures are walked through the debug
information of the kernel; this needs nothing from the target but memory.  `l4 set backend walk|kdb|auto`
chooses.  Nothing happens at import.
"""

import re
import struct

import gdb
import gdb.printing

TYPES = {1: ("task", "tk"), 2: ("thread", "th"), 3: ("endpoint", "ep"), 4: ("kpage", "kp"),
         5: ("resv", "rs"), 6: ("cpu", "cpu"), 7: ("memory", "mem"), 8: ("io port", "io")}
# Right letters by type with the bit of each, in the order in which kdb shows them.
RIGHTS = {1: (("b", 8), ("c", 1)), 2: (("r", 4), ("w", 2), ("s", 8), ("c", 1)),
          3: (("r", 4), ("w", 2), ("m", 8), ("c", 1)), 4: (("q", 4), ("a", 2), ("c", 1)),
          5: (("r", 4), ("w", 2), ("c", 1)), 6: (("r", 4), ("w", 2), ("c", 1)),
          7: (("r", 4), ("w", 2), ("x", 1), ("c", 8)), 8: (("r", 4), ("w", 2))}
C_NAMES = {1: "struct task", 2: "struct thread", 3: "struct endpoint", 4: "struct kpage", 5: "struct resv",
           6: "struct cpu"}
DIRECT_MAP = 0xC0000000
PAGE = 4096
FRAME_CHUNKED = 15
UNIT = 32
TAG_NODE = 2


class Settings:
    backend = "auto"


# ---- memory and symbols --------------------------------------------------------------------------------


class Cache:
    """What was read at this stop, by inferior: a serial line is slow, and a packet costs more than its bytes."""

    pages, objects, names = {}, {}, {}

    @classmethod
    def forget(cls, *_):
        for part in (cls.pages, cls.objects, cls.names):
            part.clear()

    @staticmethod
    def get(part, key, make):
        key = gdb.selected_inferior().num, key
        if key not in part:
            part[key] = make()
        return part[key]


def read_page(address):
    try:
        return gdb.selected_inferior().read_memory(address, PAGE).tobytes()
    except gdb.MemoryError as problem:
        raise gdb.GdbError(str(problem)) from None


def read(address, size):
    """Memory of the kernel as bytes; gdb.GdbError says what could not be read."""
    address &= 0xFFFFFFFF
    first = address & -PAGE
    pages = [Cache.get(Cache.pages, at, lambda at=at: read_page(at)) for at in range(first, address + size, PAGE)]
    return b"".join(pages)[address - first:address - first + size]


def words(address, count):
    return struct.unpack(f"<{count}I", read(address, 4 * count))


def symbol(name):
    """A kernel variable as gdb.Value."""
    found = gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name)
    if found is None:
        raise gdb.GdbError(f"no symbol {name}: is the kernel loaded (file l4sec.elf)?")
    return found.value()


def enum_name(type_name, value, prefix):
    try:
        for field in gdb.lookup_type(type_name).fields():
            if field.enumval == value:
                return field.name[len(prefix):].lower().replace("_", "-")
    except gdb.error:
        pass
    return str(value)


def structure(address, type_name):
    """What is at this address, read at once, as gdb.Value."""
    kind = gdb.lookup_type(type_name)
    return gdb.Value(read(address, kind.sizeof), kind)


def pointer(address, type_name):
    return gdb.Value(address & 0xFFFFFFFF).cast(gdb.lookup_type(type_name).pointer())


def number(value):
    return int(value) & 0xFFFFFFFF


# ---- walking the kernel ------------------------------------------------------------------------------


def objects():
    """All objects as (address, type, id), in memory order, by the tags of the kernel pages."""
    return Cache.get(Cache.objects, "all", lambda: list(scan_objects()))


def scan_objects():
    table, count = number(symbol("frame_table")), int(symbol("frame_count"))
    at = gdb.lookup_type("struct kobj")
    type_at = [f.bitpos // 8 for f in at.fields() if f.name == "type"][0]
    id_at = [f.bitpos // 8 for f in at.fields() if f.name == "id"][0]
    entries = read(table, 8 * count)
    for frame in range(count):
        owner, use = struct.unpack_from("<II", entries, 8 * frame)
        if owner <= 2 or use & 15 != FRAME_CHUNKED:
            continue
        base = DIRECT_MAP + (frame << 12)
        page = read(base, PAGE)
        for unit in range(2, 128):
            if page[unit >> 1] >> 4 * (unit & 1) & 15 <= TAG_NODE:
                continue
            ident = struct.unpack_from("<I", page, unit * UNIT + id_at)[0]
            if ident:
                yield base + unit * UNIT, page[unit * UNIT + type_at], ident
    cpu = symbol("boot_cpu")
    if int(cpu["obj"]["id"]):
        yield number(cpu.address), 6, int(cpu["obj"]["id"])


def names():
    """{id: name} of the objects that were named."""
    return Cache.get(Cache.names, "all", read_names)


def read_names():
    try:
        table = gdb.parse_and_eval("'kernel/debug/name.c'::names")
    except gdb.error:
        return {}
    result = {}
    for i in range(table.type.range()[1] + 1):
        entry = table[i]
        if int(entry["id"]):
            result[int(entry["id"])] = entry["text"].string()
    return result


def show_id(kind, ident):
    return f"{TYPES.get(kind, ('?', '?'))[1]}{ident}"


def id_of(address):
    """'ep16' of the object at this address; '-' for none."""
    if not address:
        return "-"
    head = structure(address, "struct kobj")
    return show_id(int(head["type"]), int(head["id"]))


def find(text, kind=None):
    """The object that a word like th24, 24 or @name means: (address, type, id)."""
    given = names() if text.startswith("@") else {}
    match = re.fullmatch(r"([a-z]*)(\d+)", text)
    for address, what, ident in objects():
        if kind is not None and what != kind:
            continue
        if given.get(ident) == text[1:] and text.startswith("@"):
            return address, what, ident
        if match and ident == int(match.group(2)):
            if match.group(1) not in ("", TYPES.get(what, ("", ""))[1]):
                raise gdb.GdbError(f"{text}: object {ident} is {show_id(what, ident)}")
            return address, what, ident
    raise gdb.GdbError(f"{text}: no such object")


def typed(address, kind):
    return pointer(address, C_NAMES.get(kind, "struct kobj"))


def rights(kind, bits):
    return "".join(letter if bits & bit else "-" for letter, bit in RIGHTS.get(kind, ()))


def rows_objects():
    given = names()
    for address, kind, ident in sorted(objects(), key=lambda o: o[2]):
        flags = int(structure(address, "struct kobj")["flags"])
        yield {"id": show_id(kind, ident), "type": TYPES.get(kind, ("?",))[0], "name": given.get(ident, "-"),
               "address": f"0x{address:08x}", "state": "dying" if flags & 1 else "live"}


def rows_tasks():
    given = names()
    for address, kind, ident in sorted(objects(), key=lambda o: o[2]):
        if kind != 1:
            continue
        task = structure(address, C_NAMES[kind])
        members, t = 0, number(task["threads"])
        while t and members < 10000:
            members, t = members + 1, number(structure(t, "struct thread")["task_next"])
        yield {"id": show_id(kind, ident), "name": given.get(ident, "-"), "threads": members,
               "pd": f"0x{number(task['pd_phys']):08x}", "address": f"0x{address:08x}"}


def rows_threads():
    given = names()
    current = number(symbol("boot_cpu")["current"])
    for address, kind, ident in sorted(objects(), key=lambda o: o[2]):
        if kind != 2:
            continue
        t = structure(address, C_NAMES[kind])
        if bool(t["hardware"]):
            continue
        state = enum_name("enum thread_state", int(t["state"]), "THREAD_")
        if state == "halted":
            state = "halted/" + enum_name("enum halt_reason", int(t["halt_reason"]), "HALT_")
        on = "-"
        if state in ("send", "recv"):
            on = id_of(number(t["ipc"]["endpoint"]))
        yield {"id": show_id(kind, ident), "name": given.get(ident, "-"), "task": id_of(number(t["task"])),
               "state": state, "on": on, "res": id_of(number(t["resv"])), "eip": f"0x{number(t['frame']['eip']):08x}",
               "esp": f"0x{number(t['frame']['esp']):08x}", "now": "*" if address == current else ""}


NODE = struct.Struct("<8I")  # next prev parent task obj name flags+badge_len+depth badge


def read_node(address):
    keys = ("next", "prev", "parent", "task", "obj", "name", "packed", "badge")
    node = dict(zip(keys, NODE.unpack(read(address, NODE.size))))
    node["depth"] = node["packed"] >> 14
    node["address"] = address
    node["space"] = node["name"] >> 10 & 3
    return node


def node_kind(node):
    if node["space"] == 1:
        return int(structure(node["obj"], "struct kobj")["type"])
    return 7 if node["space"] == 0 else 8


def node_target(node):
    if node["space"] == 1:
        return id_of(node["obj"])
    return f"0x{node['obj']:08x}" if node["space"] == 0 else f"port 0x{node['obj'] >> 12:x}"


def rows_caps(task_word):
    address, _, ident = find(task_word, 1)
    directory = number(structure(address, "struct task")["cap_dir"])
    given = names()
    for block, table in enumerate(words(directory, 1024)):
        if not table:
            continue
        for index, at in enumerate(words(table, 1024)):
            if not at:
                continue
            node = read_node(at)
            kind = node_kind(node)
            head = structure(node["obj"], "struct kobj")
            parent = read_node(node["parent"]) if node["parent"] else None
            yield {"slot": f"tk{ident}/cap/0x{block * 1024 + index:x}", "obj": id_of(node["obj"]),
                   "name": given.get(int(head["id"]), "-"), "rights": rights(kind, node["name"] & 15),
                   "depth": node["depth"],
                   "parent": "-" if parent is None else slot_of(parent), "node": f"0x{at:08x}"}


def slot_of(node):
    if not node["task"]:
        return "-"
    space = ("mem", "cap", "io")[min(node["space"], 2)]
    place = node["name"] & 0xFFFFF000 if node["space"] == 0 else node["name"] >> 12
    return f"{id_of(node['task'])}/{space}/0x{place:x}"


def rows_map(word):
    """The mapping tree of an object (ep16), of a slot (tk5/cap/0x1), of phys/0x1000, or below a node 0xc...."""
    phys, root = None, None
    match = re.fullmatch(r"(phys|tk\d+/cap)/(0x[0-9a-f]+|\d+)", word)
    if match and match.group(1) == "phys":
        phys = int(match.group(2), 0)
        root = number(symbol("boot_mem_roots")) + NODE.size * (phys >> 22)
    elif match:
        index = int(match.group(2), 0)
        directory = number(structure(find(match.group(1)[:-4], 1)[0], "struct task")["cap_dir"])
        table = words(directory + 4 * (index >> 10 & 1023), 1)[0]
        root = words(table + 4 * (index & 1023), 1)[0] if table else 0
        if not root:
            raise gdb.GdbError(f"{word}: nothing there")
    elif re.fullmatch(r"0x[0-9a-f]+", word):
        root = int(word, 16)
    else:
        root = find(word)[0]  # the root node is the head of the object
    node, seen = read_node(root), set()
    base = node["depth"]
    while True:
        if node["address"] in seen:
            raise gdb.GdbError(f"the list runs in a circle at 0x{node['address']:08x}")
        seen.add(node["address"])
        size = node["name"] >> 4 & 63
        if phys is None or node["depth"] == 0 or node["obj"] <= phys < node["obj"] + (1 << size):
            kind = node_kind(node) if node["space"] == 1 or node["task"] else 7
            yield {"tree": "  " * (node["depth"] - base) + slot_of(node),
                   "obj": node_target(node) if node["task"] or node["space"] == 1 else "root",
                   "rights": rights(kind, node["name"] & 15), "depth": node["depth"],
                   "node": f"0x{node['address']:08x}"}
        node = read_node(node["next"])
        if node["depth"] <= base:
            return


def print_table(rows):
    rows = list(rows)
    if not rows:
        print("-- nothing")
        return
    columns = list(rows[0])
    width = {c: max(len(c), *(len(str(r[c])) for r in rows)) for c in columns}
    for line in [dict(zip(columns, columns))] + rows:
        print("  ".join(str(line[c]).ljust(width[c]) for c in columns).rstrip())
    print(f"-- {len(rows)} rows")


# ---- back ends ------------------------------------------------------------------------------------------


def our_stub():
    """Is the target the kernel's own stub?  QEMU's answers nothing to this question."""
    try:
        connection = gdb.selected_inferior().connection
        if connection is None or not hasattr(connection, "send_packet"):
            return False
        return connection.send_packet("qL4Sec") in (b"kdb", b"stub")
    except (gdb.error, ValueError):
        return False


def points_stay():
    """Tell the kernel's stub that this GDB leaves its breakpoints in place (init.gdb)."""
    if our_stub():
        gdb.selected_inferior().connection.send_packet("QL4Sec:points-stay")


def kdb(line):
    try:
        return gdb.execute("monitor " + line, to_string=True)
    except gdb.error as problem:
        raise gdb.GdbError(f"kdb: {problem}") from None


def use_kdb():
    if Settings.backend == "auto":
        return our_stub()
    return Settings.backend == "kdb"


class L4(gdb.Command):
    """L4.Sec: kernel objects, tasks, threads, capabilities, mapping trees."""

    def __init__(self):
        super().__init__("l4", gdb.COMMAND_DATA, prefix=True)


class Table(gdb.Command):
    """A command that is a kdb line here and a walk there."""

    def __init__(self, name, line, walk, arguments=0):
        self.line, self.walk, self.arguments, self.name = line, walk, arguments, name
        super().__init__("l4 " + name, gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        self.dont_repeat()
        given = argument.strip()
        if self.arguments and not given:
            raise gdb.GdbError(f"l4 {self.name}: an argument is missing")
        if use_kdb():
            print(kdb(f"{self.line} {given}".strip()), end="")
        else:
            print_table(self.walk(*([given] if self.arguments else [])))


class Objects(Table):
    """l4 objects: all kernel objects."""


class Tasks(Table):
    """l4 tasks: all tasks."""


class Threads(Table):
    """l4 threads: all threads but those of interrupts."""


class Caps(Table):
    """l4 caps TASK: the capabilities of a task, such as tk5."""


class Map(Table):
    """l4 map REF: the mapping tree of an object (ep16), of a slot (tk5/cap/0x1), of memory (phys/0x1000)."""


class Check(gdb.Command):
    """l4 check: run the kernel's invariants (over the kernel's own stub only)."""

    def __init__(self):
        super().__init__("l4 check", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        if not our_stub():
            raise gdb.GdbError("l4 check runs inside the kernel: connect to its stub on COM2")
        print(kdb(f"check {argument}".strip()), end="")


class Kdb(gdb.Command):
    """l4 kdb LINE: run a line of the kernel debugger (over the kernel's own stub only)."""

    def __init__(self):
        super().__init__("l4 kdb", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        if not our_stub():
            raise gdb.GdbError("l4 kdb runs inside the kernel: connect to its stub on COM2")
        print(kdb(argument), end="")


class Set(gdb.Command):
    """l4 set backend auto|walk|kdb: where the tables come from."""

    def __init__(self):
        super().__init__("l4 set", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        given = gdb.string_to_argv(argument)
        if len(given) != 2 or given[0] != "backend" or given[1] not in ("auto", "walk", "kdb"):
            raise gdb.GdbError("usage: l4 set backend auto|walk|kdb")
        Settings.backend = given[1]


class Current(gdb.Function):
    """$l4_current(): the thread that the processor runs, as struct thread *."""

    def __init__(self):
        super().__init__("l4_current")

    def invoke(self):
        return symbol("boot_cpu")["current"]


class Obj(gdb.Function):
    """$l4_obj(24) or $l4_obj("th24"): the object with this id, as a pointer of its type."""

    def __init__(self):
        super().__init__("l4_obj")

    def invoke(self, which):
        text = which.string() if which.type.strip_typedefs().code in (gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_PTR) \
            else str(int(which))
        address, kind, _ = find(text)
        return typed(address, kind)


# ---- printers -----------------------------------------------------------------------------------------


class NodePrinter:
    """A capability: what, with which rights, at which name."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        try:
            node = read_node(number(self.value.address))
            kind = node_kind(node)
            return f"{node_target(node)} {rights(kind, node['name'] & 15)} at {slot_of(node)} depth {node['depth']}"
        except (gdb.error, gdb.GdbError, TypeError):
            return f"node {{obj 0x{number(self.value['obj']):08x}, name 0x{number(self.value['name']):08x}}}"


class KobjPrinter:
    """The head of an object."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        ident, kind = int(self.value["id"]), int(self.value["type"])
        given = names().get(ident)
        dying = ", dying" if int(self.value["flags"]) & 1 else ""
        return show_id(kind, ident) + (f" @{given}" if given else "") + dying


def printers():
    collection = gdb.printing.RegexpCollectionPrettyPrinter("l4sec")
    collection.add_printer("node", "^node$", NodePrinter)
    collection.add_printer("kobj", "^kobj$", KobjPrinter)
    return collection


def install():
    L4()
    Objects("objects", "obj ls", rows_objects)
    Tasks("tasks", "task ls", rows_tasks)
    Threads("threads", "thread ls", rows_threads)
    Caps("caps", "cap ls", rows_caps, 1)
    Map("map", "map tree", rows_map, 1)
    Check()
    Kdb()
    Set()
    Current()
    Obj()
    for happening in ("cont", "memory_changed", "inferior_call", "exited"):
        getattr(gdb.events, happening).connect(Cache.forget)
    gdb.printing.register_pretty_printer(None, printers(), replace=True)


install()
