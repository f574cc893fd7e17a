# SPDX-License-Identifier: MIT
"""Booting: processors, memory sizes, loaders, and every way in which it cannot work."""

import pathlib
import re
import shutil
import struct
import subprocess
import time

import pytest

from harness import qemu

PASS = 0x15
DEMO = f"demo exit={PASS}"


def boots(m):
    assert m.wait() == PASS, m.text()[-3000:]
    assert "rounds played" in m.text()
    assert "PANIC" not in m.text()


@pytest.mark.parametrize("memory", ["16M", "64M", pytest.param("1G", marks=pytest.mark.slow),
                                    pytest.param("3584M", marks=pytest.mark.slow)])
@pytest.mark.parametrize("cpu", ["486", "pentium", "pentium3", "qemu32", "max"])
def test_machines(machine, cpu, memory):
    boots(machine(args=DEMO, cpu=cpu, memory=memory))


def test_release_kernel(machine, release_build):
    boots(machine(build=release_build, args=DEMO))


def test_release_kernel_has_no_debugger(release_build):
    names = subprocess.run(["nm", release_build / "l4sec.elf"], capture_output=True, text=True, check=True).stdout
    bad = [line for line in names.splitlines() if re.search(r" (kdb_|gdb_|rsp_|packet_)", line)]
    assert not bad


def test_no_writable_text(build):
    segments = subprocess.run(["readelf", "-lW", build / "l4sec.elf"], capture_output=True, text=True,
                              check=True).stdout
    assert "LOAD" in segments and "RWE" not in segments


def test_included_assembly_is_a_dependency(build):
    """A change of an included file must not leave an old object behind."""
    for source, included in (("arch/ia32/entry/entry.asm", ("offsets.inc", "ipc_fast.inc", "entry_frame.inc")),
                             ("user/libl4sec/crt0.asm", ("entry_frame.inc",))):
        rule = (build / f"obj/{source}.d").read_text()
        assert all(name in rule for name in included), rule


def test_boot_instructions(machine):
    """Fewer than 30 million instructions from reset to sigma0's first, firmware included (64 MB)."""
    m = machine(sigma0="bench", args="only=boot", icount=True)
    assert m.wait() == 0x10
    count = int(re.search(r"bench boot (\d+)", m.text()).group(1))
    assert 100_000 < count < 30_000_000, count


def test_iso(machine, build):
    iso = build / "l4sec.iso"
    assert iso.exists(), "make iso"
    m = machine(iso=iso, memory="64M")
    m.expect(r"rounds played")


#: One instruction takes a nanosecond, as with QEMU's -icount shift=0: cases about time work in both.
BOCHS_IPS = 1_000_000_000
#: Seconds without output after which it counts as hung: the firmware alone takes a quarter of a minute.
BOCHS_PATIENCE = 300


def bochs_configuration(iso, directory):
    directory.mkdir(parents=True, exist_ok=True)
    serial = directory / "serial.txt"
    (directory / "bochsrc").write_text(f"""\
config_interface: textconfig
display_library: rfb, options="timeout=0"
megs: 64
cpu: model=p3_katmai, count=1, ips={BOCHS_IPS}, reset_on_triple_fault=0
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={serial}
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
panic: action=fatal
error: action=report
clock: sync=none
log: {directory / 'bochs.log'}
""")
    (directory / "commands").write_text("c\n")
    return serial


def run_bochs(iso, directory, ending):
    """Run Bochs until the serial file contains `ending`; its text. It may take long, but not be silent for long."""
    serial = bochs_configuration(iso, directory)
    process = subprocess.Popen(["bochs", "-q", "-f", str(directory / "bochsrc"), "-rc", str(directory / "commands")],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               cwd=directory)
    text, end = "", time.monotonic() + BOCHS_PATIENCE
    try:
        while time.monotonic() < end:
            had, text = text, serial.read_text(errors="replace") if serial.exists() else ""
            if re.search(ending, text):
                return text
            assert process.poll() is None, f"Bochs ended:\n{text[-2000:]}"
            if text != had:
                end = time.monotonic() + BOCHS_PATIENCE
            time.sleep(0.2)
        raise AssertionError(f"no {ending!r} in Bochs, and nothing new for {BOCHS_PATIENCE} s:\n{text[-3000:]}")
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.xdist_group("bochs")  # it listens on a fixed port: one at a time
def test_iso_in_bochs(build, tmp_path):
    if not shutil.which("bochs"):
        pytest.fail("bochs is not installed: scripts/install-packages")
    copy = tmp_path / "l4sec.iso"
    shutil.copy(build / "l4sec.iso", copy)
    assert "PANIC" not in run_bochs(copy, tmp_path / "bochs", r"rounds played")


GUEST_MENU = """set timeout=0
menuentry "conformance" {{
    multiboot /boot/l4sec.elf fault=log {options}
    module /boot/guest.elf guest {arguments}
}}
"""


