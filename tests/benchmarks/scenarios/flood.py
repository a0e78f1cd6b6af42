"""Loss: one burst that is longer than what a server keeps for a subscriber, and nobody is held back for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.burst import run_burst
from tests.benchmarks.contestants import LOOP, OURS
from tests.benchmarks.figures import CUTS, PEAK, RATE, UNDELIVERED, WRONG, Sample

from .bursts import figures_of
from .scenario import Outcome, Scenario, attempt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.session import Session

_LOSS = (CUTS, UNDELIVERED, WRONG, PEAK, RATE)


def _flood(name: str, session: Session) -> Iterator[Sample]:
    """What is lost is the figure, so it is not a failed measurement."""
    load = session.workload(session.scale.flood, session.scale.few_keys)

    def measure(contestant: Contestant) -> Outcome:
        burst = run_burst(contestant, load, session.workspace, validate=False, hold=0)
        died_by_itself = burst.ended is not None and not burst.cut_offs
        return Outcome(figures_of(burst), failure=burst.ended if died_by_itself else None, note=burst.loss)

    for contestant in session.chosen((LOOP, OURS)):
        yield attempt(name, contestant.name, session, partial(measure, contestant))


FLOOD = Scenario(
    "flood",
    lambda scale: f"{scale.flood:,} messages over {scale.few_keys:,} keys in one burst, nobody held back for",
    _LOSS,
    (),
    (),
    _flood,
)
