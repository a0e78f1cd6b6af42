"""The publisher process: prebuilt commands from a file, pipelined as fast as the server takes them.

Arguments: port, file, number of commands, hold, subscribers, times. It prints "ready", starts on a line from standard
input, and ends with one line of JSON. `hold` is for a subscriber that would be cut off flat out: before each slice the
publisher waits until no subscriber's output buffer (`omem` in CLIENT LIST) is above that many bytes; 0: never.
`subscribers` is to how many each PUBLISH must go; 0: the commands are XADD, which an entry's id answers, and nobody
is held back for. `times` is how often all of the file is sent, one time right after the other.
"""

from __future__ import annotations

import json
import mmap
import re
import select
import socket
import sys
import time

_SEND_BYTES = 1 << 20
_HELD_SLICE_BYTES = 1 << 18
_HELD_PAUSE = 0.01
_ERROR = re.compile(rb"(?:^|\n)-([^\r]*)")
_ASK = b"*4\r\n$6\r\nCLIENT\r\n$4\r\nLIST\r\n$4\r\nTYPE\r\n$6\r\npubsub\r\n"


class Gate:
    """How far the commands may be sent: all of them, or slice by slice while the subscribers keep up."""

    def __init__(self, port: int, commands: memoryview, hold: int) -> None:
        self._commands = commands
        self._hold = hold
        self._asked = socket.create_connection(("127.0.0.1", port)) if hold else None
        self._begun = 0  # commands whose beginning is in what may be sent
        self.open_to = 0 if hold else len(commands)
        self.peak = 0

    def widen(self, answered: int) -> None:
        """One slice more, when the server has answered the last one (a command may be cut by its end)."""
        if answered < self._begun - 1:
            return
        buffered = self._largest_output_buffer()
        self.peak = max(self.peak, buffered)
        if buffered <= self._hold:
            piece = self._commands[self.open_to : self.open_to + _HELD_SLICE_BYTES]
            self._begun += bytes(piece).count(b"PUBLISH")
            self.open_to += len(piece)

    def _largest_output_buffer(self) -> int:
        assert self._asked is not None
        self._asked.sendall(_ASK)
        reply = b""
        while not _whole_bulk(reply):
            reply += self._asked.recv(1 << 16)
        return max((int(size) for size in re.findall(rb" omem=(\d+)", reply)), default=0)


def _whole_bulk(reply: bytes) -> bool:
    head, newline, body = reply.partition(b"\r\n")
    return bool(newline) and len(body) >= int(head[1:]) + 2


def publish(sock: socket.socket, commands: memoryview, lines: int, gate: Gate) -> bytes:
    """Sends all, reads so many lines of replies, and returns them as they came. An error among them is the end."""
    sent, answered, replies = 0, 0, bytearray()
    while answered < lines:
        if sent == gate.open_to < len(commands):
            gate.widen(answered)
        may_send = sent < gate.open_to
        pause = None if may_send or sent == len(commands) else _HELD_PAUSE
        readable, writable, _ = select.select([sock], [sock] if may_send else [], [], pause)
        if readable:
            received = sock.recv(1 << 18)
            if not received:
                raise ConnectionError("the server closed the publisher's connection")
            replies += received
            answered += received.count(b"\n")
            if _ERROR.search(replies, max(0, len(replies) - len(received) - 1)):
                break
        if writable:
            sent += sock.send(commands[sent : min(sent + _SEND_BYTES, gate.open_to)])
    return bytes(replies)


def main() -> None:
    path = sys.argv[2]
    port, count, hold, subscribers, times = (int(sys.argv[place]) for place in (1, 3, 4, 5, 6))
    with open(path, "rb") as file:  # noqa: PTH123 (pathlib costs the start more than it gives here)
        flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
        commands = memoryview(mmap.mmap(file.fileno(), 0, flags=flags, prot=mmap.PROT_READ))
    sock = socket.create_connection(("127.0.0.1", port))
    sock.settimeout(0)
    gate = Gate(port, commands, hold)
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.time()
    lines = count if subscribers else 2 * count
    replies = b"".join(publish(sock, commands, lines, gate) for _ in range(times))
    took = time.time() - started
    error = _ERROR.search(replies)
    result = {
        "started": started,
        "seconds": took,
        # PUBLISH is answered with the number of subscribers that it went to.
        "delivered": replies.count(b":%d\r\n" % subscribers if subscribers else b"$"),
        "error": error and error[1].decode(),
        "buffered": gate.peak,
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
