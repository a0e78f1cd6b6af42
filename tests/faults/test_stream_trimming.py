"""A stream is trimmed under load: what nobody had read is told exactly, what was settled is no loss."""

import pytest

from tests.faults.stream_trial import LOST
from tests.faults.trial import Try
from tests.kinds import ONE_SINCE_REDIS_7_UNLESS_LONG
from tests.servers import Server
from tests.service import until

# Redis 6.2 does not tell.
pytestmark = pytest.mark.parametrize("server", ONE_SINCE_REDIS_7_UNLESS_LONG, indirect=True)

TRIMMED = f"{LOST}they were trimmed before anybody read them"


@pytest.mark.parametrize("times", [1, pytest.param(5, marks=pytest.mark.long)])
def test_what_was_trimmed_before_it_was_read_is_told_exactly(stream_fault: Try, own: Server, times: int) -> None:
    expected = []
    with stream_fault(f"trimmed while the service is frozen x{times}", own) as trial:
        trial.settles()
        for time in range(times):
            trial.service.freeze()
            trial.stream.publish(5000)
            with trial.stream.held():
                before = trial.stream.unread()
                own.command("XTRIM", "update", "MAXLEN", 1000 + time)
                expected.append(before - trial.stream.unread())
            trial.service.thaw()
            trial.recovers()
        trial.ends()
        assert [entry["count"] for entry in trial.service.logged(TRIMMED)] == expected
        assert trial.service.closing["entries_lost"] == sum(expected)
        assert all(count >= 3900 for count in expected)


@pytest.mark.long
def test_a_stream_that_is_trimmed_while_it_is_read_in_time_loses_nothing(stream_fault: Try, own: Server) -> None:
    with stream_fault("trimmed all the time", own) as trial:
        trial.settles()
        for _ in range(50):
            trial.flows(50)
            with trial.stream.held():
                until(trial.stream.is_settled)
                own.command("XTRIM", "update", "MAXLEN", 0)
        trial.recovers()
        trial.ends()
        assert trial.losses == []
