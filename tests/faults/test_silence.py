"""With the settings as they come: how soon a server that is silent, or no master any more, is noticed and found again.

A connection that is up proves nothing: TCP holds, and a demoted server answers PING. (What is noticed at all is shown
with shorter settings in test_liveness.py, in seconds.)
"""

import time
from collections.abc import Callable

import pytest

from entrypoints.settings_model import Settings
from tests.faults.kinds import one_kind
from tests.faults.trial import Trial, Try
from tests.faults.wire import wire_to
from tests.proxy import TcpProxy
from tests.servers import Server
from tests.service import until

pytestmark = pytest.mark.long

FREEZE = 30.0  # seconds
# Of a silence that begins right after a probe; the last second is the machine's.
NOTICED = Settings().probe_interval + Settings().probe_timeout + 1
READY_AGAIN = 5.0  # seconds


def seconds_until(condition: Callable[[], object]) -> float:
    began = time.monotonic()
    until(condition)
    return time.monotonic() - began


def is_ready(trial: Trial) -> bool:
    """As the log says."""
    told = [entry["message"] for entry in trial.service.entries]
    return [message for message in told if message in ("Ready", "Not ready")][-1:] == ["Ready"]


def becomes_ready_and_settles(trial: Trial) -> None:
    until(lambda: is_ready(trial), lambda: trial.service.raw_log)
    trial.settles()


@one_kind
@pytest.mark.parametrize("elsewhere", [False, True], ids=["with the records", "records elsewhere"])
def test_a_server_that_is_frozen_is_noticed_and_found_again(
    fault: Try, own: Server, store: Server, *, elsewhere: bool
) -> None:
    name = f"SIGSTOP of the server for {FREEZE:g} s{', records elsewhere' if elsewhere else ''}"
    with fault(name, own, store=store if elsewhere else None) as trial:
        becomes_ready_and_settles(trial)
        own.freeze()
        frozen_at = time.monotonic()
        assert seconds_until(lambda: not is_ready(trial)) < NOTICED
        until(lambda: time.monotonic() - frozen_at >= FREEZE)
        assert not is_ready(trial)
        own.thaw()
        thawed_at = time.monotonic()
        trial.recovers()
        until(lambda: is_ready(trial), trial.service.raw_log)
        assert time.monotonic() - thawed_at < READY_AGAIN
        trial.ends()
        assert trial.gaps >= 1


def replicate(own: Server, other: Server) -> None:
    own.command("REPLICAOF", "127.0.0.1", other.port)


def fail_over(own: Server, other: Server) -> None:
    other.command("REPLICAOF", "127.0.0.1", own.port)
    until(lambda: b"state=online" in own.command("INFO", "replication"))
    own.command("FAILOVER", "TO", "127.0.0.1", other.port)
    until(lambda: own.command("ROLE")[0] == b"slave")


DEMOTED_BY = {replicate: "REPLICAOF", fail_over: "FAILOVER"}


@pytest.mark.parametrize("demote", [replicate, fail_over])
def test_a_server_that_is_demoted_is_noticed_though_it_answers(
    fault: Try, own: Server, store: Server, demote: Callable[[Server, Server], None]
) -> None:
    with Server(own.kind) as other, fault(f"{DEMOTED_BY[demote]}, records elsewhere", own, store=store) as trial:
        becomes_ready_and_settles(trial)
        demote(own, other)
        assert seconds_until(lambda: trial.service.logged("Not subscribed")) < NOTICED
        assert own.command("PING") == b"PONG"
        assert "a replica now" in trial.service.logged("Not subscribed")[0]["detail"]
        trial.recovers()
        until(lambda: is_ready(trial))
        trial.ends()
        assert trial.gaps == 1


@one_kind
@pytest.mark.parametrize("way", ["redis_url", "store_url"], ids=["subscription", "store"])
def test_a_wire_that_swallows_everything_is_noticed(fault: Try, own: Server, way: str) -> None:
    def swallow(proxy: TcpProxy) -> None:
        proxy.requests.black_hole = proxy.replies.black_hole = True

    def forward(proxy: TcpProxy) -> None:
        proxy.requests.black_hole = proxy.replies.black_hole = False

    name = f"black hole: {'subscription' if way == 'redis_url' else 'store'}"
    with wire_to(own) as wire, fault(name, own, **{way: wire.url}) as trial:
        becomes_ready_and_settles(trial)
        wire.does(swallow)
        assert seconds_until(lambda: not is_ready(trial)) < NOTICED
        wire.does(forward)
        trial.recovers()
        until(lambda: is_ready(trial))
        trial.ends()
        assert trial.gaps == (way == "redis_url")
