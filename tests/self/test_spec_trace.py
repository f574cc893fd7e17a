# SPDX-License-Identifier: MIT
"""The tracer of the specification sees a gap, a misspelt tag and a stale table; and the committed table is right."""

import subprocess

import pytest

from harness import ROOT

SCRIPT = ROOT / "scripts/spec_trace.py"

SPEC = """\
# comment
M 2.1    names
M 2.1.1  privilege transfer
G15  mapping one page
G16  timeouts
"""
CODE = {
    "kernel/map.c": "/* maps [M 2.1.1], also [G15] - [G16] */",
    "arch/ia32/in.asm": "; entry [M 2.1 the start]",
}
TESTS = {
    "tests/guest/a.c": 'CASE(one, "M 2.1, G15", "a sentence with [G16] in it")\nCASE(two, "G15 F-08", "x")\n',
    "tests/unit/test_b.c": "/* [M 2.1.1] [G16] */",
}


@pytest.fixture
def tree(tmp_path):
    """tree({path: text or None}) makes a small source tree, with changes to the complete one; its root."""
    def make(changes=None, fresh=True):
        files = {"scripts/spec.txt": SPEC, **CODE, **TESTS, **(changes or {})}
        for name, text in files.items():
            if text is not None:
                path = tmp_path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        if fresh:
            assert run(tmp_path).returncode == 0
        return tmp_path
    return make


def run(root, *arguments):
    return subprocess.run([SCRIPT, "--root", root, *arguments], capture_output=True, text=True, timeout=60)


def complaints(root):
    done = run(root, "--check")
    assert done.returncode == (1 if done.stderr else 0)
    return done.stderr


def test_complete_tree_passes(tree):
    root = tree()
    assert complaints(root) == ""
    table = (root / "docs/conformance.md").read_text()
    assert "| G15 | mapping one page | `kernel/map.c` | `tests/guest/a.c` |" in table


@pytest.mark.parametrize("change, section, what", [
    ({"arch/ia32/in.asm": None}, "M 2.1 ", "no code"),
    ({"kernel/map.c": "/* [M 2.1.1] [G15] */"}, "G16", "no code"),
    ({"tests/unit/test_b.c": "/* [G16] */"}, "M 2.1.1", "no test"),
    ({"tests/guest/a.c": 'CASE(one, "M 2.1", "s")'}, "G15", "no test"),
])
def test_gap_fails(tree, change, section, what):
    found = complaints(tree(change))
    assert len(found.splitlines()) == 1 and section in found and what in found


def test_the_interface_alone_is_no_implementation(tree):
    found = complaints(tree({"kernel/map.c": "/* [M 2.1.1] [G15] */", "kernel/abi/x.h": "/* [G16] */",
                             "user/x.c": "/* [G16] */"}))
    assert "G16" in found and "no code" in found


def test_comments_of_guest_files_are_no_cases(tree):
    root = tree({"tests/guest/a.c": 'CASE(one, "M 2.1", "s") /* [G15] */'})
    assert "G15" in complaints(root)


@pytest.mark.parametrize("name, text", [("kernel/x.c", "/* [G51] */"), ("tests/guest/x.c", 'CASE(c, "M 9.1", "s")'),
                                        ("tests/unit/x.c", "/* [M 2.1.7] */")])
def test_unknown_section_fails(tree, name, text):
    assert "not in scripts/spec.txt" in complaints(tree({name: text}))


def test_chapters_may_be_named(tree):
    assert complaints(tree({"kernel/x.c": "/* [M 2] */"})) == ""


def test_stale_table_fails(tree):
    root = tree()
    (root / "kernel/more.c").write_text("/* [G15] */")
    assert "not up to date" in complaints(root)
    assert run(root).returncode == 0
    assert complaints(root) == ""


def test_missing_table_fails(tree):
    assert "not up to date" in complaints(tree(fresh=False))


@pytest.mark.parametrize("line", ["M 2.1 names", "nonsense", "G 3 x", "G3"])
def test_bad_list_is_refused(tree, line):
    root = tree({"scripts/spec.txt": SPEC + line + "\n"}, fresh=False)
    assert run(root).returncode != 0


def test_help():
    done = subprocess.run([SCRIPT, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "--check" in done.stdout


def test_this_tree():
    done = subprocess.run([SCRIPT, "--check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
