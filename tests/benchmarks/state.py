"""The state of the store against what it must be, and the moment at which it is.

A few keys are polled: that of the last message and some from all over. When they are right all keys are read in one
transaction that begins with TIME: the moment is the server's own, and neither reading nor comparing is counted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .servers import CHANNEL
from .wire import packed

if TYPE_CHECKING:
    from .servers import Server
    from .usage import Usage
    from .workload import Workload

_TIMEOUT = 300.0
_POLLED_KEYS = 16
_OF_STREAMS = (CHANNEL, "kv-updater:entry-ids")  # what is there besides the records: the stream, the ids of ties


@dataclass(frozen=True)
class Reading:
    """All keys at one moment. A key that should not be there counts as a wrong one."""

    at: float  # the server's wall clock, seconds
    wrong_keys: int
    server_cpu_seconds: float  # the server's own, before this reading and without earlier ones


class StoreState:
    """What the store holds, compared with the end of a workload."""

    def __init__(self, server: Server, load: Workload, *, verbatim: bool) -> None:
        self._server = server
        self._load = load
        self._verbatim = verbatim
        others = [("EXISTS", *_OF_STREAMS)] if load.transport == "stream" else []
        commands = (("MULTI",), ("TIME",), ("MGET", *load.keys), *others, ("DBSIZE",), ("EXEC",))
        self._read_all = b"".join(packed(*words) for words in commands)
        self._replies = len(commands)
        self._reading_cpu = 0.0
        self._polled = [load.last_key, *load.keys[:: max(1, len(load.keys) // _POLLED_KEYS)]]

    def await_end(self, usage: Usage) -> Reading:
        """All right; or what is wrong once the contestant rests, has ended, or its time is up."""
        begun = time.monotonic()
        while True:
            if self._polled_are_right() and not (reading := self._read()).wrong_keys:
                return reading
            waited = time.monotonic() - begun
            if usage.rests() or waited > _TIMEOUT:
                return self._read()
            time.sleep(max(0.001, waited / 500))

    def _polled_are_right(self) -> bool:
        return not self._wrong(self._polled, self._server.wire.call("MGET", *self._polled))

    def _read(self) -> Reading:
        before = self._server.cpu_seconds()
        (seconds, micros), stored, *others, size = self._server.wire.exchange(self._read_all, self._replies)
        wrong = self._wrong(self._load.keys, stored)
        unexpected = size - sum(others) - sum(value is not None for value in stored)
        reading = Reading(int(seconds) + int(micros) / 1e6, len(wrong) + unexpected, before - self._reading_cpu)
        self._reading_cpu += self._server.cpu_seconds() - before
        self._polled = wrong[:_POLLED_KEYS] or self._polled
        return reading

    def _wrong(self, keys: list[str], stored: list[bytes | None]) -> list[str]:
        pairs = zip(keys, stored, strict=True)
        return [key for key, value in pairs if not self._load.is_right(key, value, verbatim=self._verbatim)]
