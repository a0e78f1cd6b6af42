"""Throughput against the size of a message: all different, `values` of 100 B to 100 KB, about the same bytes of each.

Small messages show what each one costs, large ones what each byte costs. MB/s counts `values` alone.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.contestants import IOREDIS, LOOP, OURS
from tests.benchmarks.figures import CPU, CUTS, MEGABYTES, MESSAGES, PEAK, RATE, SERVER_CPU, WRONG, Sample

from .bursts import figures_of
from .scenario import Outcome, Scenario, attempt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.session import Scale, Session

_SIZES = {"100 B": 100, "1 KB": 1_000, "10 KB": 10_000, "100 KB": 100_000}


def messages_of(scale: Scale, size: int, *, slow: bool) -> int:
    """As many as the bytes allow; the loop gets a tenth of the most, which tells its rate soon enough."""
    most = scale.messages // 10 if slow else scale.messages
    return min(most, scale.value_bytes // size)


def _measure(name: str, session: Session) -> Iterator[Sample]:
    for label, size in _SIZES.items():
        for contestant in session.chosen((LOOP, IOREDIS, OURS)):
            yield attempt(name, f"{contestant.name}, {label}", session, partial(_burst, contestant, size, session))


def _burst(contestant: Contestant, size: int, session: Session) -> Outcome:
    messages = messages_of(session.scale, size, slow=contestant is LOOP)
    burst = session.burst(contestant, session.workload(messages, messages, size=size), validate=False)
    figures = figures_of(burst)
    if burst.rate is not None:
        figures[MEGABYTES.name] = burst.rate * size / 1e6
    return Outcome(figures, failure=burst.loss)


SIZES = Scenario(
    "sizes",
    lambda scale: (
        f"all different, values of {', '.join(_SIZES)}: at most {scale.messages:,} messages "
        f"and {scale.value_bytes / 1e6:g} MB"
    ),
    (MESSAGES, RATE, MEGABYTES, CPU, SERVER_CPU, PEAK, WRONG, CUTS),
    (),
    (),
    _measure,
)
