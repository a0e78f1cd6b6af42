"""The contract with publishers and readers: what is published is found, byte for byte, under its key."""

import json
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from tests.kinds import TWO_UNLESS_LONG, shared_server
from tests.servers import Server
from tests.service import Publisher, Service, command, started, stored, subscribed, until
from tests.world import message, record

server = shared_server(TWO_UNLESS_LONG)

EXAMPLE = (
    b'{"type": "key", "updated": "2023-10-01T12:00:00Z", "valid": "2023-10-01T12:05:32Z", '
    b'"values": {"field1": "value1", "field2": "value2"}}'
)
RECORD = {
    "updated": "2023-10-01T12:00:00Z",
    "valid": "2023-10-01T12:05:32Z",
    "values": {"field1": "value1", "field2": "value2"},
}
PASSWORD = "p@ss:wörd/#1"

SHAPES = {
    "object": '{"field1": "value1", "field2": "value2"}',
    "empty object": "{}",
    "empty list": "[]",
    "list": '["a", 1, null, true, false]',
    "list of lists": '[["home", 2], ["away", [1, []]]]',
    "nested": '{"a": {"b": [{"c": {"d": null}}]}}',
    "deep": "[" * 200 + "]" * 200,
    "numbers": "[1.0, 1e3, 1E-2, -0, 0.1000, 12345678901234567890, -98765432109876543210.5, 1e400]",
    "spacing": '{ "a" :\t1 ,\r\n "b" : [ 1 , 2 ] }',
    "same name twice": '{"a": 1, "a": 2}',
    "non-ASCII": '{"straße": "東京 🌦 Ελλάδα", "ø": ["é"]}',
    "escapes": r'{"slash": "\/", "quote": "\"", "unicode": "\u00e9", "pair": "\ud83c\udf26"}',
    "escaped null": r'{"text": "before\u0000after"}',
    "lone surrogates": r'{"cut": "\ud83c", "low": "\udf26 tail", "name \ud800": ["\uDC00\uD800"]}',
    "type within": '{"type": "other", "updated": 1, "values": []}',
}


@pytest.fixture
def publisher(server: Server) -> Iterator[Publisher]:
    with Publisher(server.port) as connection:
        yield connection


def is_the_example(text: bytes | str | None) -> None:
    assert text is not None
    found = json.loads(text)
    assert found == RECORD
    assert list(found) == ["updated", "valid", "values"]


Source = tuple[tuple[str, ...], dict[str, str]]
"""A command line, and variables."""


def environment(url: str, directory: Path) -> Source:
    return (), {"KV_UPDATER_REDIS_URL": url, "KV_UPDATER_CHANNEL": "update"}


def yaml_file(url: str, directory: Path) -> Source:
    (directory / "config.yaml").write_text(f"redis_url: {url}\nchannel: update\n", "utf-8")
    return ("--config", "config.yaml"), {}


def python_file(url: str, directory: Path) -> Source:
    config = {"redis_url": url, "channel": "update", "validate": True}
    (directory / "config.py").write_text(f"config = {config!r}\n", "utf-8")
    return ("run",), {"KV_UPDATER_CONFIG": "config.py"}


def flags(url: str, directory: Path) -> Source:
    return ("--redis-url", url, "run", "--channel", "update", "--validate"), {}


@contextmanager
def started_until_subscribed(directory: Path, arguments: tuple[str, ...], env: dict[str, str]) -> Iterator[Service]:
    with started(*arguments, directory=directory, env=env) as service:
        service.says("Subscribed")
        yield service


@pytest.mark.parametrize("configured_by", [environment, yaml_file, python_file, flags])
def test_the_example_message_is_stored_under_its_key(
    server: Server, redis_url: str, publisher: Publisher, tmp_path: Path, configured_by: Callable[[str, Path], Source]
) -> None:
    arguments, env = configured_by(redis_url, tmp_path)
    with started_until_subscribed(tmp_path, arguments, env) as service:
        assert publisher.publish([EXAMPLE]) == [1]
        assert service.ends(signal.SIGTERM) == 0
        assert re.search(r"INFO +KV-Updater stopped pending=0 received=1 committed=1 ", service.raw_log.decode())
        assert ("Records validated count=1" in service.raw_log.decode()) == (configured_by in (python_file, flags))
    assert set(stored(server)) == {"key"}
    is_the_example(stored(server)["key"])


