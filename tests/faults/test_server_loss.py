"""The one server that messages come from and records go to dies, is late, or cuts the service off."""

import pytest

from tests.faults.kinds import one_kind_unless_long
from tests.faults.trial import Trial, Try
from tests.servers import Server


def test_a_server_that_is_down_at_the_start_is_waited_for(fault: Try, own: Server) -> None:
    own.kill()
    with fault("down at the start", own) as trial:
        trial.service.says("Not subscribed")
        own.start()
        trial.recovers()
        trial.starts_over()
        trial.flows(200)
        trial.ends()
        # Nothing was heard before, so there is no gap.
        assert trial.gaps == 0
        assert len(trial.service.logged("Subscribed")) == 1


def test_a_server_that_restarts_empty_gets_what_is_published_afterwards(fault: Try, own: Server) -> None:
    with fault("SIGKILL and restart, no AOF", own) as trial:
        dies_and_comes_back(trial, own)
        trial.starts_over()
        trial.recovers()
        trial.ends()
        assert trial.gaps == 1


def test_a_server_that_restarts_with_what_it_had_keeps_it(fault: Try, store: Server) -> None:
    with fault("SIGKILL and restart, AOF", store) as trial:
        dies_and_comes_back(trial, store)
        trial.recovers()
        trial.ends()
        assert trial.gaps == 1


def dies_and_comes_back(trial: Trial, server: Server) -> None:
    trial.settles()
    server.kill()
    trial.service.says("Not subscribed")
    server.start()


def test_a_subscriber_that_the_server_cuts_off_for_its_output_buffer_reports_a_gap(fault: Try, own: Server) -> None:
    own.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 1mb 1")
    with fault("output buffer limit", own, stream={"filler": "x" * 2000}) as trial:
        trial.settles()
        trial.service.freeze()
        while trial.stream.publish(500)[-1]:
            """Until nobody hears it any more."""
        trial.service.thaw()
        trial.recovers()
        trial.ends()
        assert "overcoming of output buffer limits" in own.log()
        assert trial.gaps == 1
        assert trial.missing


@one_kind_unless_long
@pytest.mark.parametrize("seconds", [1, pytest.param(10, marks=pytest.mark.long)])
def test_a_service_that_is_frozen_in_a_burst_takes_it_all_when_it_thaws(fault: Try, own: Server, seconds: int) -> None:
    with fault(f"SIGSTOP of the service for {seconds} s", own) as trial:
        trial.settles()
        trial.service.freeze()
        assert set(trial.stream.publish(20_000)) == {1}
        trial.flows(2000 * seconds)
        trial.service.thaw()
        trial.recovers()
        trial.ends()
        assert trial.gaps == 0
