"""The publisher process that goes by the clock: prebuilt commands from a file, each sent when it is due.

Arguments: port, file, messages, messages a second. It prints "ready", is told on standard input when the first message
is due (seconds of the monotonic clock), and ends with one line of JSON: seconds from then to the last answer, to how
many subscribers the messages went in all, the server's error if there was one, and how often it was how late with a
slot (see schedule.py), in tenths of a millisecond. What it could not send in time it sends at once.
"""

from __future__ import annotations

import json
import mmap
import re
import socket
import sys
import time
from array import array
from collections import Counter
from itertools import islice
from pathlib import Path

from .processes import sleep_exactly
from .schedule import Schedule

_COMMAND = re.compile(rb"\*3\r\n\$7\r\nPUBLISH\r\n")  # no message holds a line break
_REPLY = re.compile(rb":(\d+)\r\n")
_ERROR = re.compile(rb"(?:^|\n)-([^\r]*)")
_RECEIVE_BYTES = 1 << 18


def slot_ends(commands: mmap.mmap, schedule: Schedule) -> array[int]:
    """The place in the file at which each slot ends."""
    begins = islice((found.start() for found in _COMMAND.finditer(commands)), schedule.messages + 1)
    places = array("Q", begins)
    if len(places) == schedule.messages:
        places.append(len(commands))
    size = schedule.slot_size
    return array("Q", (places[min(end * size, schedule.messages)] for end in range(1, schedule.slots + 1)))


class ClockedPublisher:
    """One connection, and what came of its messages."""

    def __init__(self, port: int, commands: memoryview, ends: array[int], schedule: Schedule) -> None:
        # Without a timeout: with one, Python would wait for a reply even where MSG_DONTWAIT says not to.
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._commands = commands
        self._ends = ends
        self._schedule = schedule
        self.replies = bytearray()
        self.late: Counter[int] = Counter()

    def publish(self, start: float) -> None:
        schedule, sent, place = self._schedule, 0, 0
        while sent < schedule.slots:
            due = schedule.slots_due(time.monotonic() - start)
            if due == sent:
                time.sleep(max(0.0, start + sent * schedule.interval - time.monotonic()))
                continue
            self._socket.sendall(self._commands[place : self._ends[due - 1]])
            elapsed = time.monotonic() - start
            for slot in range(sent, due):
                self.late[int((elapsed - slot * schedule.interval) * 10_000)] += 1
            sent, place = due, self._ends[due - 1]
            self._receive(socket.MSG_DONTWAIT)
        while self.replies.count(b"\n") < schedule.messages:
            self._receive(0)

    def _receive(self, flags: int) -> None:
        try:
            received = self._socket.recv(_RECEIVE_BYTES, flags)
        except BlockingIOError:
            return
        if not received:
            raise ConnectionError("the server closed the publisher's connection")
        self.replies += received


def main() -> None:
    port, path, messages, rate = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    schedule = Schedule(rate, messages)
    sleep_exactly()
    with path.open("rb") as file:
        commands = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    ends = slot_ends(commands, schedule)
    publisher = ClockedPublisher(port, memoryview(commands), ends, schedule)
    print("ready", flush=True)
    start = float(sys.stdin.readline())
    publisher.publish(start)
    seconds = time.monotonic() - start
    error = _ERROR.search(publisher.replies)
    result = {
        "seconds": seconds,
        "delivered": sum(int(count) for count in _REPLY.findall(publisher.replies)),
        "error": error and error[1].decode(),
        "late": sorted(publisher.late.items()),
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
