"""What a monitoring system does with the updater: asks for its metrics and its probes."""

from __future__ import annotations

import re
import socket
import urllib.request
from abc import ABC, abstractmethod
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_SAMPLE = re.compile(r"^kv_updater_(\w+) (\S+)$", re.MULTILINE)
_PATHS = ("/metrics", "/readyz", "/livez")
_INTERVAL = 1.0
_TIMEOUT = 10.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def metrics(port: int) -> dict[str, float]:
    """Those without labels, without their prefix."""
    return {name: float(value) for name, value in _SAMPLE.findall(_get(port, "/metrics"))}


class Repeated(ABC):
    """Something that is done again and again in a thread until the block ends, at once for the first time.

    No process may be started meanwhile: a fork of several threads is not safe.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._ended = Event()
        self._thread = Thread(target=self._repeat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    @abstractmethod
    def once(self) -> None:
        """That."""

    def _repeat(self) -> None:
        self.once()
        while not self._ended.wait(self._every):
            self.once()


class Scraper(Repeated):
    """Asks for everything, each second."""

    def __init__(self, port: int) -> None:
        super().__init__(_INTERVAL)
        self.scrapes = 0  # times that all was answered, and well
        self.error: str | None = None  # the first one: a status of 400 or more too
        self._port = port

    def once(self) -> None:
        try:
            for path in _PATHS:
                _get(self._port, path)
            self.scrapes += 1
        except OSError as error:
            self.error = self.error or str(error)


def _get(port: int, path: str) -> str:
    """OSError for whatever goes wrong."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=_TIMEOUT) as answer:
        text: str = answer.read().decode()
        return text
