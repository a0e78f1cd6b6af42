"""What it costs to be watched: a burst with probes and metrics, which are asked for, against one without any.

Watched is: probes each five seconds, the default, and `http_port`; `/metrics`, `/readyz` and `/livez` are asked for
at once and then each second. Bare is: `probe_interval` 0, and no `http_port`. The difference is smaller than the noise
of one burst, so in each round there are several of each, in turn.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.burst import run_burst
from tests.benchmarks.contestants import OURS
from tests.benchmarks.figures import CPU, CUTS, MESSAGES, PEAK, RATE, SCRAPES, SERVER_CPU, WRONG, Sample
from tests.benchmarks.observing import Scraper, free_port

from .bursts import figures_of
from .scenario import Outcome, Scenario, in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.session import Session

WATCHED = f"{OURS.name}, watched"
BARE = f"{OURS.name}, bare"


def _measure(name: str, session: Session) -> Iterator[Sample]:
    ways = {WATCHED: _watched, BARE: _bare}
    for _ in session.chosen((OURS,)):
        yield from in_turn(name, session, {shown: partial(way, session) for shown, way in ways.items()})


def _bare(session: Session) -> Outcome:
    return _burst(session, {"probe_interval": "0"})


def _watched(session: Session) -> Outcome:
    port = free_port()
    scraper = Scraper(port)
    outcome = _burst(session, {"http_port": str(port)}, scraper)
    unseen = None if scraper.scrapes else "nothing was scraped"
    failure = outcome.failure or (f"a scrape failed: {scraper.error}" if scraper.error else unseen)
    return Outcome({**outcome.figures, SCRAPES.name: scraper.scrapes}, failure=failure)


def _burst(session: Session, options: dict[str, str], scraper: Scraper | None = None) -> Outcome:
    contestant = replace(OURS, options=options)
    load = session.workload(session.scale.flood, session.scale.few_keys)
    burst = run_burst(contestant, load, session.workspace, validate=False, hold=0, meanwhile=scraper or nullcontext())
    return Outcome(figures_of(burst), failure=burst.loss)


OBSERVED = Scenario(
    "observed",
    lambda scale: f"{scale.flood:,} messages over {scale.few_keys:,} keys, with probes and scraped metrics, and bare",
    (MESSAGES, RATE, CPU, SERVER_CPU, PEAK, SCRAPES, WRONG, CUTS),
    (),
    (),
    _measure,
)