def run_guest_in_bochs(build, directory, arguments, options=""):
    """The text of the suite, to its end."""
    boot = directory / "iso/boot"
    (boot / "grub").mkdir(parents=True)
    for source in (build / "l4sec.elf", build / "user/guest.elf"):
        subprocess.run(["objcopy", "--strip-debug", source, boot / source.name], check=True)
    (boot / "grub/grub.cfg").write_text(GUEST_MENU.format(arguments=arguments, options=options))
    iso = directory / "guest.iso"
    subprocess.run(["grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o", iso, directory / "iso"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return run_bochs(iso, directory / "bochs", r"(?m)^1\.\.\d+\s*$")


#: Entries, exits, exceptions, and what else Bochs may see differently: registers, FPU, messages, ports.
BOCHS_CASES = ("entry_,exception,fault,exregs_,tcr_,create_,inspect,ipc_,reserved,all_ones,fpu_,io_,startup_,canary,"
               "answer,irq_,switch_")
BOCHS_AT_LEAST = 220


@pytest.mark.slow
@pytest.mark.xdist_group("bochs")
@pytest.mark.parametrize("entry", ["int", "sysenter"])
def test_entries_in_bochs(build, tmp_path, entry):
    """Bochs checks what QEMU does not: segment limits, null segments, alignment."""
    text = run_guest_in_bochs(build, tmp_path, f"entry={entry} match={BOCHS_CASES}")
    results = qemu.tap(text.replace("\r", ""))
    failed = [name for name, ok in results.items() if not ok]
    assert not failed and len(results) >= BOCHS_AT_LEAST, f"{failed}\n" + "\n".join(
        line for line in text.splitlines() if line.startswith("#"))


@pytest.mark.slow
@pytest.mark.xdist_group("bochs")
def test_watched_mov_ss_in_bochs(build, tmp_path):
    """The debug exception of a watched load of SS comes behind sysenter, in the kernel.  (Bochs drops it before int.)  E-22"""
    text = run_guest_in_bochs(build, tmp_path, "only=entry_mov_ss", "kdb=bp+watch+mov_ss_operand+len=2+on=access+do=go")
    assert qemu.tap(text.replace("\r", "")) == {"entry_mov_ss": True}, text
    told = re.findall(r"-- kdb: step: debug exception \(point 0\); th\d+ at 0x\w+ (\w+)\+0x0", text)
    assert told == 2 * ["sysenter_entry"] + 2 * ["sysenter_entry_stepped"], text


# ---- what cannot work: a message that says what to do, and no hang ----

def refused(m, pattern):
    m.expect(pattern)
    assert "PANIC" not in m.text()


def test_no_module(machine):
    refused(machine(sigma0=None), r"(?i)module")


def test_not_elf(machine, tmp_path):
    path = tmp_path / "text.bin"
    path.write_text("this is not a program\n" * 100)
    refused(machine(sigma0=path), r"(?i)ELF")


def patched(build, tmp_path, patch):
    image = bytearray((build / "user/sigma0.elf").read_bytes())
    patch(image)
    path = tmp_path / "patched.elf"
    path.write_bytes(image)
    return path


def test_wrong_machine(machine, build, tmp_path):
    path = patched(build, tmp_path, lambda image: struct.pack_into("<H", image, 18, 40))
    refused(machine(sigma0=path), r"(?i)(386|IA-32|machine)")


def test_overlaps_kernel(machine, build, tmp_path):
    def patch(image):
        offset, = struct.unpack_from("<I", image, 28)
        struct.pack_into("<II", image, offset + 8, 0x00100000, 0x00100000)
    refused(machine(sigma0=patched(build, tmp_path, patch)), r"is not between 4 MB and")


def test_too_little_memory(machine):
    refused(machine(memory="4M"), r"(?i)memory")


def test_unknown_option_is_named(machine):
    m = machine(args="quiet exit=7", append="fualt=log kdb=obj ls")
    m.expect(r"option fualt=log is unknown and ignored")
    m.expect(r"option ls is unknown and ignored")
    assert m.wait() == 7
    assert m.text().count("is unknown") == 2


@pytest.mark.parametrize("option, advice", [
    ("gdb=now", "use gdb=wait"), ("fault=stop", "use fault=log"), ("breakkey=99", "use one letter"), ("debug=all", "use off"),
])
def test_wrong_value_is_refused(machine, option, advice):
    refused(machine(append=option), f"cannot start: boot option {option}: {advice}")


def test_no_serial_line(build, tmp_path):
    """Without a UART the kernel boots, and sigma0 ends the machine."""
    m = qemu.Machine(tmp_path / "m", build, args=f"quiet exit={PASS}", console=False, extra=["-nodefaults"])
    try:
        assert m.process.wait(timeout=qemu.PATIENCE) == PASS * 2 + 1
    finally:
        m.kill()


def test_all_exit_values(machine):
    """The harness sees the guest's own value: a test that ends with another one fails."""
    assert machine(args="quiet exit=7").wait() == 7
