"""The publisher processes, and others that wait for a word to begin, from the side of the harness."""

from __future__ import annotations

import json
import select
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .failure import MeasurementError
from .processes import Child, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .servers import Server
    from .workload import Workload

_SCRIPT = str(Path(__file__).with_name("publisher.py"))
_TIMEOUT = 600.0
_LOOK_EVERY = 0.1


class Prepared:
    """A process that has said "ready", waits for one line, and answers it with one of JSON."""

    def __init__(self, process: Child) -> None:
        self._process = process
        self._line(lambda: None)  # "ready"

    def start(self, word: str) -> None:
        self._process.stdin.write(f"{word}\n".encode())
        self._process.stdin.flush()

    def result(self, meanwhile: Callable[[], None]) -> dict[str, Any]:
        """`meanwhile` is called ten times a second."""
        result: dict[str, Any] = json.loads(self._line(meanwhile))
        if result.get("error"):
            raise MeasurementError(f"the server refused a message: {result['error']}")
        return result

    def _line(self, meanwhile: Callable[[], None]) -> bytes:
        deadline = time.monotonic() + _TIMEOUT
        while not select.select([self._process.stdout], [], [], _LOOK_EVERY)[0]:
            meanwhile()
            if time.monotonic() > deadline:
                raise MeasurementError(f"no answer within {_TIMEOUT:.0f} s: the publisher is held back")
        line = self._process.stdout.readline()
        if not line:
            self._process.wait_end()
            self._process.require_alive()
        return line


class Publisher(Prepared):
    """One that publishes everything at once."""

    def publish(self, meanwhile: Callable[[], None]) -> dict[str, Any]:
        """Started (wall clock), seconds, delivered, buffered (bytes); `meanwhile`: see `result`."""
        self.start("go")
        return self.result(meanwhile)


@contextmanager
def ready_publisher(
    server: Server, load: Workload, workspace: Path, *, hold: int, subscribers: int = 1, times: int = 1
) -> Iterator[Publisher]:
    """`hold`, `subscribers` and `times`: see the publisher; a stream has no subscribers. Held back, it is one time."""
    counts = (load.messages, hold, 0 if load.transport == "stream" else subscribers, times)
    command = [sys.executable, "-S", _SCRIPT, str(server.port), str(load.commands), *map(str, counts)]
    with running(command, log=workspace / "publisher.log", piped=True) as process:
        yield Publisher(process)
