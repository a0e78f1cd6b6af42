"""What a message costs against the number of keys, where next to nothing is conflated.

First every key is written once, at a steady rate. Then the measured messages come at a steady rate too, each key in
turn and in a random order that repeats: where there are more keys than messages, each message has a key of its own. So
two messages of a key are far apart, and nearly each one is committed; the updater's own account says whether it was.
An updater for each number of keys runs, and they are measured in windows that take turns, so that noise falls on all; a
figure is the median of its windows.
"""

from __future__ import annotations

import random
from array import array
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks.clocked import clocked_publisher, started, trouble_of_publisher
from tests.benchmarks.contestants import OURS
from tests.benchmarks.failure import MeasurementError
from tests.benchmarks.figures import CONFLATED, CPU, CUTS, RSS, SERVER_CPU, WRONG, Sample
from tests.benchmarks.observing import free_port, metrics
from tests.benchmarks.schedule import Schedule
from tests.benchmarks.servers import fresh_server
from tests.benchmarks.workload import is_right, key_of, message, publish_command

from .scenario import Outcome, Scenario, attempt, guarded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.contestants.replicas import Replicas
    from tests.benchmarks.processes import Child
    from tests.benchmarks.servers import Server
    from tests.benchmarks.session import Scale, Session

_COUNTS = (1_000, 10_000, 100_000, 1_000_000)
_FILL_RATE = 50_000
_RATE = 20_000
_WINDOWS = 4
_MOST_CONFLATED = 2.0  # per cent
_READ_AT_ONCE = 10_000
_TIMEOUT = 120.0
_SEED = 1


@dataclass(frozen=True)
class Turns:
    """The measured messages, a file for each window, and the number of the last one that each key got."""

    commands: Sequence[Path]
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
    """`messages`: those of a window; `first`: the number of the first of them all."""
    last = array("q", range(keys))
    numbered = enumerate(order(keys, messages * _WINDOWS), first)
    commands = [path.with_name(f"{path.name}-{window}") for window in range(_WINDOWS)]
    for each in commands:
        with each.open("wb") as file:
            for number, key in islice(numbered, messages):
                last[key] = number
                file.write(publish_command(message(number, key).payload))
    return Turns(commands, last)


class _Subject:
    """An updater whose store has so many keys. After its first error it is not measured again."""

    def __init__(self, contestant: Contestant, keys: int, session: Session) -> None:
        scale = session.scale
        self.name = f"{contestant.name}, {keys:,} keys"
        self.failure: Exception | None = None
        self._contestant, self._keys, self._session = contestant, keys, session
        self._window = Schedule(_RATE, int(_RATE * scale.keys_seconds / _WINDOWS))
        turns = partial(build_turns, keys=keys, messages=self._window.messages, first=scale.largest_keys)
        self._turns = session.built(f"keys-{keys}", turns)
        self._cpu: list[float] = []
        self._server_cpu: list[float] = []
        self._server: Server
        self._process: Child | Replicas

    def start(self, stack: ExitStack) -> None:
        """Fill its store."""
        most = self._session.scale.largest_keys
        fill = self._session.built("keys-fill", partial(build_fill, keys=most))
        self._port = free_port()
        self._server = stack.enter_context(fresh_server())
        contestant = replace(self._contestant, options={"http_port": str(self._port)})
        self._process = stack.enter_context(contestant.started(self._server, self._session.workspace)).process
        self._publish(fill, Schedule(_FILL_RATE, self._keys))
        self._conflated = self._messages_conflated()

    def take(self, window: int) -> None:
        cpu, server_cpu = self._process.cpu_seconds(), self._server.cpu_seconds()
        published = self._publish(self._turns.commands[window], self._window)
        self._cpu.append(self._process.cpu_seconds() - cpu)
        self._server_cpu.append(self._server.cpu_seconds() - server_cpu)
        if trouble := trouble_of_publisher(published, self._window):
            raise MeasurementError(trouble)

    def outcome(self) -> Outcome:
        """Once all windows are over."""
        if self.failure:
            raise self.failure
        messages = self._window.messages
        share = (self._messages_conflated() - self._conflated) / (messages * _WINDOWS) * 100
        wrong, cuts = _wrong_keys(self._server, self._turns), self._server.output_buffer_cuts()
        figures = {
            CPU.name: median(self._cpu) / messages * 1e6,
            SERVER_CPU.name: median(self._server_cpu) / messages * 1e6,
            CONFLATED.name: share,
            RSS.name: self._process.memory_mib(),
            WRONG.name: float(wrong),
            CUTS.name: float(cuts),
        }
        trouble = [
            f"cut off by the server {cuts} x" if cuts else None,
            f"{wrong:,} keys wrong at the end" if wrong else None,
        ]
        too_many = f"{share:.1f} % were conflated: their cost is not that of a commit"
        return Outcome(
            figures,
            failure="; ".join(text for text in trouble if text) or None,
            note=too_many if share > _MOST_CONFLATED else None,
        )

    def _publish(self, commands: Path, schedule: Schedule) -> dict[str, object]:
        """Everything, until the updater rests."""
        with clocked_publisher(self._server, commands, schedule, self._session.workspace) as publisher:
            started(publisher)
            published = publisher.result(self._process.require_alive)
        if not self._process.wait_quiet(window=0.5, share=0.05, timeout=_TIMEOUT):
            raise MeasurementError(f"not at rest {_TIMEOUT:.0f} s after the last message")
        return published

    def _messages_conflated(self) -> float:
        return metrics(self._port)["messages_conflated_total"]


def _measure(name: str, session: Session) -> Iterator[Sample]:
    for contestant in session.chosen((OURS,)):
        subjects = [_Subject(contestant, keys, session) for keys in _counts(session.scale)]
        session.tell(f"{name}: {_WINDOWS} windows of each, in turn")
        with ExitStack() as stack:
            for subject in subjects:
                guarded(subject, partial(subject.start, stack))
            for window in range(_WINDOWS):
                # To and fro: what changes steadily meanwhile falls on all.
                for subject in subjects if window % 2 == 0 else reversed(subjects):
                    guarded(subject, partial(subject.take, window))
            for subject in subjects:
                yield attempt(name, subject.name, session, subject.outcome)


def _counts(scale: Scale) -> list[int]:
    return [count for count in _COUNTS if count <= scale.largest_keys]


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
    lambda scale: (
        f"{_RATE:,} messages/s, {_WINDOWS} x {scale.keys_seconds / _WINDOWS:g} s, each committed, to keys that exist"
    ),
    (CPU, SERVER_CPU, CONFLATED, RSS, WRONG, CUTS),
    (),
    (),
    _measure,
)
