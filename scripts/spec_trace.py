#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Say which code implements, and which tests check, each section of the specification.

  scripts/spec_trace.py           write docs/conformance.md
  scripts/spec_trace.py --check   exit 1 if a section has no code or no test, a tag names no section, or the
                                  committed table is not what would be written

Sections stand in scripts/spec.txt. Code says what it implements by tags in comments, [M 2.5.1] or [G40]; also
[G10] - [G15]. Code is what lies in kernel/, arch/, kdb/, gdbstub/ and user/; but the numbers of the interface
(kernel/abi) and user programs do not count as an implementation. Tests name sections by the second argument of
CASE(name, "M 3.2.1 G17", sentence) in tests/guest, and by tags everywhere else in tests/.
"""

import argparse
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = "docs/conformance.md"
CODE_DIRECTORIES = ("kernel", "arch", "kdb", "gdbstub", "user")
NOT_AN_IMPLEMENTATION = ("kernel/abi/", "user/", "kdb/", "gdbstub/")
SOURCES = {".c", ".h", ".asm", ".inc", ".py"}

SECTION = r"M \d+(?:\.\d+)*|G\d+"
TAG = re.compile(rf"\[({SECTION})\b[^\]]*\](?:\s*-\s*\[(G\d+)\])?")
CASE = re.compile(r'\bCASE\(\s*(\w+)\s*,\s*"([^"]*)"')
WHERE = re.compile(rf"(?<!\w)(?:{SECTION})(?![\w.])")


def read_sections(path):
    """{section: title} in the order of the file."""
    sections = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(rf"({SECTION})\s+(\S.*)", line)
        if not match or match.group(1) in sections:
            sys.exit(f"{path}:{number}: not a section with a title, or twice: {line}")
        sections[match.group(1)] = match.group(2)
    return sections


def tags_of(text):
    """Section of each tag; a range of decisions counts for each of them."""
    for first, last in TAG.findall(text):
        if last and first.startswith("G"):
            yield from (f"G{n}" for n in range(int(first[1:]), int(last[1:]) + 1))
        else:
            yield first
            if last:
                yield last


def sources(root, directory):
    for path in sorted((root / directory).rglob("*")):
        if path.suffix in SOURCES and path.is_file():
            yield path.relative_to(root).as_posix(), path.read_text(errors="replace")


def is_known(section, sections):
    """A section, or the chapter above some of them: [M 3.2] is no mistake."""
    return section in sections or any(s.startswith(section + ".") for s in sections)


def collect(root, sections):
    """({section: [file]}, {section: {file}}, [complaint])"""
    code = collections.defaultdict(list)
    tests = collections.defaultdict(set)
    complaints = []

    def known(name, section):
        if not is_known(section, sections):
            complaints.append(f"{name}: {section} is not in scripts/spec.txt")
        return section in sections

    for directory in CODE_DIRECTORIES:
        for name, text in sources(root, directory):
            for section in sorted(set(tags_of(text))):
                if known(name, section):
                    code[section].append(name)
    for name, text in sources(root, "tests"):
        if name.startswith("tests/self/"):
            continue  # made-up sections
        if name.startswith("tests/guest/") and name.endswith(".c"):
            named = {section for _, where in CASE.findall(text) for section in WHERE.findall(where)}
        else:
            named = set(tags_of(text))
        for section in sorted(named):
            if known(name, section):
                tests[section].add(name)
    return code, tests, complaints


def gaps(sections, code, tests):
    for section in sections:
        if not any(not name.startswith(NOT_AN_IMPLEMENTATION) for name in code[section]):
            yield f"{section} ({sections[section]}): no code has its tag"
        if not tests[section]:
            yield f"{section} ({sections[section]}): no test names it"


def table(sections, code, tests):
    lines = [
        "# Conformance",
        "",
        "Made by `scripts/spec_trace.py` (`make conformance`) from tags in the sources; do not edit. `make check-spec` fails if a section has no",
        "code or no test. M: sections of the L4.Sec reference manual; G: decisions where it is silent, explained in [spec-notes.md](spec-notes.md).",
        "Which case checks what: `grep -rn '\"[^\"]*G17' tests/guest`.",
    ]
    for kind, heading in (("M", "The manual"), ("G", "Decisions")):
        lines += ["", f"## {heading}", "", "| section | what | code | tests |", "|---|---|---|---|"]
        for section, title in sections.items():
            if not section.startswith(kind):
                continue
            files = "<br>".join(f"`{name}`" for name in code[section])
            checks = "<br>".join(f"`{name}`" for name in sorted(tests[section]))
            lines.append(f"| {section} | {title} | {files} | {checks} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if something is missing or stale")
    parser.add_argument("--root", type=pathlib.Path, default=ROOT, metavar="DIR", help="the tree to look at (default: this one)")
    options = parser.parse_args()

    sections = read_sections(options.root / "scripts/spec.txt")
    code, tests, complaints = collect(options.root, sections)
    complaints += gaps(sections, code, tests)
    new = table(sections, code, tests)
    path = options.root / TABLE
    if not options.check:
        path.parent.mkdir(exist_ok=True)
        path.write_text(new)
    elif not path.exists() or path.read_text() != new:
        complaints.append(f"{TABLE} is not up to date: run `make conformance`")
    for complaint in complaints:
        print(f"spec_trace: {complaint}", file=sys.stderr)
    return 1 if complaints and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
