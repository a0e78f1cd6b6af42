"""Many readers of the API server's events, in a process of its own.

Arguments: port, readers, stalled, keys. It connects them all, of which the stalled ones never read, waits until each of
the others has a record of every key, prints "ready", and then obeys lines from standard input:

`follow START RATE LAST`  update number i (a record of key i % keys that holds the number) is to be published at
                          START + i / RATE by the monotonic clock, LAST is the last one; until all have that of each key
`end`                     it ends

It answers with one line of JSON: of every reader and every update the milliseconds from when the update was to be
published until that reader had it or a newer one of its key.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import time
from functools import lru_cache

_RECEIVE_BYTES = 1 << 16
_SEQ = re.compile(rb'"seq":(\d+)')
_LONGEST = 60_000  # milliseconds that are told apart; what is longer counts as this
_TIMEOUT = 30.0  # seconds without anything new for anybody


@lru_cache(maxsize=256)
def _numbers(events: bytes) -> tuple[int, ...]:
    """Those of whole events; many readers are sent the same bytes."""
    return tuple(int(number) for number in _SEQ.findall(events))


class Reader:
    """One connection, and the number of the record of each key that it has."""

    def __init__(self, port: int, keys: int, *, stalled: bool) -> None:
        self.socket = socket.socket()
        if stalled:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        self.socket.setblocking(False)  # noqa: FBT003 (its only parameter)
        self.has = [-1] * keys
        self._rest = b""

    def read(self) -> tuple[int, ...]:
        """The numbers of the events that have come."""
        received = self.socket.recv(_RECEIVE_BYTES)
        if not received:
            raise ConnectionError("the server closed a reader's connection")
        whole, end, rest = received.rpartition(b"\n\n")
        if not end:
            self._rest += received
            return ()
        events, self._rest = self._rest + whole, rest
        return _numbers(events)


class Crowd:
    """All readers, and how late each update was at each."""

    def __init__(self, port: int, readers: int, stalled: int, keys: int) -> None:
        self._keys = keys
        self._stalled = [Reader(port, keys, stalled=True) for _ in range(stalled)]
        self._poll = select.epoll()
        self._readers: dict[int, Reader] = {}
        for _ in range(readers - stalled):
            reader = Reader(port, keys, stalled=False)
            self._readers[reader.socket.fileno()] = reader
            self._poll.register(reader.socket, select.EPOLLIN)
        self.late = [0] * (_LONGEST + 1)
        self.backwards = 0

    def until(self, last: int, start: float, rate: float) -> None:
        """Read until all have everything up to this number. TimeoutError when nothing new comes."""
        wanted = [last - (last - key) % self._keys for key in range(self._keys)]
        behind = {fd for fd, reader in self._readers.items() if reader.has != wanted}
        while behind:
            ready = self._poll.poll(_TIMEOUT)
            if not ready:
                raise TimeoutError(f"{len(behind)} readers do not get everything")
            for fd, _ in ready:
                reader = self._readers[fd]
                self._take(reader, reader.read(), start, rate)
                if reader.has == wanted:
                    behind.discard(fd)

    def _take(self, reader: Reader, numbers: tuple[int, ...], start: float, rate: float) -> None:
        now, keys, has, late = time.monotonic(), self._keys, reader.has, self.late
        for number in numbers:
            key = number % keys
            before = has[key]
            if number < before:
                self.backwards += 1
            elif before >= 0:
                for each in range(before + keys, number + 1, keys):
                    late[min(_LONGEST, int((now - start - each / rate) * 1000))] += 1
            has[key] = max(before, number)


def main() -> None:
    port, readers, stalled, keys = map(int, sys.argv[1:])
    crowd = Crowd(port, readers, stalled, keys)
    crowd.until(keys - 1, 0.0, 1.0)
    print("ready", flush=True)
    for line in sys.stdin:
        if line == "end\n":
            return
        _, start, rate, last = line.split()
        crowd.late = [0] * (_LONGEST + 1)
        crowd.until(int(last), float(start), float(rate))
        print(
            json.dumps({"late": {ms: n for ms, n in enumerate(crowd.late) if n}, "backwards": crowd.backwards}),
            flush=True,
        )


if __name__ == "__main__":
    main()
