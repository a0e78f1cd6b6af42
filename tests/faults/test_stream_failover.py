"""The master of the stream changes under load: what the surviving history holds is stored."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.faults.entries import ENTRY_IDS, Appender, Entries
from tests.faults.stream_trial import STREAMING, StreamTrial
from tests.faults.table import Noted
from tests.faults.test_sentinel_failover import by_command, by_death
from tests.faults.trial import judged
from tests.kinds import ONE_UNLESS_LONG
from tests.sentinels import SentinelGroup
from tests.servers import Server, Word
from tests.service import subscribed, until


class Master(Server):
    """Whatever server the sentinels call the master; while there is none, whoever asks is kept waiting."""

    def __init__(self, group: SentinelGroup, kind: str) -> None:
        super().__init__(kind)
        self._group = group

    def command(self, *words: Word) -> Any:
        answer: list[Any] = []

        def answers() -> bool:
            try:
                answer.append(self._group.master.command(*words))
            except OSError:
                return False
            return True

        until(answers)
        return answer[0]


class FailoverTrial(StreamTrial):
    """What the old master had not handed on is lost, and nobody knows."""

    def judge(self, missing: list[int]) -> None:
        self.missing = missing
        assert [number for number in missing if number in self.stream.kept] == []
        assert self.gaps == 0
        assert self.losses == []

    def adds_up(self, totals: Mapping[str, int]) -> None:
        # The old master may have delivered what it did not hand on; a connection lost between two reads goes unseen.
        assert totals["received"] >= len(self.stream.kept)

    @property
    def lost(self) -> str:
        return f"{len(self.missing)} (by the server)" if self.missing else "0"


@pytest.mark.parametrize("kind", ONE_UNLESS_LONG)
@pytest.mark.parametrize(
    ("fail_over", "sentinels"), [pytest.param(by_command, 3, marks=pytest.mark.long), (by_death, 1)]
)
def test_after_a_failover_every_entry_that_is_left_is_stored(
    kind: str, noted: Noted, tmp_path: Path, fail_over: Callable[[SentinelGroup], None], sentinels: int
) -> None:
    with SentinelGroup(kind, tmp_path, sentinels=sentinels) as group:
        old, replica = group.servers
        with (
            subscribed(group.url, *STREAMING, directory=tmp_path) as service,
            Entries(lambda: Appender(group.master.port), tie=3) as stream,
            judged(
                FailoverTrial,
                f"failover {fail_over.__name__}, stream",
                Master(group, kind),
                service=service,
                stream=stream,
                noted=noted,
            ) as trial,
        ):
            trial.settles()
            # Without the group the history that survives would begin anew, and that would be told.
            until(lambda: replica.command("EXISTS", ENTRY_IDS))
            fail_over(group)
            group.has_failed_over(old)
            trial.recovers()
            trial.flows(1000)
            trial.ends()
