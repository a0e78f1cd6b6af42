"""A steady publisher and a sampler, from the side of the harness: started, told when, and judged."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .percentiles import percentile
from .processes import running
from .publishing import Prepared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .sampler import Sample
    from .schedule import Schedule
    from .servers import Server

_ROOT = Path(__file__).resolve().parents[2]
_LEAD = 0.2  # seconds in which whoever is told the start is at it
_WORTH_A_NOTE_MS = 1.0
_LATEST_MS = 10.0


@contextmanager
def clocked_publisher(server: Server, commands: Path, schedule: Schedule, workspace: Path) -> Iterator[Prepared]:
    """Answers as clocked_publisher.py says."""
    words = (str(server.port), str(commands), str(schedule.messages), str(schedule.rate))
    with _module("clocked_publisher", *words, log=workspace / "clocked_publisher.log") as publisher:
        yield publisher


@contextmanager
def sampler(server: Server, samples: Sequence[Sample], workspace: Path) -> Iterator[Prepared]:
    """Answers as sampler.py says."""
    path = workspace / "samples"
    path.write_text(json.dumps(samples))
    with _module("sampler", str(server.port), str(path), log=workspace / "sampler.log") as process:
        yield process


def started(*processes: Prepared) -> None:
    """Tells each of them the same moment, which is soon."""
    start = time.monotonic() + _LEAD
    for process in processes:
        process.start(repr(start))


def publisher_late_ms(published: dict[str, Any]) -> float:
    """How late the publisher was with its messages: the 99th percentile."""
    return percentile([(tenths / 10, slots) for tenths, slots in published["late"]], 99)


def trouble_of_publisher(published: dict[str, Any], schedule: Schedule) -> str | None:
    """Why what it has published is not the load that was to be measured."""
    if publisher_late_ms(published) > _LATEST_MS:
        return _late(published)
    if undelivered := schedule.messages - published["delivered"]:
        return f"{undelivered:,} messages had no subscriber"
    return None


def note_of_publisher(published: dict[str, Any]) -> str | None:
    """What makes a latency larger than it is the subject's fault."""
    return f"{_late(published)}, which counts" if publisher_late_ms(published) > _WORTH_A_NOTE_MS else None


def _late(published: dict[str, Any]) -> str:
    return f"the publisher was late by {publisher_late_ms(published):,.1f} ms (p99)"


@contextmanager
def _module(name: str, *words: str, log: Path) -> Iterator[Prepared]:
    command = (sys.executable, "-m", f"tests.benchmarks.{name}", *words)
    with running(command, log=log, cwd=_ROOT, piped=True) as process:
        yield Prepared(process)
