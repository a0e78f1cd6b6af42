"""Throughput and loss: a burst of messages over few keys or all different, with and without validation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.burst import run_burst
from tests.benchmarks.contestants import LOOP, OURS, Contestant
from tests.benchmarks.figures import CPU, CUTS, PEAK, RATE, SERVER_CPU, UNDELIVERED, WRONG, Sample

from .scenario import Outcome, Scenario, attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.burst import Burst
    from tests.benchmarks.session import Scale, Session

PLAIN_LOOP = "loop, plain"
_CAPACITY = (RATE, CPU, SERVER_CPU, PEAK, WRONG, CUTS)
_LOSS = (CUTS, UNDELIVERED, WRONG, PEAK, RATE)


def _plain(keys: Callable[[Scale], int]) -> Callable[[str, Session], Iterator[Sample]]:
    def measure(name: str, session: Session) -> Iterator[Sample]:
        for contestant in (LOOP, OURS):
            yield _capacity(name, contestant.name, session, contestant, keys, validate=False)

    return measure


def _validated(keys: Callable[[Scale], int]) -> Callable[[str, Session], Iterator[Sample]]:
    """The loop without read-back is a contestant too: the same run of this round as in the plain scenario."""

    def measure(name: str, session: Session) -> Iterator[Sample]:
        yield _capacity(name, PLAIN_LOOP, session, LOOP, keys, validate=False)
        for contestant in (LOOP, OURS):
            yield _capacity(name, contestant.name, session, contestant, keys, validate=True)

    return measure


def _capacity(
    name: str,
    shown: str,
    session: Session,
    contestant: Contestant,
    keys: Callable[[Scale], int],
    *,
    validate: bool,
) -> Sample:
    load = session.workload(session.scale.messages, keys(session.scale))

    def measure() -> Outcome:
        burst = session.burst(contestant, load, validate=validate)
        return Outcome(_figures(burst), failure=burst.loss)

    return attempt(name, shown, session, measure)


def _flood(name: str, session: Session) -> Iterator[Sample]:
    """Nobody is spared here. What is lost is the figure, so it is not a failed measurement."""
    load = session.workload(session.scale.flood, session.scale.few_keys)

    def measure(contestant: Contestant) -> Outcome:
        burst = run_burst(contestant, load, session.workspace, validate=False, hold=0)
        died_by_itself = burst.ended is not None and not burst.cut_offs
        return Outcome(_figures(burst), failure=burst.ended if died_by_itself else None, note=burst.loss)

    for contestant in (LOOP, OURS):
        yield attempt(name, contestant.name, session, partial(measure, contestant))


def _figures(burst: Burst) -> dict[str, float]:
    figures = {
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


def _few(scale: Scale) -> int:
    return scale.few_keys


def _different(scale: Scale) -> int:
    return scale.messages


def _title(keys: Callable[[Scale], int], suffix: str = "") -> Callable[[Scale], str]:
    return lambda scale: f"{scale.messages:,} messages over {keys(scale):,} keys{suffix}"


FEW_KEYS = Scenario("few-keys", _title(_few), _CAPACITY, (RATE, CPU), (LOOP.name,), _plain(_few))
ALL_DIFFERENT = Scenario("all-different", _title(_different), _CAPACITY, (RATE, CPU), (LOOP.name,), _plain(_different))
FEW_KEYS_VALIDATE = Scenario(
    "few-keys-validate",
    _title(_few, ", each record read back"),
    _CAPACITY,
    (RATE, CPU),
    (LOOP.name, PLAIN_LOOP),
    _validated(_few),
)
ALL_DIFFERENT_VALIDATE = Scenario(
    "all-different-validate",
    _title(_different, ", each record read back"),
    _CAPACITY,
    (RATE, CPU),
    (LOOP.name, PLAIN_LOOP),
    _validated(_different),
)
FLOOD = Scenario(
    "flood",
    lambda scale: f"{scale.flood:,} messages over {scale.few_keys:,} keys in one burst, nobody held back for",
    _LOSS,
    (),
    (),
    _flood,
)
