"""The server of the stream dies, forgets or refuses: what it has kept is stored, and what it has lost is told."""

import pytest

from tests.faults.kinds import one_kind_unless_long
from tests.faults.refusals import Refusal, refusals
from tests.faults.stream_trial import LOST, StreamTrial
from tests.faults.trial import Try
from tests.servers import Server
from tests.service import until

pytestmark = one_kind_unless_long

GROUP_GONE = f"{LOST}the group was gone, and the stream is read from its start"


def dies_and_comes_back(trial: StreamTrial, server: Server) -> None:
    trial.settles()
    server.kill()
    trial.service.says("Not subscribed")
    server.start()
    trial.recovers()


@pytest.mark.long
def test_a_server_that_is_down_at_the_start_is_waited_for(stream_fault: Try, own: Server) -> None:
    own.kill()
    with stream_fault("down at the start", own) as trial:
        trial.service.says("Not subscribed")
        own.start()
        trial.recovers()
        trial.ends()


@pytest.mark.long
def test_entries_from_before_the_first_start_are_stored(stream_fault: Try, own: Server) -> None:
    own.command("XADD", "update", "*", "message", '{"type":"key:1","updated":"2020-01-01","values":[0]}')
    own.command("XTRIM", "update", "MAXLEN", 0)
    with stream_fault("no group yet, and a trimmed stream", own) as trial:
        trial.recovers()
        trial.ends()
        assert trial.losses == []


def test_a_server_that_keeps_what_it_was_told_loses_nothing(stream_fault: Try, store: Server) -> None:
    with stream_fault("SIGKILL and restart, AOF", store) as trial:
        for _ in range(3):
            dies_and_comes_back(trial, store)
        trial.ends()
        assert trial.missing == []
        assert trial.losses == []


def test_a_server_that_restarts_empty_has_lost_entries_and_that_is_told(stream_fault: Try, own: Server) -> None:
    with stream_fault("SIGKILL and restart, no AOF", own) as trial:
        dies_and_comes_back(trial, own)
        trial.ends()
        assert trial.missing
        assert len(trial.service.logged(GROUP_GONE)) == 1


@pytest.mark.parametrize(
    ("name", "forget", "loses"),
    [
        ("FLUSHALL", ("FLUSHALL",), True),
        pytest.param("DEL of the stream", ("DEL", "update"), False, marks=pytest.mark.long),
        pytest.param("XGROUP DESTROY", ("XGROUP", "DESTROY", "update", "kv-updater"), False, marks=pytest.mark.long),
    ],
)
def test_a_stream_or_a_group_that_is_gone_is_made_anew_and_told(
    *, stream_fault: Try, own: Server, name: str, forget: tuple[str, ...], loses: bool
) -> None:
    with stream_fault(name, own) as trial:
        for times in (1, 2, 3):
            trial.settles()
            own.command(*forget)
            trial.recovers()
            until(lambda times=times: len(trial.service.logged(GROUP_GONE)) == times, trial.context)
        trial.ends()
        assert trial.missing or not loses


@pytest.mark.long
def test_a_script_that_is_forgotten_is_sent_again(stream_fault: Try, own: Server) -> None:
    with stream_fault("SCRIPT FLUSH", own) as trial:
        trial.settles()
        for _ in range(20):
            own.command("SCRIPT", "FLUSH")
            trial.recovers()
        trial.ends()
        assert {entry["level"] for entry in trial.service.entries} == {"INFO"}


_SIGNS = {
    "maxmemory": "Store failed: oom",
    "made a replica": "Not subscribed",
    "min-replicas-to-write": "Not subscribed",
    "LOADING": "LOADING",
    "CLIENT PAUSE WRITE": "no answer within",
    "SIGSTOP": "no answer within",
}


@pytest.mark.parametrize(
    "refusal",
    refusals(long=_SIGNS.keys() - {"maxmemory"}, without={"SIGKILL and restart, AOF", "MISCONF, saving fails"}),
)
def test_a_server_that_refuses_for_a_while_loses_nothing(stream_fault: Try, store: Server, refusal: Refusal) -> None:
    with stream_fault(f"server: {refusal.name}", store, "--probe-timeout", "0.5s") as trial:
        trial.settles()
        # So that there is something to commit when the publishers too are refused.
        trial.service.freeze()
        trial.flows(500)
        recover = refusal.refuse(store)
        trial.service.thaw()
        trial.service.says(_SIGNS[refusal.name])
        recover()
        trial.recovers()
        trial.ends()
        assert trial.losses == []


@pytest.mark.long
def test_a_service_that_is_frozen_in_a_burst_takes_it_all_when_it_thaws(stream_fault: Try, own: Server) -> None:
    with stream_fault("SIGSTOP of the service", own) as trial:
        trial.settles()
        trial.service.freeze()
        trial.stream.publish(20_000)
        trial.service.thaw()
        trial.recovers()
        trial.ends()
        assert {entry["level"] for entry in trial.service.entries} == {"INFO"}
