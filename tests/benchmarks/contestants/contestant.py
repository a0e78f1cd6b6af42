"""One who is measured: how it is started, and what is asked of it."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.failure import CannotRunHere, MeasurementError
from tests.benchmarks.processes import running
from tests.benchmarks.servers import CHANNEL
from tests.benchmarks.slow_wire import slow_wire

from .replicas import Replicas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.benchmarks.processes import Child
    from tests.benchmarks.servers import Server

_ROOT = Path(__file__).resolve().parents[3]
_PREFIX = "KV_UPDATER_"
_SUBSCRIBED_TIMEOUT = 20.0
_POLL = 0.005


def _nothing_missing() -> str | None:
    return None


@dataclass(frozen=True)
class Contestant:
    """A subscriber under measurement, configured by the same environment variables as the service."""

    name: str
    command: tuple[str, ...]
    verbatim: bool  # its records must keep the text of the message, not only its meaning
    hold_bytes: int  # its output buffer at the server up to which it is fed; 0: flat out, whatever happens
    options: Mapping[str, str] = field(default_factory=dict, hash=False)  # settings of KV-Updater, by key
    transport: str = "pubsub"  # or "stream": the messages are entries of the stream that is named by the channel
    processes: int = 1  # replicas of the same command; CPU and memory are those of all
    store_delay: float = 0.0  # seconds by which each answer of the store is late; its messages come as ever
    missing: Callable[[], str | None] = _nothing_missing  # why it cannot run here, if it cannot

    @contextmanager
    def started(self, server: Server, workspace: Path, *, validate: bool = False) -> Iterator[Started]:
        """The running contestant, subscribed. It runs in an empty folder: no `.env` is read by accident.

        CannotRunHere where something is missing.
        """
        if reason := self.missing():
            raise CannotRunHere(reason)
        home = Path(tempfile.mkdtemp(prefix="contestant-", dir=workspace))
        begun = time.monotonic()
        with ExitStack() as stack:
            store = {}
            if self.store_delay:
                wire = slow_wire(server, self.store_delay, home / "slow-wire.log")
                store["store_url"] = stack.enter_context(wire)
            env = self._environment(server, store, validate=validate)
            children = [
                stack.enter_context(running(self.command, log=home / f"log-{number}", cwd=home, env=env))
                for number in range(self.processes)
            ]
            process = children[0] if self.processes == 1 else Replicas(children)
            self._await_subscription(server, process)
            yield Started(process, time.monotonic() - begun)

    def _environment(self, server: Server, store: Mapping[str, str], *, validate: bool) -> Mapping[str, str]:
        inherited = {name: text for name, text in os.environ.items() if not name.startswith(_PREFIX)}
        settings = {
            "redis_url": server.url,
            "channel": CHANNEL,
            "validate": "true" if validate else "false",
            **({"transport": self.transport} if self.transport != "pubsub" else {}),
            **store,
            **self.options,
        }
        named = {_PREFIX + key.upper(): text for key, text in settings.items()}
        return inherited | {"PYTHONPATH": str(_ROOT)} | named

    def _await_subscription(self, server: Server, process: Child | Replicas) -> None:
        channels = self.options.get("channel", CHANNEL).split(",")
        listening = server.stream_readers if self.transport == "stream" else partial(server.subscribers, channels)
        deadline = time.monotonic() + _SUBSCRIBED_TIMEOUT
        while listening() < self.processes:
            process.require_alive()
            if time.monotonic() > deadline:
                raise MeasurementError(f"not subscribed within {_SUBSCRIBED_TIMEOUT:.0f} s")
            time.sleep(_POLL)


@dataclass(frozen=True)
class Started:
    """The process, or all of several as one, and the seconds from its start to its subscription."""

    process: Child | Replicas
    ready_seconds: float
