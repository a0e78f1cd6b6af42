"""How near to the most that there can be: all features on, against a subscriber that takes messages and drops them.

What the second one lets the publisher be rid of is the most that anybody can store. A burst is over before it has
begun on a fast machine, so there are several long ones of each, in turn.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.burst import run_burst, run_drain
from tests.benchmarks.contestants import CEILING, OURS_FULL
from tests.benchmarks.figures import CPU, CUTS, MESSAGES, PEAK, RATE, SERVER_CPU, WRONG, Sample

from .bursts import figures_of
from .scenario import Outcome, Scenario, in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.session import Session
    from tests.benchmarks.workload import Workload


def _measure(name: str, session: Session) -> Iterator[Sample]:
    load = session.workload(session.scale.flood, session.scale.few_keys)
    ways = {OURS_FULL: _stored, CEILING: _dropped}
    yield from in_turn(name, session, {one.name: partial(ways[one], session, load) for one in session.chosen(ways)})


def _stored(session: Session, load: Workload) -> Outcome:
    burst = run_burst(OURS_FULL, load, session.workspace, validate=False, hold=0)
    return Outcome(figures_of(burst), failure=burst.loss)


def _dropped(session: Session, load: Workload) -> Outcome:
    seconds = run_drain(CEILING, load, session.workspace)
    return Outcome({MESSAGES.name: load.messages, RATE.name: load.messages / seconds})


SHARE = Scenario(
    "share",
    lambda scale: f"{scale.flood:,} messages over {scale.few_keys:,} keys, everything on, and dropped",
    (MESSAGES, RATE, CPU, SERVER_CPU, PEAK, WRONG, CUTS),
    (),
    (),
    _measure,
)
