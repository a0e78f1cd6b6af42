"""A store whose every answer comes late: messages come as ever, and each commit takes that much longer.

Two runs, each on a fresh server. At a steady rate over few keys: from when a message was due until it can be read, at
the server itself. In one burst of all different keys: how soon all is right, and how many wait for the store meanwhile,
which is asked for at `/metrics`. The loop, which waits for each answer, can hold no such rate; of the burst it gets so
much as takes it some seconds, as fast as it takes it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.burst import run_burst
from tests.benchmarks.contestants import LOOP, OURS
from tests.benchmarks.figures import (
    CPU,
    CUTS,
    LATE_MAX_US,
    LATE_P50_US,
    LATE_P99_US,
    MESSAGES,
    PEAK,
    PENDING,
    RATE,
    WRONG,
    Sample,
)
from tests.benchmarks.observing import Repeated, free_port, metrics
from tests.benchmarks.schedule import Schedule

from .bursts import figures_of
from .scenario import Outcome, Scenario, attempt
from .steady import build, held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.session import Scale, Session

_DELAYS = (0.005, 0.05)
_SAMPLES = 200  # a second
_WARM_UP = 1.0  # seconds that are not sampled; see `steady`
_LOOP_SECONDS = 3.0
_LOOK_EVERY = 0.05


def _shown(contestant: Contestant, delay: float) -> str:
    return f"{contestant.name}, {delay * 1000:g} ms"


PAIRS = tuple((f"{delay * 1000:g} ms", _shown(OURS, delay), _shown(LOOP, delay)) for delay in _DELAYS)
"""The delay, and what we and the loop are called in its rows."""


class _PendingPeak(Repeated):
    """Asks the updater how many of its messages are pending."""

    def __init__(self, port: int) -> None:
        super().__init__(_LOOK_EVERY)
        self.peak: float | None = None  # None: it was never told
        self._port = port

    def once(self) -> None:
        try:
            pending = metrics(self._port)["pending_keys"]
        except OSError:
            return  # the peak of the others is what there is
        self.peak = max(self.peak or 0.0, pending)


def _measure(name: str, session: Session) -> Iterator[Sample]:
    for delay in _DELAYS:
        for contestant, measure in ((LOOP, _loop), (OURS, _ours)):
            if session.chosen((contestant,)):
                slowed = partial(measure, replace(contestant, store_delay=delay), session)
                yield attempt(name, _shown(contestant, delay), session, slowed)


def _loop(slowed: Contestant, session: Session) -> Outcome:
    messages = int(_LOOP_SECONDS / slowed.store_delay)
    load = session.workload(messages, messages)
    burst = run_burst(slowed, load, session.workspace, validate=False, hold=slowed.hold_bytes)
    return Outcome(figures_of(burst), failure=burst.loss)


def _ours(slowed: Contestant, session: Session) -> Outcome:
    scale = session.scale
    schedule = Schedule(scale.slow_rate, int(scale.slow_rate * (_WARM_UP + scale.slow_seconds)))
    load = session.built(f"slow-{scale.slow_rate}", partial(build, schedule=schedule, samples_a_second=_SAMPLES))
    steady = held(slowed, load, session)
    port = free_port()
    pending = _PendingPeak(port)
    burst = run_burst(
        replace(slowed, options={"http_port": str(port)}),
        session.workload(scale.messages, scale.messages),
        session.workspace,
        validate=False,
        hold=slowed.hold_bytes,
        meanwhile=pending,
    )
    of_burst = figures_of(burst)
    figures = {**steady.figures, **of_burst}
    for figure in (CUTS, WRONG):
        figures[figure.name] = steady.figures.get(figure.name, 0.0) + of_burst[figure.name]
    figures[PEAK.name] = max(steady.figures.get(PEAK.name, 0.0), of_burst[PEAK.name])
    if pending.peak is not None:
        figures[PENDING.name] = pending.peak
    troubles = (steady.failure and f"steady: {steady.failure}", burst.loss and f"burst: {burst.loss}")
    return Outcome(figures, failure="; ".join(text for text in troubles if text) or None, note=steady.note)


def _title(scale: Scale) -> str:
    return (
        f"each answer of the store late by so much: p50 to max at {scale.slow_rate:,}/s over 1,000 keys for "
        f"{scale.slow_seconds:g} s; rate and CPU of a burst of {scale.messages:,} all different"
    )


SLOW_STORE = Scenario(
    "slow-store",
    _title,
    (LATE_P50_US, LATE_P99_US, LATE_MAX_US, MESSAGES, RATE, CPU, PENDING, PEAK, WRONG, CUTS),
    (),
    (),
    _measure,
)
