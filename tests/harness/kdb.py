# SPDX-License-Identifier: MIT
"""Drive kdb by its framed protocol: one line out, one frame in, rows as dictionaries.

Never matches prose. Fails if a frame is missing, the prompt's number jumps, or the checksum is wrong.
"""

import dataclasses
import json
import re

BREAK_KEY = b"\x05"


def crc16(data):
    """CRC-16/CCITT, start 0xffff, as kdb computes it over the data lines."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021) & 0xFFFF if crc & 0x8000 else (crc << 1) & 0xFFFF
    return crc


@dataclasses.dataclass
class Reply:
    rc: int
    count: int
    more: bool
    bad: int
    lines: list
    name: str = ""

    @property
    def rows(self):
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    @property
    def text(self):
        return "\n".join(self.lines)


class Kdb:
    """A session in test mode on a machine whose console shows a kdb prompt, or runs and can be broken into."""

    def __init__(self, machine, stopped=False):
        self.machine = machine
        self.number = None
        if not stopped:
            self.break_in()
        else:
            machine.expect(rb"kdb\[[^\]]*\]> ")
        machine.send("proto test\r")
        self._prompt()

    def break_in(self):
        self.machine.send(BREAK_KEY)
        self.machine.expect(rb"kdb(\[[^\]]*\]> |:\d+> )")
        match = re.match(rb"kdb:(\d+)> ", self.machine.console.match.group(0))
        if match:
            self.number = int(match.group(1))

    def _prompt(self):
        match = self.machine.expect(rb"kdb:(\d+)> ")
        number = int(match.group(1))
        assert self.number is None or number == self.number + 1, f"prompt {number} after {self.number}"
        self.number = number

    def cmd(self, line, rc=0, json_rows=False):
        """Run one line; the Reply. rc None: any."""
        if json_rows:
            line += " -o json"
        self.machine.send(line + "\r")
        match = self.machine.expect(rb"#B (\d+) ([^\r\n]*)\r\n")
        assert int(match.group(1)) == self.number, f"frame {match.group(1)} at prompt {self.number}"
        name = match.group(2).decode()
        match = self.machine.expect(
            rb"#E (\d+) rc=(\d+) rows=(\d+) more=(\d+) bad=(\d+) us=(\d+) crc=([0-9a-f]{4})\r\n")
        data = self.machine.console.before
        assert int(match.group(1)) == self.number
        assert crc16(data) == int(match.group(7), 16), f"checksum of {line!r}"
        text = data.decode("latin-1")
        reply = Reply(int(match.group(2)), int(match.group(3)), match.group(4) != b"0", int(match.group(5)),
                      text.split("\r\n")[:-1] if text else [], name)
        self._prompt()
        assert rc is None or reply.rc == rc, f"{line!r}: rc {reply.rc}, expected {rc}:\n{reply.text}"
        return reply

    def rows(self, line, rc=0):
        return self.cmd(line, rc=rc, json_rows=True).rows

    def go(self):
        self.machine.send("go\r")
        self.machine.expect(rb"#E \d+ rc=0[^\r\n]*\r\n")
        self.number = None

    def check(self):
        """The invariants hold."""
        reply = self.cmd("check -o json", rc=None)
        failed = [row for row in reply.rows if row.get("failed")]
        assert reply.rc == 0 and not failed, f"check: {failed or reply.text}"
        assert reply.rows, "check ran no rule"