class TestInMemory:
    """`memory://`: a dry run for publishers, with no server at all."""

    LINES = b"\n".join((EXAMPLE, b"", b"nonsense", message("other", values="[1.0]"))) + b"\n"

    def assert_output(self, output: str) -> None:
        lines = [json.loads(line) for line in output.splitlines()]
        assert lines == [
            {"type": "key", **RECORD},
            {"type": "other", "updated": "2023-10-01T12:00:00Z", "valid": None, "values": [1.0]},
        ]
        assert [list(line) for line in lines] == [["type", "updated", "valid", "values"]] * 2
        assert "[1.0]" in output

    def test_lines_from_a_pipe_become_records_as_json_lines(self, tmp_path: Path) -> None:
        done = command("--redis-url", "memory://", directory=tmp_path, stdin=self.LINES.decode())

        assert done.returncode == 0
        self.assert_output(done.stdout)
        assert "received=3 committed=2 " in done.stderr
        assert "rejected=1 " in done.stderr

    def test_lines_from_a_file_become_records_as_json_lines(self, tmp_path: Path) -> None:
        (tmp_path / "messages.jsonl").write_bytes(self.LINES.removesuffix(b"\n"))
        with (
            (tmp_path / "messages.jsonl").open("rb") as lines,
            started("--redis-url", "memory://", "--log-format", "json", directory=tmp_path, stdin=lines) as service,
        ):
            assert service.ends() == 0
            self.assert_output(service.output)
            assert service.totals["received"] == 3

    def test_a_signal_ends_a_dry_run_on_an_open_pipe_with_the_records_so_far(self, tmp_path: Path) -> None:
        flags = ("--redis-url", "memory://", "--log-format", "json")
        with started(*flags, directory=tmp_path, stdin=subprocess.PIPE) as service:
            assert service.process.stdin
            service.process.stdin.write(self.LINES)
            service.process.stdin.flush()
            service.says("undecodable")
            assert service.stops()["received"] == 3
            self.assert_output(service.output)

    def test_a_dry_run_without_any_input_ends_with_no_record(self, tmp_path: Path) -> None:
        with started("--redis-url", "memory://", directory=tmp_path, stdin=subprocess.DEVNULL) as service:
            assert service.ends() == 0
            assert service.output == ""
            assert "ERROR" not in service.raw_log.decode()


class TestShapes:
    def test_every_shape_of_values_is_stored_byte_for_byte(
        self, server: Server, redis_url: str, publisher: Publisher, tmp_path: Path
    ) -> None:
        with subscribed(redis_url, "--validate", directory=tmp_path) as service:
            publisher.publish(message(name, values=values) for name, values in SHAPES.items())
            totals = service.stops()

        assert totals["committed"] == len(SHAPES)
        assert stored(server) == {name: record(values=values) for name, values in SHAPES.items()}

    def test_times_keep_their_text_and_what_is_no_member_of_a_record_is_dropped(
        self, server: Server, redis_url: str, publisher: Publisher, tmp_path: Path
    ) -> None:
        with subscribed(redis_url, directory=tmp_path) as service:
            publisher.publish(
                [
                    b'{"values":[], "source": "x", "valid": 1.70e9, "type": "numbers", "updated": 1700000000000}',
                    rb'{"type": "esc\u0061ped \"\\ \u6771", "values": {}, "updated": "2023-10-01T12:00:00\u002b02:00"}',
                ]
            )
            service.stops()

        assert stored(server) == {
            "numbers": b'{"updated":1700000000000,"valid":1.70e9,"values":[]}',
            'escaped "\\ 東': rb'{"updated":"2023-10-01T12:00:00\u002b02:00","valid":null,"values":{}}',
        }


