"""After a storm: probes until one can be read, then every key once more, which must be right in the end.

All of these messages are later than every other of a run, and later than those published before them.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .failure import MeasurementError
from .wire import packed
from .workload import Workload, message, publish_command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .servers import Server

_PROBES = 60_000_000  # numbers: in the 60th second after the first message
_LAST = 120_000_000
_SEQ = re.compile(rb'"seq": ?(\d+)')
_PAUSE = 0.002
_TIMEOUT = 60.0


@dataclass(frozen=True)
class OnceMore:
    """A message for each key, and what the store must hold after them."""

    commands: bytes
    load: Workload

    def publish(self, server: Server) -> None:
        server.wire.exchange(self.commands, self.load.messages)


def once_more(path: Path, keys: int) -> OnceMore:
    messages = [message(_LAST + key, key) for key in range(keys)]
    path.write_bytes(b"".join(publish_command(one.payload) for one in messages))
    expected = {one.key: one.record for one in messages}
    load = Workload(f"{keys:,} keys once more", keys, path, expected, messages[-1].key)
    return OnceMore(path.read_bytes(), load)


def number_of(record: bytes | None) -> int:
    """Of the message that a record is of; -1: of none."""
    found = _SEQ.search(record or b"")
    return -1 if found is None else int(found[1])


def first_readable(server: Server, meanwhile: Callable[[], None]) -> float:
    """The wall clock's time when one of the probes can be read that are published from now on, one after the other.

    One that nobody receives is lost, so a single one would not do.
    """
    deadline = time.monotonic() + _TIMEOUT
    number = _PROBES
    while True:
        probe = message(number, 0)
        server.wire.exchange(publish_command(probe.payload))
        time.sleep(_PAUSE)
        if number_of(server.wire.exchange(packed("GET", probe.key))) >= _PROBES:
            return time.time()
        if time.monotonic() > deadline:
            raise MeasurementError(f"nothing that was published afterwards could be read within {_TIMEOUT:.0f} s")
        number += 1
        meanwhile()
