"""Throughput against the number of channels: the same burst, each key on one of them, on one connection."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.contestants import OURS
from tests.benchmarks.figures import CPU, CUTS, MESSAGES, PEAK, RATE, SERVER_CPU, WRONG, Sample
from tests.benchmarks.servers import channel_names

from .bursts import figures_of
from .scenario import Outcome, Scenario, attempt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.session import Session

_COUNTS = (1, 16, 256, 1_024)


def _measure(name: str, session: Session) -> Iterator[Sample]:
    for contestant in session.chosen((OURS,)):
        for count in _COUNTS:
            listening = replace(contestant, options={**contestant.options, "channel": ",".join(channel_names(count))})
            shown = f"{contestant.name}, {count:,} channels"
            yield attempt(name, shown, session, partial(_burst, listening, count, session))


def _burst(contestant: Contestant, channels: int, session: Session) -> Outcome:
    scale = session.scale
    load = session.workload(scale.messages, scale.many_keys, channels=channels)
    burst = session.burst(contestant, load, validate=False)
    return Outcome(figures_of(burst), failure=burst.loss)


CHANNELS = Scenario(
    "channels",
    lambda scale: f"{scale.messages:,} messages over {scale.many_keys:,} keys, spread over the channels by key",
    (MESSAGES, RATE, CPU, SERVER_CPU, PEAK, WRONG, CUTS),
    (),
    (),
    _measure,
)
