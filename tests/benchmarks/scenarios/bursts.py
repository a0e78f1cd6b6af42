"""Throughput: a burst of messages over few keys, many, or all different, with and without validation.

The slowest get a tenth of the messages: their rate is soon told, and the table says how many each one got. Drain only
stores nothing; its rate is that at which the publisher gets rid of its messages, which is the most that there can be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.burst import run_drain
from tests.benchmarks.contestants import (
    ASYNCIO,
    CEILING,
    FASTSTREAM,
    IOREDIS,
    LOOP,
    NODE_REDIS,
    OURS,
    OURS_EXPIRY,
    OURS_FULL,
    OURS_STREAM,
    OURS_TWO,
    OURS_VALIDATE,
    PIPELINED,
)
from tests.benchmarks.figures import CPU, CUTS, MESSAGES, PEAK, RATE, SERVER_CPU, UNDELIVERED, WRONG, Sample

from .scenario import Outcome, Scenario, attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.benchmarks.burst import Burst
    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.session import Scale, Session
    from tests.benchmarks.workload import Workload

PLAIN_LOOP = "loop, plain"
_CAPACITY = (MESSAGES, RATE, CPU, SERVER_CPU, PEAK, WRONG, CUTS)
_SLOWEST = frozenset({ASYNCIO, FASTSTREAM})
_PEERS = (LOOP, ASYNCIO, PIPELINED, FASTSTREAM, IOREDIS, NODE_REDIS)
_MODES = (OURS, OURS_VALIDATE, OURS_EXPIRY, OURS_FULL, OURS_TWO)


@dataclass(frozen=True)
class _Spread:
    """Over how many keys so many messages go, and what the title says of it."""

    keys: Callable[[Scale, int], int]

    def load(self, session: Session, contestant: Contestant) -> Workload:
        messages = session.scale.messages // (10 if contestant in _SLOWEST else 1)
        return session.workload(messages, self.keys(session.scale, messages), contestant.transport)

    def title(self, suffix: str = "") -> Callable[[Scale], str]:
        return lambda scale: f"{scale.messages:,} messages over {self.keys(scale, scale.messages):,} keys{suffix}"


def _plain(spread: _Spread, contestants: Sequence[Contestant]) -> Callable[[str, Session], Iterator[Sample]]:
    def measure(name: str, session: Session) -> Iterator[Sample]:
        for contestant in session.chosen(contestants):
            yield _capacity(name, contestant.name, session, contestant, spread, validate=False)

    return measure


def _validated(spread: _Spread) -> Callable[[str, Session], Iterator[Sample]]:
    """The loop without read-back is a contestant too: the same run of this round as in the plain scenario."""

    def measure(name: str, session: Session) -> Iterator[Sample]:
        for contestant in session.chosen((LOOP,)):
            yield _capacity(name, PLAIN_LOOP, session, contestant, spread, validate=False)
        for contestant in session.chosen((LOOP, OURS)):
            yield _capacity(name, contestant.name, session, contestant, spread, validate=True)

    return measure


def _capacity(
    name: str, shown: str, session: Session, contestant: Contestant, spread: _Spread, *, validate: bool
) -> Sample:
    load = spread.load(session, contestant)

    def measure() -> Outcome:
        burst = session.burst(contestant, load, validate=validate)
        return Outcome(figures_of(burst), failure=burst.loss)

    def drain() -> Outcome:
        seconds = run_drain(contestant, load, session.workspace)
        figures = {MESSAGES.name: load.messages, RATE.name: load.messages / seconds, "publish_seconds": seconds}
        return Outcome(figures)

    return attempt(name, shown, session, drain if contestant is CEILING else measure)


def figures_of(burst: Burst) -> dict[str, float]:
    """Without a rate after any loss."""
    figures = {
        MESSAGES.name: float(burst.messages),
        CPU.name: burst.cpu_seconds / burst.messages * 1e6,
        SERVER_CPU.name: burst.server_cpu_seconds / burst.messages * 1e6,
        PEAK.name: burst.peak_mib,
        CUTS.name: float(burst.cut_offs),
        WRONG.name: float(burst.wrong_keys),
        UNDELIVERED.name: float(burst.undelivered),
        "publish_seconds": burst.publish_seconds,
        "buffered_bytes": float(burst.buffered_bytes),
    }
    if burst.rate is not None:
        figures[RATE.name] = burst.rate
    return figures


_FEW = _Spread(lambda scale, _: scale.few_keys)
_MANY = _Spread(lambda scale, _: scale.many_keys)
_DIFFERENT = _Spread(lambda _, messages: messages)
_EVERYBODY = (*_PEERS, *_MODES, CEILING)
_RATIOS = (RATE, CPU)
_BASELINES = (LOOP.name, PIPELINED.name, IOREDIS.name, NODE_REDIS.name)
_PAIR = (LOOP.name, PLAIN_LOOP)
_READ_BACK = ", each record read back"

FEW_KEYS = Scenario("few-keys", _FEW.title(), _CAPACITY, _RATIOS, _BASELINES, _plain(_FEW, _EVERYBODY))
MANY_KEYS = Scenario("many-keys", _MANY.title(), _CAPACITY, _RATIOS, _BASELINES, _plain(_MANY, _EVERYBODY))
ALL_DIFFERENT = Scenario(
    "all-different", _DIFFERENT.title(), _CAPACITY, _RATIOS, _BASELINES, _plain(_DIFFERENT, _EVERYBODY)
)
FEW_KEYS_VALIDATE = Scenario("few-keys-validate", _FEW.title(_READ_BACK), _CAPACITY, _RATIOS, _PAIR, _validated(_FEW))
ALL_DIFFERENT_VALIDATE = Scenario(
    "all-different-validate", _DIFFERENT.title(_READ_BACK), _CAPACITY, _RATIOS, _PAIR, _validated(_DIFFERENT)
)
STREAM = Scenario(
    "stream",
    _FEW.title(", as entries of a stream, each acknowledged, and on pub/sub"),
    _CAPACITY,
    _RATIOS,
    (),
    _plain(_FEW, (OURS, OURS_STREAM)),
)
