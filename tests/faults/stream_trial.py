"""The same trials where the messages come by a stream: nothing is lost unless the server loses it, which is told."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from tests.faults.entries import ENTRY_IDS, Appender, Entries
from tests.faults.load import Load
from tests.faults.trial import Trial
from tests.servers import Server
from tests.service import until

STREAMING = ("--transport", "stream", "--claim-after", "1s", "--probe-interval", "0.2s")
"""The dead are not mourned for long."""
CLAIMED = "Stream entries of a dead updater claimed"
LOST = "Stream entries lost: "


class StreamLoad(Load):
    """Entries that flow. Judged by what the stream holds at the end."""

    stream: Entries

    def drains(self) -> None:
        """Wait until every entry is acknowledged."""
        until(self.stream.is_settled, self.context)

    def stands_still_at(self) -> int:
        """How many entries are taken and not settled, when that has not changed for a thousand messages."""
        last = -1

        def stands_still() -> bool:
            nonlocal last
            before, last = last, self.stream.group()[b"pending"]
            self.flows(1000)
            return last == before == self.stream.group()[b"pending"]

        until(stands_still, self.context)
        return last

    def unstored(self, *, since: int = 0) -> list[int]:
        """AssertionError where a record is not that of its newest entry, or has not its id beside it, or where
        anything is not acknowledged."""
        assert self.stream.is_settled(), self.context()
        found = self.stored()
        missing = self.stream.missing_in(found, since=since)
        ids: dict[str, bytes] = {}
        for key in found:
            if key.startswith(ENTRY_IDS):
                flat = self.store.command("HGETALL", key)
                ids |= zip(map(bytes.decode, flat[::2]), flat[1::2], strict=True)
        assert self.stream.misnamed_in(ids, found) == []
        return missing

    def context(self) -> str:
        group = {name.decode(): value for name, value in self.stream.group().items()}
        return f"{super().context()}; {group}"


class StreamTrial(StreamLoad, Trial):
    """With one service."""

    flags = STREAMING
    stream: Entries

    @staticmethod
    def messages(channel: Server, **options: Any) -> Entries:
        return Entries(partial(Appender, channel.port), **options)

    @property
    def losses(self) -> list[Mapping[str, Any]]:
        """What the service has told of entries that the server has lost."""
        return [entry for entry in self.service.entries if entry["message"].startswith(LOST)]

    def judge(self, missing: Sequence[int]) -> None:
        self.missing = list(missing)
        assert [number for number in missing if number in self.stream.kept] == []
        assert not missing or self.losses, (missing[:10], self.service.raw_log[-2000:])
        assert self.gaps == 0

    def adds_up(self, totals: Mapping[str, int]) -> None:
        if len(self.service.logged("Subscribed")) == 1 and not self.stream.doubtful:
            assert totals["received"] == self.stream.heard - sum(entry["count"] for entry in self.losses)
        else:
            # What was not settled before is delivered again.
            assert totals["received"] >= len(self.stream.kept)