class TestOrder:
    """Each key sees a message, then one that may be older: in a commit of its own each."""

    NEWER_THEN_OLDER: ClassVar = {
        "iso": ("2023-11-22T20:28:41Z", "2023-11-22T20:28:40.999Z"),
        "iso with offsets": ("2023-11-22T20:28:41-05:00", "2023-11-23T01:28:40Z"),
        "iso without offset": ("2023-11-22T20:28:41", "2023-11-22T20:28:40"),
        "family, minutes": ("11/22/2023 8:28 PM -0500", "11/22/2023 8:27 PM -0500"),
        "family, seconds": ("11/22/2023 8:28:41 PM -0500", "11/22/2023 8:28:40 PM -0500"),
        "family, noon": ("11/22/2023 12:01 PM +0100", "11/22/2023 11:59 AM +0100"),
        "family, midnight": ("11/22/2023 12:01 AM -0500", "11/21/2023 11:59 PM -0500"),
        "family, offsets": ("11/22/2023 8:28 PM -0500", "11/22/2023 8:28 PM +0100"),
        "both formats": ("11/22/2023 8:28 PM -0500", "2023-11-23T01:27:59Z"),
    }
    FIRST_THEN_LAST: ClassVar = {
        "older, then newer": ("11/22/2023 8:27 PM -0500", "11/22/2023 8:28 PM -0500"),
        "tie within a minute": ("11/22/2023 8:28 PM -0500", "11/22/2023 8:28 PM -0500"),
        "tie across formats": ("11/22/2023 8:28 PM -0500", "2023-11-23T01:28:00Z"),
        "unparseable": ("tomorrow", "yesterday"),
        "unparseable after a time": ("2023-11-22T20:28:41Z", "13/45/2023 8:28 PM -0500"),
        "a time after unparseable": ("soon", "2001-01-01T00:00:00Z"),
        "far in the future": ("2999-01-01T00:00:00Z", "2023-11-22T20:28:41Z"),
    }

    def test_the_newer_time_stays_and_ties_and_unreadable_times_go_by_arrival(
        self, server: Server, redis_url: str, publisher: Publisher, tmp_path: Path
    ) -> None:
        cases = self.NEWER_THEN_OLDER | self.FIRST_THEN_LAST
        first = {type_: record(times[0], '{"sent":1}') for type_, times in cases.items()}
        second = {type_: record(times[1], '{"sent":2}') for type_, times in cases.items()}

        with subscribed(redis_url, directory=tmp_path) as service:
            publisher.publish(message(type_, times[0], '{"sent":1}') for type_, times in cases.items())
            until(lambda: stored(server) == first)
            publisher.publish(message(type_, times[1], '{"sent":2}') for type_, times in cases.items())
            totals = service.stops()

        assert totals["stale"] == len(self.NEWER_THEN_OLDER)
        assert totals["committed"] == len(cases) + len(self.FIRST_THEN_LAST)
        assert stored(server) == {
            type_: (first if type_ in self.NEWER_THEN_OLDER else second)[type_] for type_ in cases
        }

    def test_by_arrival_an_older_time_replaces_a_newer_one(
        self, server: Server, redis_url: str, publisher: Publisher, tmp_path: Path
    ) -> None:
        with subscribed(redis_url, "--ordering", "arrival", directory=tmp_path) as service:
            for updated in ("2023-11-22T20:28:41Z", "2023-11-22T20:28:40Z"):
                publisher.publish([message("key", updated)])
                until(lambda updated=updated: stored(server) == {"key": record(updated)})
            assert service.stops()["committed"] == 2


