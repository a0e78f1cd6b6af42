"""The messages of a run, built once as ready commands in a file, and the state they must lead to.

A message has about 220 bytes, or `values` of a given length. `updated` grows by a microsecond with each one, so the
newest of a key is its last. `valid` is a hundred years later: where records expire at it, they are written so, and none
does during a run. `values` has texts that a parse and a dump change (21.50): a byte-exact record is told from an equal
one.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from .servers import CHANNEL, channel_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_FIRST = datetime(2025, 11, 22, 20, 28, 41, tzinfo=UTC)
_VALIDITY = timedelta(days=36_500)
_PUBLISH = b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n"
_ADD = b"*5\r\n$4\r\nXADD\r\n$%d\r\n%s\r\n$1\r\n*\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n"
_SEED = 1
_FILLING = b',"readings":[%s],"rest":"%s"'
_READING = b'{"name":"caf\\u00e9","value":3.40},'


@dataclass(frozen=True)
class Message:
    """The texts of one update message."""

    key: str
    updated: str
    valid: str
    values: str

    @property
    def payload(self) -> bytes:
        return b'{"type":"%s",%s' % (self.key.encode(), self.record[1:])

    @property
    def record(self) -> bytes:
        return f'{{"updated":{self.updated},"valid":{self.valid},"values":{self.values}}}'.encode()


@dataclass(frozen=True, eq=False)
class Workload:
    """A file of commands, and the exact record that each key must hold after all of them."""

    title: str
    messages: int
    commands: Path
    expected: Mapping[str, bytes] = field(repr=False)
    last_key: str  # that of the last message
    transport: str = "pubsub"  # or "stream": what the commands do with the messages

    @cached_property
    def keys(self) -> list[str]:
        return list(self.expected)

    def is_right(self, key: str, stored: bytes | None, *, verbatim: bool) -> bool:
        """Verbatim: members updated, valid, values, in this order, each with the very text that was sent.

        Otherwise equal as JSON is enough.
        """
        return is_right(self.expected[key], stored, verbatim=verbatim)


def is_right(expected: bytes, stored: bytes | None, *, verbatim: bool) -> bool:
    """See `Workload.is_right`."""
    if stored is None or stored == expected:
        return stored is not None
    read = _members if verbatim else _parsed
    return read(stored) == read(expected)


def message(number: int, key: int, size: int = 0) -> Message:
    """`size`: the bytes of `values`, at least 100; 0: as many as it happens to have."""
    second, micro = divmod(number, 1_000_000)
    updated, valid = _clock(second)
    values = (
        _sized(number, size)
        if size
        else (
            f'{{"seq":{number},"temperature":21.50,"humidity":{number % 100},"pressure":1013.2,'
            f'"wind":{{"speed":3.4,"direction":"NW"}},"place":"caf\\u00e9"}}'
        )
    )
    return Message(key_of(key), f'"{updated}.{micro:06d}Z"', f'"{valid}.{micro:06d}Z"', values)


def key_of(key: int) -> str:
    return f"sensor:{key:06d}"


def publish_command(payload: bytes, transport: str = "pubsub", channel: str = CHANNEL) -> bytes:
    """PUBLISH to the channel; or, for "stream", XADD to the stream of that name."""
    command = _ADD if transport == "stream" else _PUBLISH
    return command % (len(channel), channel.encode(), len(payload), payload)


def build(
    path: Path, messages: int, keys: int, transport: str = "pubsub", *, size: int = 0, channels: int = 1
) -> Workload:
    """Writes the commands to the path. As many keys as messages: every key once, in random order.

    Of several channels each key has one.
    """
    names = channel_names(channels)
    keyed = ((key, names[key % channels]) for key in _order(messages, keys))
    return written(path, keyed, keys, transport, size)


def written(
    path: Path, keyed: Iterable[tuple[int, str]], keys: int, transport: str = "pubsub", size: int = 0
) -> Workload:
    """Messages with these keys, each to the channel beside it."""
    last: dict[str, Message] = {}
    current, messages = message(0, 0, size), 0
    with path.open("wb") as file:
        for number, (key, channel) in enumerate(keyed):
            current, messages = message(number, key, size), number + 1
            last[current.key] = current
            file.write(publish_command(current.payload, transport, channel))
    expected = {key: newest.record for key, newest in last.items()}
    title = f"{messages:,} messages over {keys:,} keys"
    return Workload(title, messages, path, expected, current.key, transport)


def _order(messages: int, keys: int) -> Iterator[int]:
    chance = random.Random(_SEED)
    if keys == messages:
        yield from chance.sample(range(keys), keys)
    else:
        yield from (int(chance.random() * keys) for _ in range(messages))


def _sized(number: int, size: int) -> str:
    start = f'{{"seq":{number},"temperature":21.50'
    return start + _filling(size - len(start) - 1) + "}"


@lru_cache(maxsize=64)
def _filling(size: int) -> str:
    """Members of that many bytes: readings, and what is left of the room as one text."""
    room = size - len(_FILLING % (b"", b""))
    readings = room // len(_READING)
    rest = room - readings * len(_READING) + (readings > 0)  # the last reading has no comma
    return (_FILLING % ((_READING * readings)[:-1], b"x" * rest)).decode()


@lru_cache(maxsize=16)
def _clock(second: int) -> tuple[str, str]:
    updated = _FIRST + timedelta(seconds=second)
    return f"{updated:%Y-%m-%dT%H:%M:%S}", f"{updated + _VALIDITY:%Y-%m-%dT%H:%M:%S}"


def _members(record: bytes) -> list[tuple[str, bytes]] | None:
    try:
        members = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return None
    return [(name, bytes(text)) for name, text in members.items()]


def _parsed(record: bytes) -> Any:
    try:
        return json.loads(record)
    except ValueError:
        return None
