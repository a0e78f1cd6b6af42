"""Several updaters of one server, which come and go."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.service import Service, subscribed


class Replicas:
    """What each has logged and counted is kept. All are started with the `flags`."""

    def __init__(self, url: str, directory: Path, *flags: str) -> None:
        self._url, self._directory, self._flags = url, directory, flags
        self._running: dict[Service, ExitStack] = {}
        self.entries: list[dict[str, Any]] = []

    def start(self, *flags: str) -> Service:
        """One more, from when it is subscribed."""
        stack = ExitStack()
        service = stack.enter_context(subscribed(self._url, *self._flags, *flags, directory=self._directory))
        self._running[service] = stack
        return service

    def kill(self, service: Service) -> None:
        """SIGKILL, if it still runs, and forget it."""
        service.process.kill()
        service.ends()
        self.entries += service.entries
        self._running.pop(service).close()

    def kill_all(self) -> None:
        """Those that still run."""
        for service in list(self._running):
            self.kill(service)

    def stop(self, service: Service) -> dict[str, int]:
        """SIGTERM, and all is well; its totals."""
        totals = service.stops()
        self.kill(service)
        return totals

    def stop_all(self) -> list[dict[str, int]]:
        """Stop those that run; their totals, the first started first."""
        return [self.stop(service) for service in list(self._running)]

    def logged(self, message: str) -> list[dict[str, Any]]:
        """The entries with this message, of those that have ended."""
        return [entry for entry in self.entries if entry["message"] == message]
