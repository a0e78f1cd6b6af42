"""Subscriptions that are killed again and again while messages flow: who comes back how soon, and what is left wrong.

Every kill takes what the server still held for the subscription; nobody can get that. So it counts that the loss is
told, and what the store is like: when all is quiet again (before), and after every key has been published once more.
Who is away when it is time to kill is not killed then.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks.aftermath import once_more
from tests.benchmarks.clocked import clocked_publisher
from tests.benchmarks.contestants import IOREDIS, LOOP, OURS
from tests.benchmarks.failure import MeasurementError
from tests.benchmarks.figures import (
    CUTS,
    GAPS,
    MESSAGES,
    MISSED,
    OUTAGE_MAX,
    OUTAGE_P50,
    SILENT,
    UNDELIVERED,
    WRONG,
    WRONG_BEFORE,
    Sample,
)
from tests.benchmarks.schedule import Schedule
from tests.benchmarks.servers import fresh_server
from tests.benchmarks.state import StoreState
from tests.benchmarks.told import AS_JSON, told, totals
from tests.benchmarks.usage import Usage

from .scenario import Outcome, Scenario, attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.processes import Child
    from tests.benchmarks.servers import Server
    from tests.benchmarks.session import Scale, Session

_KILL_EVERY = 0.2
_LEAD = 0.2
_POLL = 0.001
_TIMEOUT = 30.0


@dataclass
class Storm:
    """When subscriptions were killed (wall clock), and how long each was away (seconds)."""

    kills: list[float] = field(default_factory=list)
    outages: list[float] = field(default_factory=list)

    def rage(self, server: Server, start: float, seconds: float, lives: Callable[[], bool]) -> None:
        """From `start` (monotonic clock) on; until the last one that was killed is back, or lives no more."""
        away_since = None
        number = 1
        while True:
            now = time.monotonic()
            if away_since is not None and server.subscribers():
                self.outages.append(time.monotonic() - away_since)
                away_since = None
            kill_at = start + number * _KILL_EVERY
            if kill_at >= start + seconds:
                if away_since is None or not lives():
                    return
                if now > start + seconds + _TIMEOUT:
                    raise MeasurementError(f"not subscribed again within {_TIMEOUT:.0f} s")
            elif now >= kill_at:
                number += 1
                if away_since is None and server.wire.call("CLIENT", "KILL", "TYPE", "pubsub"):
                    away_since = time.monotonic()
                    self.kills.append(time.time())
            time.sleep(_POLL)


def _measure(name: str, session: Session) -> Iterator[Sample]:
    for contestant in session.chosen((LOOP, IOREDIS, OURS)):
        shown = replace(contestant, options=AS_JSON) if contestant is OURS else contestant
        yield attempt(name, contestant.name, session, partial(_endure, shown, session))


def _endure(contestant: Contestant, session: Session) -> Outcome:
    scale = session.scale
    schedule = Schedule(scale.storm_rate, int(scale.storm_rate * scale.storm_seconds))
    load = session.workload(schedule.messages, scale.few_keys)
    last = once_more(session.workspace / "once-more", scale.few_keys)
    storm = Storm()
    with ExitStack() as stack:
        server = stack.enter_context(fresh_server())
        subject = stack.enter_context(contestant.started(server, session.workspace)).process
        publisher = stack.enter_context(clocked_publisher(server, load.commands, schedule, session.workspace))
        subject.wait_quiet(window=0.2, share=0.05, timeout=5.0)
        usage = Usage(subject)
        start = time.monotonic() + _LEAD
        publisher.start(repr(start))
        storm.rage(server, start, scale.storm_seconds, usage.lives)
        published = publisher.result(usage.look)
        before = StoreState(server, load, verbatim=contestant.verbatim).await_end(usage)
        last.publish(server)
        end = StoreState(server, last.load, verbatim=contestant.verbatim).await_end(usage)
        usage.settle()
        figures = {
            MESSAGES.name: load.messages,
            CUTS.name: len(storm.kills),
            UNDELIVERED.name: load.messages - published["delivered"],
            WRONG_BEFORE.name: before.wrong_keys,
            WRONG.name: end.wrong_keys,
        }
        if storm.outages:
            figures |= {OUTAGE_P50.name: median(storm.outages), OUTAGE_MAX.name: max(storm.outages)}
        if contestant.options == AS_JSON and usage.ended is None:
            figures |= _told(subject, storm, load.messages + last.load.messages)
    # That the loop does not survive is a figure, and no failed measurement: its keys are wrong.
    ours = contestant.options == AS_JSON
    return Outcome(figures, failure=usage.ended if ours else None, note=None if ours else usage.ended)


def _told(subject: Child, storm: Storm, published: int) -> Mapping[str, float]:
    """What the updater itself says of it, at its end too."""
    subject.end(_TIMEOUT)
    entries = subject.log_entries()
    heard, counted = told(entries), totals(entries)
    if counted.get("gaps") != len(heard.gaps):
        raise MeasurementError(f"it told {len(heard.gaps)} gaps and counted {counted.get('gaps')}")
    return {
        GAPS.name: len(heard.gaps),
        SILENT.name: heard.silent_at(storm.kills),
        MISSED.name: published - counted["received"],
    }


def _title(scale: Scale) -> str:
    return (
        f"CLIENT KILL TYPE pubsub every {_KILL_EVERY:g} s for {scale.storm_seconds:g} s, {scale.storm_rate:,}/s over "
        f"{scale.few_keys:,} keys; wrong keys before and after each is published once more"
    )


RECONNECT_STORM = Scenario(
    "reconnect-storm",
    _title,
    (MESSAGES, CUTS, GAPS, SILENT, OUTAGE_P50, OUTAGE_MAX, UNDELIVERED, MISSED, WRONG_BEFORE, WRONG),
    (),
    (),
    _measure,
)