class TestNames:
    def test_patterns_and_several_channels_are_read_and_others_are_not(
        self, server: Server, redis_url: str, publisher: Publisher, tmp_path: Path
    ) -> None:
        with subscribed(redis_url, "--channel", "news, update.*", directory=tmp_path) as service:
            for channel, heard in (("news", 1), ("update.a", 1), ("update.b", 1), ("update", 0), ("newspaper", 0)):
                assert publisher.publish([message(channel)], channel) == [heard]
            assert service.stops()["received"] == 3

        assert stored(server) == {name: record() for name in ("news", "update.a", "update.b")}

    def test_the_key_prefix_stands_before_every_type(
        self, server: Server, redis_url: str, publisher: Publisher, tmp_path: Path
    ) -> None:
        with subscribed(redis_url, "--key-prefix", "kv:", directory=tmp_path) as service:
            publisher.publish([message("a"), message("kv:b")])
            assert service.stops()["committed"] == 2

        assert stored(server) == {"kv:a": record(), "kv:kv:b": record()}

    def test_a_reader_of_the_persisted_channel_never_reads_older_than_it_was_told(
        self, server: Server, redis_url: str, publisher: Publisher, tmp_path: Path
    ) -> None:
        notices = ("--persisted-channel", "persisted", "--key-prefix", "kv:")
        with subscribed(redis_url, *notices, directory=tmp_path) as service, Publisher(server.port) as reader:
            reader.subscribe("persisted")
            for payload in (EXAMPLE, message('"quoted" \\ 東'), message("key", values="[2]")):
                publisher.publish([payload.replace(b'""quoted" \\', b'"\\"quoted\\" \\\\')])
                kind, channel, notice = reader.reply()
                assert (kind, channel) == (b"message", b"persisted")
                told = json.loads(notice)
                kept = json.loads(server.command("GET", "kv:" + told.pop("type")))
                assert told == kept
            assert service.stops()["committed"] == 3

        assert set(stored(server)) == {"kv:key", 'kv:"quoted" \\ 東'}


class TestAddresses:
    @pytest.fixture(params=TWO_UNLESS_LONG)
    def guarded(self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
        """A server with a password, which listens on a socket as well."""
        with Server(request.param, password=PASSWORD, unix_socket=tmp_path_factory.mktemp("s") / "s") as running:
            yield running

    @pytest.mark.parametrize("over", ["url", "unix_url"])
    def test_a_password_in_the_url_opens_a_tcp_and_a_unix_socket(
        self, guarded: Server, tmp_path: Path, over: str
    ) -> None:
        with subscribed(getattr(guarded, over), directory=tmp_path) as service:
            assert guarded.command("PUBLISH", "update", EXAMPLE) == 1
            assert service.stops()["committed"] == 1
            log = service.raw_log.decode()

        is_the_example(guarded.command("GET", "key"))
        assert ":***@" in log
        assert PASSWORD not in log
        assert getattr(guarded, over) not in log


class TestEmbedded:
    URL = re.compile(r"redis=redis://127\.0\.0\.1:(\d+)")

    def starts(self, directory: Path, url: str) -> int:
        """Run it, store the example, kill it; the port it had."""
        with started("--redis-url", url, "--channel", "update", directory=directory) as service:
            service.says("Subscribed")
            found = self.URL.search(service.raw_log.decode())
            assert found
            port = int(found[1])
            with Publisher(port) as publisher, Publisher(port) as listener:
                listener.subscribe("never")
                assert publisher.publish([EXAMPLE]) == [1]
                until(lambda: _get(port, "key"))
                is_the_example(_get(port, "key"))
                service.process.send_signal(signal.SIGKILL)
                assert service.ends() == -signal.SIGKILL
                with pytest.raises(AssertionError, match="closed the connection"):
                    listener.reply()
        return port

    def test_nothing_is_left_of_an_embedded_server_when_the_service_is_killed(self, tmp_path: Path) -> None:
        port = self.starts(tmp_path, "embedded://")

        until(lambda: is_free(port))
        assert not list(tmp_path.iterdir())

    def test_an_embedded_server_may_have_a_fixed_port(self, tmp_path: Path) -> None:
        with Server() as server:
            pass
        env = {"KV_UPDATER_REDIS_URL": f"embedded://:{server.port}"}
        with started(directory=tmp_path, env=env) as service:
            service.says(f"redis://127.0.0.1:{server.port}/0")

    def test_an_embedded_server_ends_with_a_service_that_is_told_to_stop(self, tmp_path: Path) -> None:
        with started("--redis-url", "embedded://", directory=tmp_path) as service:
            service.says("Subscribed")
            found = self.URL.search(service.raw_log.decode())
            assert found
            assert service.ends(signal.SIGTERM) == 0

        assert is_free(int(found[1]))
        assert not list(tmp_path.iterdir())


def _get(port: int, key: str) -> bytes | None:
    with Publisher(port) as connection:
        return connection.call("GET", key)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_it_runs_from_any_directory_and_leaves_no_file(redis_url: str, tmp_path: Path) -> None:
    with subscribed(redis_url, directory=tmp_path) as service:
        service.stops()

    assert not list(tmp_path.iterdir())
