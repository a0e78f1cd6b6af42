"""All hostile payloads through one run of the service: each is refused and told, none harms what is good."""

import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.payloads import BAD_TIMES, DEAD_LETTERS, KEPT, REFUSED, Refused
from tests.servers import Server
from tests.service import Publisher, command, started, stored, subscribed
from tests.world import message, record

LETTERS = ("--dead-letter-stream", DEAD_LETTERS)
MAX_MESSAGE_BYTES = 1024 * 1024
AT_ONCE = 50


@pytest.fixture
def own(server: Server) -> Iterator[Server]:
    """A server of the same kind that does not cut off whoever is slow to read: that is another test."""
    with Server(server.kind, args=("--client-output-buffer-limit", "pubsub", "0", "0", "0")) as running:
        yield running


def publish(publisher: Publisher, payloads: Sequence[bytes]) -> None:
    for start in range(0, len(payloads), AT_ONCE):
        publisher.publish(payloads[start : start + AT_ONCE])


def mixed(refused: Sequence[Refused]) -> list[bytes]:
    """Good and bad in turn."""
    pairs = zip_longest((payload for payload, _ in refused), (kept.payload for kept in KEPT))
    return [payload for pair in pairs for payload in pair if payload is not None]


def dead_letters(server: Server) -> list[dict[str, bytes]]:
    entries: list[Any] = server.command("XRANGE", DEAD_LETTERS, "-", "+")
    return [
        {name.decode(): value for name, value in zip(fields[::2], fields[1::2], strict=True)} for _, fields in entries
    ]


def test_each_bad_one_is_a_dead_letter_and_each_good_one_a_record_and_a_notice(own: Server, tmp_path: Path) -> None:
    flags = (*LETTERS, "--persisted-channel", "notices")
    with (
        subscribed(own.url, *flags, directory=tmp_path) as service,
        Publisher(own.port) as publisher,
        Publisher(own.port) as reader,
    ):
        reader.subscribe("notices")
        publish(publisher, mixed(REFUSED))
        totals = service.stops()
        closing = service.closing
        notices = [reader.reply()[2] for _ in KEPT]

    assert (totals["rejected"], totals["committed"]) == (len(REFUSED), len(KEPT))
    assert totals["received"] == len(REFUSED) + len(KEPT)
    assert (closing["dead_letters"], closing["dead_letters_lost"]) == (len(REFUSED), 0)

    letters = dead_letters(own)
    assert Counter(letter["reason"].decode() for letter in letters) == Counter(reason for _, reason in REFUSED)
    told = [(letter["payload"], int(letter["size"]), letter["reason"].decode()) for letter in letters]
    assert told == [(payload[:MAX_MESSAGE_BYTES], len(payload), reason) for payload, reason in REFUSED]
    assert {letter["channel"] for letter in letters} == {b"update"}
    assert all(letter["error"] for letter in letters)

    assert stored(own) == {DEAD_LETTERS: None} | {kept.type: kept.record for kept in KEPT}
    assert sorted(notices) == sorted(as_message(kept.type, kept.record) for kept in KEPT)


def as_message(type_: str, text: bytes) -> bytes:
    quoted = type_.replace("\\", "\\\\").replace('"', '\\"').encode()
    return b'{"type":"' + quoted + b'",' + text[1:]


def test_where_times_are_strict_each_unknown_one_is_a_dead_letter(own: Server, tmp_path: Path) -> None:
    good = {"updated": "2023-10-01T12:00:00Z", "valid": "2023-10-01T12:05:32Z"}
    with (
        subscribed(own.url, *LETTERS, "--strict-timestamps", directory=tmp_path) as service,
        Publisher(own.port) as publisher,
    ):
        publish(publisher, [*(payload for payload, _ in BAD_TIMES), message("good", **good)])
        totals = service.stops()

    assert (totals["rejected"], totals["committed"]) == (len(BAD_TIMES), 1)
    assert [letter["payload"] for letter in dead_letters(own)] == [payload for payload, _ in BAD_TIMES]
    assert {letter["reason"] for letter in dead_letters(own)} == {b"bad_timestamp"}
    assert stored(own) == {DEAD_LETTERS: None, "good": record(**good)}


def is_harmless(output: bytes) -> bool:
    """Whether a terminal takes it for lines of text and for nothing else."""
    return all(line.isprintable() for line in output.decode().split("\n"))


def test_nothing_of_it_reaches_a_terminal_as_anything_but_text(tmp_path: Path) -> None:
    refused = [(payload, reason) for payload, reason in REFUSED if len(payload) < 10_000]
    with (
        Server() as own,
        started("--redis-url", own.url, *LETTERS, directory=tmp_path) as service,
        Publisher(own.port) as publisher,
    ):
        service.says("Subscribed")
        publish(publisher, [*(payload for payload, _ in refused), *(kept.payload for kept in KEPT)])
        assert service.ends(signal.SIGTERM) == 0
        log = service.raw_log
        listed = command("dead-letters", "list", "--redis-url", own.url, *LETTERS, directory=tmp_path)

    lines = log.splitlines()
    assert is_harmless(log)
    assert max(map(len, lines)) < 1000
    # At most five of a reason, and one that counts the rest, and so of dates that protect nothing; two of the start,
    # two of the end.
    assert len(lines) <= 4 + 6 * (1 + len({reason for _, reason in refused}))

    assert listed.returncode == 0
    assert is_harmless(listed.stdout.encode())
    assert listed.stdout.count("\n") == len(refused)
