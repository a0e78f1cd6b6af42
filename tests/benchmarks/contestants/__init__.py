"""Who is measured: how each one is started, and what is asked of it."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.failure import MeasurementError
from tests.benchmarks.processes import Child, running
from tests.benchmarks.servers import CHANNEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.benchmarks.servers import Server

_ROOT = Path(__file__).resolve().parents[3]
_PREFIX = "KV_UPDATER_"
_SUBSCRIBED_TIMEOUT = 20.0
_POLL = 0.005


@dataclass(frozen=True)
class Contestant:
    """A subscriber under measurement, configured by the same environment variables as the service."""

    name: str
    command: tuple[str, ...]
    verbatim: bool  # its records must keep the text of the message, not only its meaning
    hold_bytes: int  # its output buffer at the server up to which it is fed; 0: flat out, whatever happens

    @contextmanager
    def started(self, server: Server, workspace: Path, *, validate: bool = False) -> Iterator[Started]:
        """The running contestant, subscribed. It runs in an empty folder: no `.env` is read by accident."""
        home = Path(tempfile.mkdtemp(prefix="contestant-", dir=workspace))
        begun = time.monotonic()
        with running(self.command, log=home / "log", cwd=home, env=_environment(server, validate=validate)) as process:
            _await_subscription(server, process)
            yield Started(process, time.monotonic() - begun)


@dataclass(frozen=True)
class Started:
    """The process, and the seconds from its start to its subscription."""

    process: Child
    ready_seconds: float


def _environment(server: Server, *, validate: bool) -> Mapping[str, str]:
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(_PREFIX)}
    return inherited | {
        "PYTHONPATH": str(_ROOT),
        _PREFIX + "REDIS_URL": server.url,
        _PREFIX + "CHANNEL": CHANNEL,
        _PREFIX + "VALIDATE": "true" if validate else "false",
    }


def _await_subscription(server: Server, process: Child) -> None:
    deadline = time.monotonic() + _SUBSCRIBED_TIMEOUT
    while not server.subscribers():
        process.require_alive()
        if time.monotonic() > deadline:
            raise MeasurementError(f"not subscribed within {_SUBSCRIBED_TIMEOUT:.0f} s")
        time.sleep(_POLL)


# Flat out, the loop is cut off by the server (`flood` shows it). So that its own capacity is measured, it is fed
# as fast as it takes: 3 MiB and one slice of the publisher are below 4 MB of output buffer, and it never rests.
LOOP = Contestant(
    name="loop",
    command=(sys.executable, str(Path(__file__).with_name("loop.py"))),
    verbatim=False,
    hold_bytes=3 << 20,
)
OURS = Contestant(
    name="kv-updater",
    command=(sys.executable, "-m", "entrypoints.cli", "run"),
    verbatim=True,
    hold_bytes=0,
)
