#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rewrite the command reference in docs/kdb.md from the debugger's own tables.

Boots the kernel, asks `schema`, and replaces everything behind the marker line. With --check: only says
whether the file is up to date (exit status 1 if not).
"""

import argparse
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from harness.kdb import Kdb  # noqa: E402
from harness.qemu import Machine  # noqa: E402

MARKER = "<!-- From here on made by scripts/kdb_doc.py; do not edit. -->"


def reference(rows):
    """Markdown for the rows of `schema`."""
    lines, first = [], True
    for row in rows:
        if row["column"] is None:
            lines += [""] if lines else []
            lines.append(f"### {row['command']} {row['usage'] or ''}".rstrip())
            lines.append("")
            sentence = f"{row['doc'][0].upper()}{row['doc'][1:]}. Effect: {row['effect']}."
            if row["example"]:
                sentence += f" Example: `{row['example']}`."
            lines.append(sentence)
            first = True
            continue
        if first:
            lines += ["", "| column | kind | meaning |", "|---|---|---|"]
            first = False
        kind = row["kind"] + (", volatile" if row["volatile"] else "")
        lines.append(f"| {row['column']} | {kind} | {row['doc']} |")
    return "\n".join(lines) + "\n"


def ask(build):
    with tempfile.TemporaryDirectory() as directory:
        machine = Machine(directory, build)
        try:
            machine.expect("rounds played")
            return Kdb(machine).rows("schema")
        finally:
            machine.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=ROOT / "build/ia32-debug", type=pathlib.Path)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    path = ROOT / "docs/kdb.md"
    old = path.read_text()
    new = old.split(MARKER)[0] + MARKER + "\n\n" + reference(ask(args.build))
    if args.check:
        return 0 if new == old else 1
    path.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
