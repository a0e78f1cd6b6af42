"""From PUBLISH to readable: one message at a time, the time until GET shows it, contestants in turn.

All contestants run, each on its own server, and are asked in blocks that alternate: noise falls on all. Those that are
not asked rest. They are started anew several times, for where the scheduler once puts a process it stays for long: a
figure is the median of what it was from each start.
"""

from __future__ import annotations

import gc
import time
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks.contestants import LOOP, OURS, OURS_BUSY, SCRIPT_ALONE
from tests.benchmarks.failure import MeasurementError
from tests.benchmarks.figures import P50, P99, Sample
from tests.benchmarks.servers import Server, fresh_server
from tests.benchmarks.wire import packed
from tests.benchmarks.workload import message, publish_command

from .scenario import Outcome, Scenario, attempt, guarded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.processes import Child
    from tests.benchmarks.session import Session

_WARM_UP = 200
_STARTS = 6
_BLOCK = 100
_BLOCK_WARM_UP = 10
_KEYS = 100
_PAUSE = 0.0005
_TIMEOUT = 2.0
_PERCENTILES = ((P50.name, 50), (P99.name, 99))


class _Subject:
    """A contestant under this measurement. After its first error it is not asked again."""

    def __init__(self, contestant: Contestant) -> None:
        self.contestant = contestant
        self.starts: list[list[float]] = []  # seconds of its samples, by start
        self.failure: Exception | None = None
        self._server: Server
        self._process: Child
        self._number = 0

    def start(self, stack: ExitStack, session: Session) -> None:
        self._server = stack.enter_context(fresh_server())
        started = stack.enter_context(self.contestant.started(self._server, session.workspace))
        self._process = started.process
        self._process.wait_quiet(window=0.2, share=0.05, timeout=5.0)
        self.take(_WARM_UP, counted=False)
        self.starts.append([])

    def take(self, samples: int, *, counted: bool = True) -> None:
        for _ in range(samples):
            seconds = self._sample()
            if counted:
                self.starts[-1].append(seconds)
            time.sleep(_PAUSE)

    def _sample(self) -> float:
        """Seconds. The message is known by its `updated`, which no other has and every contestant keeps."""
        sent = message(self._number, self._number % _KEYS)
        self._number += 1
        publish, get = publish_command(sent.payload), packed("GET", sent.key)
        token, wire = sent.updated.encode(), self._server.wire
        begun = time.perf_counter()
        wire.exchange(publish)
        while token not in (wire.exchange(get) or b""):
            if time.perf_counter() - begun > _TIMEOUT:
                self._process.require_alive()
                raise MeasurementError(f"message {sent.updated} was not readable within {_TIMEOUT:.0f} s")
        return time.perf_counter() - begun

    def outcome(self) -> Outcome:
        if self.failure:
            raise self.failure
        percentiles = {figure: [_percentile(seconds, of) for seconds in self.starts] for figure, of in _PERCENTILES}
        return Outcome({figure: median(each) for figure, each in percentiles.items()})


def _measure(name: str, session: Session) -> Iterator[Sample]:
    subjects = [_Subject(contestant) for contestant in session.chosen((LOOP, SCRIPT_ALONE, OURS, OURS_BUSY))]
    session.tell(f"{name}: {session.scale.latency_samples:,} samples of each, in turn")
    for _ in range(_STARTS):
        with ExitStack() as stack:
            for subject in subjects:
                guarded(subject, partial(subject.start, stack, session))
            gc.disable()
            stack.callback(gc.enable)
            _take_in_turn(subjects, session.scale.latency_samples // _STARTS)
    for subject in subjects:
        yield attempt(name, subject.contestant.name, session, subject.outcome)


def _take_in_turn(subjects: Sequence[_Subject], samples: int) -> None:
    for first in range(0, samples, _BLOCK):
        for subject in subjects:
            guarded(subject, partial(subject.take, _BLOCK_WARM_UP, counted=False))
            guarded(subject, partial(subject.take, min(_BLOCK, samples - first)))


def _percentile(seconds: list[float], percent: int) -> float:
    """Microseconds."""
    return sorted(seconds)[len(seconds) * percent // 100] * 1e6


LATENCY = Scenario(
    "latency",
    lambda scale: f"publish to readable, one at a time, {scale.latency_samples:,} samples a round",
    (P50, P99),
    (P50, P99),
    (LOOP.name,),
    _measure,
)
