"""The API server with many readers: how late each of them has what was published, and what a reader costs.

The chain is whole: a publisher, Redis, the updater, the API server, and the readers in one process, on this machine.
Updates are published by the clock, whatever is late; so a delay anywhere counts for all updates that it holds up.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.contestants import OURS
from tests.benchmarks.failure import MeasurementError
from tests.benchmarks.figures import BACKWARDS, CPU_SHARE, LATE_MAX, LATE_P50, LATE_P99, PER_READER, RSS, Sample
from tests.benchmarks.observing import free_port
from tests.benchmarks.percentiles import percentile
from tests.benchmarks.processes import Child, running
from tests.benchmarks.servers import Server, fresh_server
from tests.benchmarks.workload import message, publish_command

from .scenario import Outcome, Scenario, attempt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.session import Session

_ROOT = Path(__file__).resolve().parents[3]
_KEYS = 20
_RATE = 100.0
_TIMEOUT = 60.0
_SETTLING = 2.0


@contextmanager
def _chain(session: Session) -> Iterator[tuple[Server, Child, int]]:
    """Redis with a record of every key, the updater, and the API server with its port."""
    with fresh_server() as server, OURS.started(server, session.workspace):
        for number in range(_KEYS):
            server.wire.exchange(publish_command(message(number, number).payload))
        home = Path(tempfile.mkdtemp(prefix="serve-", dir=session.workspace))
        port = free_port()
        env = os.environ | {
            "PYTHONPATH": str(_ROOT),
            "KV_UPDATER_REDIS_URL": server.url,
            "KV_UPDATER_HTTP_PORT": str(port),
        }
        with running((*OURS.command[:-1], "serve"), log=home / "log", cwd=home, env=env) as api:
            _await_ready(api, port)
            yield server, api, port


@contextmanager
def _readers(session: Session, port: int, count: int, stalled: int) -> Iterator[Child]:
    """Their process, from when each of them has every record."""
    command = (sys.executable, "-m", "tests.benchmarks.readers", *map(str, (port, count, stalled, _KEYS)))
    log = session.workspace / f"readers-{count}-{session.round}"
    with running(command, log=log, cwd=_ROOT, piped=True) as readers:
        if readers.stdout.readline() != b"ready\n":
            readers.wait_end()
            readers.require_alive()
        yield readers


def _publish(server: Server, readers: Child, count: int) -> dict[str, Any]:
    """So many updates by the clock; what the readers made of them."""
    first = _KEYS
    start = time.monotonic() + 0.1 - first / _RATE
    readers.stdin.write(f"follow {start} {_RATE} {first + count - 1}\n".encode())
    readers.stdin.flush()
    for number in range(first, first + count):
        time.sleep(max(0.0, start + number / _RATE - time.monotonic()))
        server.wire.exchange(publish_command(message(number, number % _KEYS).payload))
    answer = readers.stdout.readline()
    if not answer:
        readers.wait_end()
        readers.require_alive()
    found: dict[str, Any] = json.loads(answer)
    return found


def _follow(name: str, session: Session) -> Iterator[Sample]:
    def measure() -> Outcome:
        scale = session.scale
        with _chain(session) as (server, api, port), _readers(session, port, scale.readers, scale.stalled) as readers:
            time.sleep(_SETTLING)
            begun, cpu = time.monotonic(), api.cpu_seconds()
            found = _publish(server, readers, int(scale.fan_out_seconds * _RATE))
            used, elapsed = api.cpu_seconds() - cpu, time.monotonic() - begun
            late = [(int(ms), count) for ms, count in found["late"].items()]
            return Outcome(
                {
                    LATE_P50.name: percentile(late, 50),
                    LATE_P99.name: percentile(late, 99),
                    LATE_MAX.name: late[-1][0],
                    BACKWARDS.name: found["backwards"],
                    CPU_SHARE.name: used / elapsed * 100,
                    RSS.name: api.peak_memory_mib(),
                }
            )

    yield attempt(name, OURS.name, session, measure)


def _rest(name: str, session: Session) -> Iterator[Sample]:
    def measure() -> Outcome:
        scale = session.scale
        with _chain(session) as (server, api, port):
            before = api.memory_mib()
            with _readers(session, port, scale.idle_readers, 0) as readers:
                time.sleep(_SETTLING)
                begun, cpu = time.monotonic(), api.cpu_seconds()
                time.sleep(scale.idle_seconds)
                used, elapsed = api.cpu_seconds() - cpu, time.monotonic() - begun
                memory = api.memory_mib()
                # Each of them is still there: it gets this one.
                late = [(int(ms), count) for ms, count in _publish(server, readers, 1)["late"].items()]
                return Outcome(
                    {
                        PER_READER.name: (memory - before) * 1024 / scale.idle_readers,
                        CPU_SHARE.name: used / elapsed * 100,
                        RSS.name: memory,
                        LATE_MAX.name: late[-1][0],
                    }
                )

    yield attempt(name, OURS.name, session, measure)


def _await_ready(api: Child, port: int) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while True:
        api.require_alive()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=_TIMEOUT):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise MeasurementError(f"the API server is not ready: {error}") from None
            time.sleep(0.05)


FAN_OUT = Scenario(
    "fan-out",
    lambda scale: (
        f"{scale.readers:,} readers of /events, {scale.stalled} of them stalled; "
        f"{_RATE:g} updates/s over {_KEYS} keys, {scale.fan_out_seconds:g} s"
    ),
    (LATE_P50, LATE_P99, LATE_MAX, BACKWARDS, CPU_SHARE, RSS),
    (),
    (),
    _follow,
)
FAN_OUT_IDLE = Scenario(
    "fan-out-idle",
    lambda scale: (
        f"{scale.idle_readers:,} readers of /events, {scale.idle_seconds:g} s without a change; then one update"
    ),
    (PER_READER, CPU_SHARE, RSS, LATE_MAX),
    (),
    (),
    _rest,
)
