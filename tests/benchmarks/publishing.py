"""The publisher process, from the side of the harness."""

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


class Publisher:
    """A publisher that has everything prepared and waits for the word."""

    def __init__(self, process: Child) -> None:
        self._process = process
        self._line(lambda: None)  # "ready"

    def publish(self, meanwhile: Callable[[], None]) -> dict[str, Any]:
        """Started (wall clock), seconds, delivered, buffered (bytes); `meanwhile` is called ten times a second."""
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()
        result: dict[str, Any] = json.loads(self._line(meanwhile))
        if result["error"]:
            raise MeasurementError(f"the server refused a message: {result['error']}")
        return result

    def _line(self, meanwhile: Callable[[], None]) -> bytes:
        deadline = time.monotonic() + _TIMEOUT
        while not select.select([self._process.stdout], [], [], _LOOK_EVERY)[0]:
            meanwhile()
            if time.monotonic() > deadline:
                raise MeasurementError(f"the publisher was held back for {_TIMEOUT:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            self._process.wait_end()
            self._process.require_alive()
        return line


@contextmanager
def ready_publisher(
    server: Server, load: Workload, workspace: Path, *, hold: int, subscribers: int = 1, times: int = 1
) -> Iterator[Publisher]:
    """`hold`, `subscribers` and `times`: see the publisher; a stream has no subscribers. Held back, it is one time."""
    counts = (load.messages, hold, 0 if load.transport == "stream" else subscribers, times)
    command = [sys.executable, "-S", _SCRIPT, str(server.port), str(load.commands), *map(str, counts)]
    with running(command, log=workspace / "publisher.log", piped=True) as process:
        yield Publisher(process)
