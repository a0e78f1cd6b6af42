"""The same messages as entries of a Redis stream, and what must be stored for those that the server has kept."""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import hiredis

from tests.faults.stream import Stream
from tests.service import Publisher

STREAM = "update"
GROUP = "kv-updater"
ENTRY_IDS = "kv-updater:entry-ids"
OURS = (STREAM, ENTRY_IDS, "letters")  # so begin the keys that hold no record


class Appender(Publisher):
    """Adds each message to the stream; 1 for what the server has added, 0 for what it has refused."""

    def publish(self, payloads: Iterable[bytes], channel: str = STREAM) -> list[int]:
        replies = self.calls([("XADD", channel, "*", "message", payload) for payload in payloads])
        return [int(isinstance(reply, bytes)) for reply in replies]


class Entries(Stream):
    """Numbered entries. `sent` counts those too that the server refused; they were never published.

    The model is what the stream itself holds at the end, every entry of it: so a test must not let it be trimmed
    unless that is the fault.
    """

    added: set[int]
    """The numbers that the server has confirmed."""
    kept: dict[int, bytes]
    """The numbers that the stream holds, with their ids; known once it was judged."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.added, self.kept = set(), {}

    def once(self, numbers: Iterable[int]) -> list[str]:
        return super().once(self.added.intersection(numbers))

    def group(self) -> dict[bytes, Any]:
        """What XINFO GROUPS says of the group, and of the stream `last-generated-id`; empty: there is none."""
        with self._connect() as connection:
            groups, stream = connection.calls([("XINFO", "GROUPS", STREAM), ("XINFO", "STREAM", STREAM)])
        if isinstance(stream, hiredis.ReplyError) or not groups:
            return {}
        return {b"last-generated-id": _pairs(stream)[b"last-generated-id"], **_pairs(groups[0])}

    def is_settled(self) -> bool:
        """Whether the group was given every entry, and has acknowledged it."""
        with contextlib.suppress(OSError, AssertionError):  # as Publisher says that the server is not there
            group = self.group()
            return bool(group) and group[b"pending"] == 0 and group[b"last-delivered-id"] == group[b"last-generated-id"]
        return False

    def unread(self) -> int:
        """How many entries the stream holds behind the last that the group was given."""
        last = self.group()[b"last-delivered-id"]
        with self._connect() as connection:
            return len(connection.call("XRANGE", STREAM, b"(" + last, "+"))

    def missing_in(self, found: Mapping[str, bytes | None], *, since: int) -> list[int]:
        """Those, too, that the server has lost: they are not among the `kept`.

        AssertionError where a record is neither that of the newest entry by `updated` and id, nor of a newer one that
        the server has lost after the service had read it.
        """
        newest = self._newest_kept()
        lost = (self.added | {int(type_.split(":")[1]) for type_ in self.doubtful}) - self.kept.keys()
        missing = {number for number in lost if number % 2 == 0 and f"once:{number}" not in found}
        missing -= {int(type_.split(":")[1]) for type_ in self.doubtful}
        wrong = []
        for type_ in found.keys() | newest.keys():
            if type_.startswith(OURS):
                continue
            text, number = found.get(type_), newest.get(type_, -1)
            if text is None and type_ not in found:
                missing.add(number)
            elif number < 0 or text != self._message(number)[2]:
                stored = None if text is None else int(json.loads(text)["values"][0])
                if stored not in lost or stored < number or text != self._message(stored)[2]:
                    wrong.append((type_, text, number))
        assert not wrong, wrong[:5]
        return sorted(number for number in missing if number >= since)

    def misnamed_in(self, ids: Mapping[str, bytes], found: Mapping[str, bytes | None]) -> list[str]:
        """The types of records that do not have the id of their entry beside them."""
        numbers = {type_: int(json.loads(text)["values"][0]) for type_, text in found.items() if text is not None}
        return [type_ for type_, number in numbers.items() if number in self.kept and ids[type_] != self.kept[number]]

    def _publish(self, count: int) -> list[int]:
        first = self.sent
        added = super()._publish(count)
        self.added.update(number for number, one in enumerate(added, first) if one)
        if not all(added):
            # Another server may be the one to ask now.
            self._disconnect()
        return added

    def _newest_kept(self) -> dict[str, int]:
        """By type, the number of the newest entry by `updated` and id."""
        newest: dict[str, tuple[Any, ...]] = {}
        self.kept = dict(self._entries())
        for number, id_ in self.kept.items():
            type_ = self._message(number)[0]
            newest[type_] = max(newest.get(type_, ()), (self._date(number), *map(int, id_.split(b"-")), number))
        return {type_: number for type_, (*_, number) in newest.items()}

    def _entries(self) -> Iterator[tuple[int, bytes]]:
        with self._connect() as connection:
            for id_, (_, payload) in connection.call("XRANGE", STREAM, "-", "+"):
                number = int(json.loads(payload)["values"][0])
                assert payload == self._message(number)[1]
                yield number, id_


def _pairs(flat: list[Any]) -> dict[bytes, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
