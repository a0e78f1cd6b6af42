"""What a message costs against the number of keys, where next to nothing is conflated.

First every key is written once, at a steady rate. Then the measured messages come at a steady rate too, each key in
turn and in a random order that repeats: where there are more keys than messages, each message has a key of its own. So
two messages of a key are far apart, and nearly each one is committed; the updater's own account says whether it was.
"""

from __future__ import annotations

import random
from array import array
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.clocked import clocked_publisher, started, trouble_of_publisher
from tests.benchmarks.contestants import OURS
from tests.benchmarks.failure import MeasurementError
from tests.benchmarks.figures import CONFLATED, CPU, CUTS, RSS, SERVER_CPU, WRONG, Sample
from tests.benchmarks.observing import free_port, metrics
from tests.benchmarks.schedule import Schedule
from tests.benchmarks.servers import fresh_server
from tests.benchmarks.workload import is_right, key_of, message, publish_command

from .scenario import Outcome, Scenario, attempt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.benchmarks.contestants.replicas import Replicas
    from tests.benchmarks.processes import Child
    from tests.benchmarks.publishing import Prepared
    from tests.benchmarks.servers import Server
    from tests.benchmarks.session import Scale, Session

_COUNTS = (1_000, 10_000, 100_000, 1_000_000)
_FILL_RATE = 50_000
_RATE = 20_000
_MOST_CONFLATED = 2.0  # per cent
_READ_AT_ONCE = 10_000
_TIMEOUT = 120.0
_SEED = 1


@dataclass(frozen=True)
class Turns:
    """The measured messages, and the number of the last one that each key got."""

    commands: Path
    last: array[int]  # by key


def order(keys: int, messages: int) -> Iterator[int]:
    """The key of each message: all in a random order, again and again; no more of them than there are messages."""
    drawn = random.Random(_SEED).sample(range(keys), min(keys, messages))
    return (drawn[number % len(drawn)] for number in range(messages))


def build_fill(path: Path, keys: int) -> Path:
    """Number i is that of key i: the first so many fill so many keys."""
    with path.open("wb") as file:
        for number in range(keys):
            file.write(publish_command(message(number, number).payload))
    return path


def build_turns(path: Path, keys: int, messages: int, first: int) -> Turns:
    """`first`: the number of the first message."""
    last = array("q", range(keys))
    with path.open("wb") as file:
        for number, key in enumerate(order(keys, messages), first):
            last[key] = number
            file.write(publish_command(message(number, key).payload))
    return Turns(path, last)


def _measure(name: str, session: Session) -> Iterator[Sample]:
    for contestant in session.chosen((OURS,)):
        for keys in _counts(session.scale):
            yield attempt(name, f"{contestant.name}, {keys:,} keys", session, partial(_cost, keys, session))


def _counts(scale: Scale) -> list[int]:
    return [count for count in _COUNTS if count <= scale.largest_keys]


def _cost(keys: int, session: Session) -> Outcome:
    scale, workspace = session.scale, session.workspace
    filling, turns = Schedule(_FILL_RATE, keys), Schedule(_RATE, int(_RATE * scale.keys_seconds))
    fill = session.built("keys-fill", partial(build_fill, keys=scale.largest_keys))
    load = session.built(
        f"keys-{keys}", partial(build_turns, keys=keys, messages=turns.messages, first=scale.largest_keys)
    )
    port = free_port()
    with ExitStack() as stack:
        server = stack.enter_context(fresh_server())
        contestant = replace(OURS, options={"http_port": str(port)})
        subject = stack.enter_context(contestant.started(server, workspace)).process
        with clocked_publisher(server, fill, filling, workspace) as publisher:
            _publish(publisher, subject)
        publisher = stack.enter_context(clocked_publisher(server, load.commands, turns, workspace))
        conflated = metrics(port)["messages_conflated_total"]
        cpu, server_cpu = subject.cpu_seconds(), server.cpu_seconds()
        published = _publish(publisher, subject)
        cpu, server_cpu = subject.cpu_seconds() - cpu, server.cpu_seconds() - server_cpu
        share = (metrics(port)["messages_conflated_total"] - conflated) / turns.messages * 100
        wrong, cuts = _wrong_keys(server, load), server.output_buffer_cuts()
        figures = {
            CPU.name: cpu / turns.messages * 1e6,
            SERVER_CPU.name: server_cpu / turns.messages * 1e6,
            CONFLATED.name: share,
            RSS.name: subject.memory_mib(),
            WRONG.name: float(wrong),
            CUTS.name: float(cuts),
        }
        trouble = [
            f"cut off by the server {cuts} x" if cuts else None,
            trouble_of_publisher(published, turns),
            f"{wrong:,} keys wrong at the end" if wrong else None,
        ]
    too_many = f"{share:.1f} % were conflated: their cost is not that of a commit"
    return Outcome(
        figures,
        failure="; ".join(text for text in trouble if text) or None,
        note=too_many if share > _MOST_CONFLATED else None,
    )


def _publish(publisher: Prepared, subject: Child | Replicas) -> dict[str, object]:
    """Everything, until the updater rests."""
    started(publisher)
    published = publisher.result(subject.require_alive)
    if not subject.wait_quiet(window=0.5, share=0.05, timeout=_TIMEOUT):
        raise MeasurementError(f"not at rest {_TIMEOUT:.0f} s after the last message")
    return published


def _wrong_keys(server: Server, load: Turns) -> int:
    """Of all keys, in pieces: the store is at rest. A key that should not be there counts as a wrong one."""
    wrong = 0
    for first in range(0, len(load.last), _READ_AT_ONCE):
        keys = range(first, min(first + _READ_AT_ONCE, len(load.last)))
        stored = server.wire.call("MGET", *map(key_of, keys))
        for key, record in zip(keys, stored, strict=True):
            wrong += not is_right(message(load.last[key], key).record, record, verbatim=True)
    unexpected: int = server.wire.call("DBSIZE") - len(load.last)
    return wrong + max(0, unexpected)


KEYS = Scenario(
    "keys",
    lambda scale: f"{_RATE:,} messages/s for {scale.keys_seconds:g} s, each committed, to keys that are there",
    (CPU, SERVER_CPU, CONFLATED, RSS, WRONG, CUTS),
    (),
    (),
    _measure,
)
