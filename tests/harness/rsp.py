# SPDX-License-Identifier: MIT
"""A client of GDB's remote protocol on a Unix socket, for what GDB itself would never send."""

import socket
import time


class Timeout(AssertionError):
    pass


class Client:
    def __init__(self, path, patience=60):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.connect(str(path), time.monotonic() + patience)
        self.patience = patience
        self.data = b""
        self.no_ack = False
        self.acks = 0
        self.packets = 0

    def connect(self, path, end):
        """The other side may still be about to make the socket."""
        while True:
            try:
                return self.socket.connect(path)
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def close(self):
        self.socket.close()

    def raw(self, data):
        self.socket.sendall(data)

    def byte(self, patience=None):
        if not self.data:
            self.socket.settimeout(patience or self.patience)
            try:
                self.data = self.socket.recv(65536)
            except socket.timeout:
                raise Timeout("no answer from the stub") from None
            if not self.data:
                raise AssertionError("the line was closed")
        first, self.data = self.data[:1], self.data[1:]
        return first

    def silent(self, seconds):
        """Nothing comes for that long; what came else."""
        end = time.monotonic() + seconds
        got = b""
        while time.monotonic() < end:
            try:
                got += self.byte(max(0.01, end - time.monotonic()))
            except Timeout:
                break
        return got

    @staticmethod
    def frame(payload):
        escaped = bytearray()
        for byte in payload:
            if byte in b"$#}*":
                escaped += bytes((0x7D, byte ^ 0x20))
            else:
                escaped.append(byte)
        return b"$" + bytes(escaped) + b"#%02x" % (sum(escaped) & 255)

    def receive(self, patience=None):
        """The next packet, expanded and unescaped."""
        while True:
            byte = self.byte(patience)
            if byte == b"$":
                break
            if byte == b"+":
                self.acks += 1
        body = b""
        while (byte := self.byte(patience)) != b"#":
            body += byte
        check = self.byte() + self.byte()
        assert int(check, 16) == sum(body) & 255, f"checksum of {body!r}"
        if not self.no_ack:
            self.raw(b"+")
        expanded = bytearray()
        i = 0
        while i < len(body):
            if body[i:i + 1] == b"*":
                assert expanded and 32 <= body[i + 1] <= 126
                expanded += bytes([expanded[-1]]) * (body[i + 1] - 29)
                i += 2
            elif body[i:i + 1] == b"}":
                expanded.append(body[i + 1] ^ 0x20)
                i += 2
            else:
                expanded.append(body[i])
                i += 1
        self.packets += 1
        return bytes(expanded)

    def ask(self, payload, patience=None):
        """Send a packet; the reply to it."""
        self.raw(self.frame(payload if isinstance(payload, bytes) else payload.encode()))
        return self.receive(patience)

    def begin(self):
        """What GDB says first; acknowledgements off. The features."""
        self.no_ack = False
        features = self.ask("qSupported:swbreak+;hwbreak+;xmlRegisters=i386").decode()
        assert self.ask("QStartNoAckMode") == b"OK"
        self.no_ack = True
        return features.split(";")

    def monitor(self, line):
        """(reply, text) of a monitor command."""
        self.raw(self.frame(b"qRcmd," + line.encode().hex().encode()))
        text = ""
        while True:
            reply = self.receive()
            if reply[:1] == b"O" and reply != b"OK":
                text += bytes.fromhex(reply[1:].decode()).decode()
            else:
                return reply.decode(), text
