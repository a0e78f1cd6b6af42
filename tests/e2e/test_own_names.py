"""Publishers who choose the names that the service uses itself: they get a record, or a refusal, and harm nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Server
from tests.service import Publisher, Service, subscribed, until
from tests.world import message, record

PROBE, CHECK = "kv-updater:probe:", "kv-updater:check:"
PROBING = ("--probe-interval", "0.1s")


@pytest.fixture
def own(server: Server) -> Iterator[Server]:
    """A server of the same kind for this test alone."""
    with Server(server.kind) as running:
        yield running


def probe_channel(own: Server) -> str:
    """The one that the service listens to."""
    (name,) = own.command("PUBSUB", "CHANNELS", f"{PROBE}*")
    return str(name.decode())


def check_key(own: Server) -> str:
    """The one that the service checks writing with: nobody can know it but who sees all commands."""
    with Publisher(own.port) as monitor:
        assert monitor.call("MONITOR") == b"OK"
        while b'"SET"' not in (line := monitor.reply()):
            pass
    return str(line.split(b'"')[3].decode())


def goes_on(own: Server, service: Service) -> None:
    """Wait until it has proved once more that messages come through and the store takes writes."""
    for command in ("publish", "set"):
        before = own.calls(command)
        until(lambda command=command, before=before: own.calls(command) > before + 1)
    assert [entry["message"] for entry in service.entries if entry["level"] == "ERROR"] == []
    assert service.logged("Not ready") == []


@pytest.mark.parametrize("prefix", ["", "kv:"])
def test_a_type_that_is_a_name_of_the_service_is_a_record_like_any_other_but_for_the_dead_letters(
    own: Server, tmp_path: Path, prefix: str
) -> None:
    letters = f"{prefix}letters"
    flags = (*PROBING, "--key-prefix", prefix, "--dead-letter-stream", letters)
    with subscribed(own.url, *flags, directory=tmp_path) as service, Publisher(own.port) as publisher:
        service.says('"Ready"')
        types = [f"{PROBE}0123456789abcdef", probe_channel(own), f"{CHECK}0123456789abcdef", CHECK, "kv-updater", "*"]
        # Behind a prefix the whole key of the stream is another type, and its record has another key.
        types += [letters] if prefix else []
        publisher.publish(map(message, ("letters", *types)))
        until(lambda: own.command("MGET", *(prefix + type_ for type_ in types)) == [record()] * len(types))
        goes_on(own, service)
        totals = service.stops()

        (told,) = service.logged("Message rejected: forbidden_type")
        assert told["level"] == "WARNING"

    ((_, letter),) = own.command("XRANGE", letters, "-", "+")
    assert letter[letter.index(b"payload") + 1] == message("letters")
    assert letter[letter.index(b"reason") + 1] == b"forbidden_type"
    assert own.command("DBSIZE") == len(types) + 1
    assert (totals["received"], totals["rejected"], totals["committed"]) == (len(types) + 1, 1, len(types))


def test_the_very_key_of_the_checks_is_a_record_that_they_may_empty_and_no_more(own: Server, tmp_path: Path) -> None:
    with subscribed(own.url, *PROBING, directory=tmp_path) as service, Publisher(own.port) as publisher:
        key = check_key(own)
        assert key.startswith(CHECK)
        for values in ("[1]", "[2]"):
            publisher.publish([message(key, values=values), message("other", values=values)])
            until(lambda values=values: own.command("GET", "other") == record(values=values))
            until(lambda: own.command("GET", key) == b"")
            goes_on(own, service)
        totals = service.stops()

    assert own.command("GET", "other") == record(values="[2]")
    assert own.command("DBSIZE") == 2
    assert totals["received"] == totals["committed"] == 4


def test_what_others_publish_as_probes_is_no_message_and_disturbs_nothing(own: Server, tmp_path: Path) -> None:
    forged = b"0123456789abcdef"
    with (
        subscribed(own.url, *PROBING, "--channel", "*", directory=tmp_path) as service,
        Publisher(own.port) as publisher,
    ):
        service.says('"Ready"')
        mine = probe_channel(own)
        for channel in (mine, f"{PROBE}0123456789abcdef", PROBE):
            publisher.publish([forged, message("never"), b"", b"\xff" * 10_000], channel)
        publisher.publish([message("key")], "anything")
        until(lambda: own.command("GET", "key") == record())
        goes_on(own, service)
        totals = service.stops()

        assert [entry["message"] for entry in service.entries if entry["level"] != "INFO"] == []

    assert own.command("KEYS", "*") == [b"key"]
    assert totals["received"] == totals["committed"] == 1
