#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Turn `nm -n` output (stdin) into the kernel's symbol table: kernel/debug/sym_table.h in assembly.

    mksyms.py --empty            the table of the first link: nothing in it
    mksyms.py                    the table of what stdin names
    mksyms.py --compare FILE     stdin must give FILE again: the second link moved nothing
"""
import re
import sys

KERNEL_BASE = 0xC0000000
# Linker marks, the assembler's local labels, and the table itself are no places in a program.
IGNORED = re.compile(r"^(sym_(count|table|names)|image_end|\.L.*|\$.*|__(start|stop)_set_.*|linkset_.*)$")
KINDS = "TtDdBbRrVvWw"


def read_symbols(lines):
    found = {}
    for line in lines:
        fields = line.split()
        if len(fields) != 3 or fields[1] not in KINDS:
            continue
        address, name = int(fields[0], 16), fields[2]
        if address < KERNEL_BASE or IGNORED.match(name):
            continue
        # Two names for one address: the global one, then the shorter, is what a person wants to see.
        rank = (fields[1].islower(), len(name), name)
        if address not in found or rank < found[address]:
            found[address] = rank
    return [(address, found[address][2]) for address in sorted(found)]


def table(symbols):
    out = [
        "/* made by scripts/mksyms.py */",
        '\t.section .symbols,"a",@progbits',
        "\t.globl sym_count, sym_table, sym_names",
        "\t.balign 4",
        "sym_count:",
        "\t.long %d" % len(symbols),
        "sym_table:",
    ]
    offset = 0
    for address, name in symbols:
        out.append("\t.long 0x%08x, %d" % (address, offset))
        offset += len(name) + 1
    if not symbols:
        out.append("\t.long 0, 0")
    out.append("sym_names:")
    out += ['\t.asciz "%s"' % name for _, name in symbols] or ["\t.byte 0"]
    out += ['\t.section .note.GNU-stack,"",@progbits', ""]
    return "\n".join(out)


def main(arguments):
    if arguments == ["--empty"]:
        sys.stdout.write(table([]))
    elif not arguments:
        symbols = read_symbols(sys.stdin)
        if not symbols:
            sys.exit("mksyms: nm gave no kernel symbol")
        sys.stdout.write(table(symbols))
    elif len(arguments) == 2 and arguments[0] == "--compare":
        with open(arguments[1], encoding="ascii") as file:
            if file.read() != table(read_symbols(sys.stdin)):
                sys.exit("mksyms: the second link moved symbols; %s is wrong" % arguments[1])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
