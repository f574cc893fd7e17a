# SPDX-License-Identifier: MIT
"""Boot the kernel in QEMU with its serial lines on sockets.

A test passes on what the guest says and on the explicit exit value: a triple fault with -no-reboot ends
QEMU with status 0, so 0 is never a success.
"""

import pathlib
import re
import shlex
import socket
import subprocess
import time

import pexpect
import pexpect.fdpexpect

#: Seconds without an answer after which a machine counts as hung. Generous: the machine that runs the
#: tests may be slow; no test asserts on it.
PATIENCE = 120


class Hung(AssertionError):
    pass


class Machine:
    """One QEMU. `console` is a pexpect object on COM1, `gdb_socket` the path of COM2's socket."""

    def __init__(self, directory, build, kernel=None, sigma0="sigma0", args="", modules=(), append="",
                 memory="64M", cpu="qemu32,+sep", icount=False, extra=(), console=True, gdb_wait=False,
                 iso=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.build = pathlib.Path(build)
        self.kernel = pathlib.Path(kernel) if kernel else self.build / "l4sec.elf"
        self.console_path = self.directory / "console"
        self.gdb_socket = self.directory / "gdb"
        self.log = self.directory / "console.log"
        command = ["qemu-system-i386", "-accel", "tcg", "-machine", "pc", "-cpu", cpu, "-m", str(memory),
                   "-display", "none", "-monitor", "none", "-no-reboot", "-net", "none",
                   "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        if iso:
            command += ["-cdrom", str(iso)]
        else:
            command += ["-kernel", str(self.kernel)]
            if sigma0:
                path = pathlib.Path(sigma0)
                if not path.suffix and not path.exists():
                    path = self.build / "user" / f"{sigma0}.elf"
                images = [f"{path} {args}".strip()] + [str(m) for m in modules]
                command += ["-initrd", ",".join(i.replace(",", ",,") for i in images)]
            if append:
                command += ["-append", append]
        if icount:
            command += ["-icount", "shift=0,sleep=off", "-rtc", "clock=vm"]
        if console:
            command += ["-chardev", f"socket,id=com1,path={self.console_path},server=on,wait=on",
                        "-serial", "chardev:com1"]
        else:
            command += ["-serial", "none"]
        command += ["-chardev",
                    f"socket,id=com2,path={self.gdb_socket},server=on,wait={'on' if gdb_wait else 'off'}",
                    "-serial", "chardev:com2"] if console else []
        command += list(extra)
        (self.directory / "command").write_text(shlex.join(command) + "\n")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=open(self.directory / "qemu.out", "wb"),
                                        stderr=subprocess.STDOUT)
        self.console = None
        if console:
            self.socket = self._connect(self.console_path)
            self.console = pexpect.fdpexpect.fdspawn(self.socket, timeout=PATIENCE)
            self.console.logfile_read = open(self.log, "wb", buffering=0)
            self.console.delaybeforesend = None

    def _connect(self, path):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                s.connect(str(path))
                return s
            except (FileNotFoundError, ConnectionRefusedError):
                s.close()
                if self.process.poll() is not None:
                    raise AssertionError("QEMU did not start:\n" + self.qemu_output())
                time.sleep(0.01)
        raise Hung("QEMU's serial socket did not appear")

    def qemu_output(self):
        return (self.directory / "qemu.out").read_text(errors="replace")

    def text(self):
        """Everything the console has shown so far."""
        return self.log.read_bytes().decode("latin-1") if self.log.exists() else ""

    def expect(self, pattern, timeout=PATIENCE):
        """Wait for a regular expression on the console; the match object."""
        if isinstance(pattern, str):
            pattern = pattern.encode()
        try:
            self.console.expect(pattern, timeout=timeout)
        except (pexpect.TIMEOUT, pexpect.EOF) as problem:
            raise Hung(f"no {pattern!r} on the console ({type(problem).__name__}); it said:\n{self.text()[-4000:]}"
                       f"\n{self.qemu_output()}") from None
        return self.console.match

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def wait(self, timeout=PATIENCE):
        """The value that the guest wrote to the exit device; reads the console to its end, `timeout` seconds for a line."""
        try:
            while self.console.expect([pexpect.EOF, rb"\n"], timeout=timeout):
                pass
        except pexpect.TIMEOUT:
            raise Hung(f"the machine did not end; it said:\n{self.text()[-4000:]}") from None
        status = self.process.wait(timeout=PATIENCE)
        if status == 0:
            raise AssertionError(f"QEMU ended by itself (triple fault?); it said:\n{self.text()[-4000:]}")
        if status & 1 == 0:
            raise AssertionError(f"QEMU ended with status {status}:\n{self.qemu_output()}")
        return status >> 1

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.console is not None:
            self.console.logfile_read.close()
            self.socket.close()


def tap(text):
    """Parse the guest's TAP lines: {name: ok}. The plan must be complete."""
    results = {}
    for ok, name in re.findall(r"^(not ok|ok) \d+ - (\S+)", text, re.MULTILINE):
        assert name not in results, f"test {name} reported twice"
        results[name] = ok == "ok"
    plan = re.search(r"^1\.\.(\d+)\s*$", text, re.MULTILINE)
    assert plan, f"no plan in the guest's output:\n{text[-3000:]}"
    assert int(plan.group(1)) == len(results), f"plan {plan.group(1)}, but {len(results)} results"
    return results
