"""Bad input: told, counted, kept as a dead letter where those are on; it harms nothing that is good."""

import json
import re
import signal
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.kinds import ONE_UNLESS_LONG
from tests.servers import Server
from tests.service import Publisher, command, started, stored, subscribed, until
from tests.world import message, record

STRICT = ("--strict-timestamps",)
PATIENT = ("--shutdown-timeout", "25s")
UNHEARD = "nobody listens (those of a stream take --transport stream)"
LETTERS = ("--dead-letter-stream", "letters")
TIMES = {"updated": "2023-10-01T12:00:00Z", "valid": "2023-10-01T12:05:32Z"}

TOO_LARGE = [message("key", values='["' + "x" * 1000 + '"]'), b"{" * 1001]
UNDECODABLE = [
    b"",
    b"nonsense",
    b'{"type":"key","values":{}',
    b'{"type":"key","values":{}}}',
    b'{"type":"key","values":{"a":NaN}}',
    b'{"type":"key","values":[-Infinity]}',
    b'{"type":"key","values":[01]}',
    b"{'type':'key','values':{}}",
    b'\xef\xbb\xbf{"type":"key","values":{}}',
    b'{"type":"key\\ud800","values":{}}',
    b'{"type":"key","values":{"a":"\xff"}}',
    b'{"type":"key","values":{},"other":"\xc3("}',
    b'{"type":"key","values":["a\nb"]}',
    b'{"type":"key","values":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
]
MALFORMED = [
    b"[]",
    b"7",
    b"null",
    b'"key"',
    b'{"values":{}}',
    b'{"type":"key"}',
    b'{"type":7,"values":{}}',
    b'{"type":null,"values":{}}',
    b'{"type":"","values":{}}',
    b'{"type":"line\\nbreak","values":{}}',
    b'{"type":"\\u0000","values":{}}',
    message("x" * 513),
    message("東" * 171),
    b'{"type":"key","values":"text"}',
    b'{"type":"key","values":null}',
    b'{"type":"key","values":1}',
    b'{"type":"key","values":{},"updated":[]}',
    b'{"type":"key","values":{},"valid":true}',
]
FORBIDDEN = [message("kex"), message("other"), message("letters"), message("KEY")]
BAD_TIMES = [
    message("key", None),
    message("key", TIMES["updated"]),
    message("key", None, valid=TIMES["valid"]),
    message("key", "11/22/2026 8:28 PM -0500", valid=TIMES["valid"]),
    message("key", TIMES["updated"], valid="2023-10-01 12:05"),
    b'{"type":"key","values":{},"updated":1700000000,"valid":1700000000}',
]


@pytest.mark.parametrize(
    ("reason", "level", "payloads", "flags"),
    [
        ("too_large", "WARNING", TOO_LARGE, ("--max-message-bytes", "1000")),
        ("undecodable", "ERROR", UNDECODABLE, ()),
        ("malformed", "WARNING", MALFORMED, ()),
        ("forbidden_type", "WARNING", FORBIDDEN, ("--allowed-types", "key,l*,before*,after*", *LETTERS)),
        ("bad_timestamp", "WARNING", BAD_TIMES, STRICT),
    ],
)
def test_each_rule_has_its_reason_its_level_and_its_count_and_the_service_goes_on(
    *,
    server: Server,
    redis_url: str,
    tmp_path: Path,
    reason: str,
    level: str,
    payloads: list[bytes],
    flags: tuple[str, ...],
) -> None:
    good = {type_: record(**TIMES) for type_ in ("key", "before", "after")}
    # "key" comes first, so that bad news of the same type come to what is stored already.
    rejected = [payload for payload in payloads if payload != message("letters") or "letters" in flags]
    with subscribed(redis_url, *flags, directory=tmp_path) as service, Publisher(server.port) as publisher:
        publisher.publish([message("key", **TIMES), message("before", **TIMES)])
        until(lambda: len(stored(server)) == 2)
        publisher.publish([*rejected, message("after", **TIMES)])
        totals = service.stops()

        lines = [entry for entry in service.entries if entry["message"].startswith("Message rejected")]
        assert {(line["message"].removesuffix(" (more like it)"), line["level"]) for line in lines} == {
            (f"Message rejected: {reason}", level)
        }
        assert sum(line.get("count", 1) for line in lines) == len(rejected)
        assert all(line["detail"] and line["channel"] == "update" for line in lines if "count" not in line)

    assert (totals["rejected"], totals["committed"]) == (len(rejected), 3)
    found = stored(server)
    assert ("letters" in found) == ("letters" in flags)
    assert {key: text for key, text in found.items() if key != "letters"} == good


def test_what_is_stale_or_expired_is_counted_and_what_is_stored_stays(
    server: Server, redis_url: str, tmp_path: Path
) -> None:
    kept = message("key", "2023-10-01T12:00:00Z", valid="2999-01-01T00:00:00Z")
    with (
        subscribed(redis_url, "--expire-at-valid", directory=tmp_path) as service,
        Publisher(server.port) as publisher,
    ):
        publisher.publish([kept])
        until(lambda: stored(server))
        publisher.publish(
            [
                message("key", "2023-10-01T11:59:59Z", valid="2999-01-01T00:00:00Z"),
                message("key", "2023-10-01T12:00:01Z", valid="2023-10-01T12:00:02Z"),
            ]
        )
        totals = service.stops()

        assert [entry["level"] for entry in service.logged("Message stale: older than what is stored")] == ["WARNING"]

    assert (totals["stale"], totals["expired"], totals["committed"]) == (1, 1, 1)
    assert stored(server) == {"key": record("2023-10-01T12:00:00Z", valid="2999-01-01T00:00:00Z")}
    assert server.command("PTTL", "key") > 0


def test_100000_malformed_messages_are_a_handful_of_lines_and_a_count(
    server: Server, redis_url: str, tmp_path: Path
) -> None:
    with subscribed(redis_url, *PATIENT, directory=tmp_path) as service, Publisher(server.port) as publisher:
        publisher.publish([b'{"type":"key"}'] * 100_000)
        publisher.publish([message("good")])
        totals = service.stops()

        told = [entry for entry in service.entries if entry["message"].startswith("Message rejected: malformed")]
        assert len(service.entries) < 100
        assert sum(entry.get("count", 1) for entry in told) == 100_000

    assert (totals["rejected"], totals["committed"]) == (100_000, 1)
    assert stored(server) == {"good": record()}


@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_of_a_payload_that_a_terminal_or_a_template_would_obey_reaches_the_log(
    server: Server, redis_url: str, tmp_path: Path, form: str
) -> None:
    nasty = (
        b"\x1b[31mred\x1b]0;title\x07 {0} {type} {record[extra]} <red> %s %(x)d\r\n2026-01-01 FORGED \x00\x7f\xc2\x9b"
    )
    payloads = [nasty, b"\xff\xfe" + nasty, b"x" * 5000, "line\u2028separator \u202egnp".encode()]
    sneaky = message("type \u202egnp \u2028 {0}", "2023-10-01T12:00:00Z")
    env = {"KV_UPDATER_REDIS_URL": redis_url, "KV_UPDATER_LOG_FORMAT": form}
    with started("--log-level", "DEBUG", directory=tmp_path, env=env) as service, Publisher(server.port) as publisher:
        service.says("Subscribed")
        publisher.publish([sneaky])
        until(lambda: stored(server))
        publisher.publish([sneaky.replace(b"2023", b"2022"), *payloads])
        assert service.ends(signal.SIGTERM) == 0
        log = service.raw_log.decode()

    assert log.isascii() or log.replace("\n", "").isprintable()
    assert all(character.isprintable() or character == "\n" for character in log)
    lines = log.splitlines()
    assert log.count("Message rejected") == len(payloads)
    assert log.count("Message stale") == 1
    assert log.count("Record persisted") == 1
    assert all(re.match(r'\d{4}-\d\d-\d\d \d\d:|{"time": "', line) for line in lines)
    assert "{0} {type} {record[extra]} <red> %s %(x)d" in log
    assert max(map(len, lines)) < 1000


@pytest.mark.parametrize("server", ONE_UNLESS_LONG, indirect=True)
class TestDeadLetters:
    """The stream of what was not stored, and the commands on it."""

    BAD = message("late", "11/22/2025 8:28 PM -0500", '{"n":1}', "11/22/2025 8:30 PM -0500")
    NASTY = b'{"type":"\x1b[31m\r\n'
    GOOD = message("good", **TIMES)

    def letters(self, action: str, url: str, directory: Path, *flags: str) -> CompletedProcess[str]:
        env = {"KV_UPDATER_REDIS_URL": url, "KV_UPDATER_DEAD_LETTER_STREAM": "letters"}
        return command("dead-letters", action, *flags, directory=directory, env=env)

    def test_they_are_listed_replayed_after_the_rule_was_relaxed_and_purged(
        self, server: Server, redis_url: str, tmp_path: Path
    ) -> None:
        with (
            subscribed(redis_url, *LETTERS, *STRICT, directory=tmp_path) as service,
            Publisher(server.port) as publisher,
        ):
            publisher.publish([self.BAD, self.NASTY, self.GOOD])
            assert service.stops()["rejected"] == 2
        assert stored(server) == {"good": record(**TIMES), "letters": None}

        listed = self.letters("list", redis_url, tmp_path, "--json")
        rows = [json.loads(line) for line in listed.stdout.splitlines()]
        assert [(row["reason"], row["channel"]) for row in rows] == [
            ("bad_timestamp", "update"),
            ("undecodable", "update"),
        ]
        assert [row["payload"].encode() for row in rows] == [self.BAD, self.NASTY]
        assert [row["size"] for row in rows] == [len(self.BAD), len(self.NASTY)]

        plain = self.letters("list", redis_url, tmp_path)
        assert (listed.returncode, plain.returncode) == (0, 0)
        assert len(plain.stdout.splitlines()) == 2
        assert plain.stdout.replace("\n", "").isprintable()
        assert "reason=" in plain.stdout

        unheard = self.letters("replay", redis_url, tmp_path)
        assert (unheard.returncode, unheard.stdout) == (1, f"0 replayed, 2 stayed: {UNHEARD}\n")

        with subscribed(redis_url, *LETTERS, directory=tmp_path) as relaxed:
            replayed = self.letters("replay", redis_url, tmp_path)
            assert (replayed.returncode, replayed.stdout) == (0, "2 replayed\n")
            totals = relaxed.stops()
        assert (totals["received"], totals["committed"], totals["rejected"]) == (2, 1, 1)
        late = record("11/22/2025 8:28 PM -0500", '{"n":1}', "11/22/2025 8:30 PM -0500")
        assert stored(server) == {"good": record(**TIMES), "late": late, "letters": None}

        rest = self.letters("list", redis_url, tmp_path, "--json")
        assert [json.loads(line)["reason"] for line in rest.stdout.splitlines()] == ["undecodable"]
        purged = self.letters("purge", redis_url, tmp_path)
        assert (purged.returncode, purged.stdout) == (0, "1 removed\n")
        assert self.letters("list", redis_url, tmp_path).stdout == ""

    def test_a_cut_one_is_not_replayed(self, server: Server, redis_url: str, tmp_path: Path) -> None:
        flags = (*LETTERS, "--max-message-bytes", "100")
        with subscribed(redis_url, *flags, directory=tmp_path) as service, Publisher(server.port) as publisher:
            publisher.publish([message("key", values='["' + "x" * 1000 + '"]')])
            until(lambda: stored(server))
            replayed = self.letters("replay", redis_url, tmp_path)
            assert (replayed.returncode, replayed.stdout) == (1, "0 replayed, 1 stayed: cut\n")
            assert service.stops()["received"] == 1
        row = json.loads(self.letters("list", redis_url, tmp_path, "--json").stdout)
        assert row["size"] > len(row["payload"]) == 100

    def test_more_than_the_cap_are_trimmed_and_nothing_good_waits_for_them(
        self, server: Server, redis_url: str, tmp_path: Path
    ) -> None:
        flags = (*LETTERS, "--dead-letter-maxlen", "100")
        with subscribed(redis_url, *flags, directory=tmp_path) as service, Publisher(server.port) as publisher:
            publisher.publish([*[b"nonsense"] * 5000, self.GOOD])
            assert service.stops()["rejected"] == 5000
        assert stored(server) == {"good": record(**TIMES), "letters": None}
        # Whole nodes of the stream are trimmed, of a hundred entries each.
        assert 100 <= server.command("XLEN", "letters") <= 200

    @pytest.mark.parametrize("action", ["list", "replay", "purge"])
    def test_where_something_else_is_under_its_key_the_setting_is_named(
        self, server: Server, redis_url: str, tmp_path: Path, action: str
    ) -> None:
        server.command("SET", "letters", "mine")
        done = self.letters(action, redis_url, tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "kv-updater: dead_letter_stream: letters is no stream\n"
        assert stored(server) == {"letters": b"mine"}

    def test_where_something_else_is_under_the_key_that_one_is_replayed_to_no_other_is_blamed(
        self, server: Server, redis_url: str, tmp_path: Path
    ) -> None:
        with subscribed(redis_url, *LETTERS, directory=tmp_path) as service, Publisher(server.port) as publisher:
            publisher.publish([b"nonsense"])
            assert service.stops()["rejected"] == 1
        server.command("SET", "update", "mine")
        done = self.letters("replay", redis_url, tmp_path, "--transport", "stream")
        assert done.returncode == 1
        assert "WRONGTYPE" in done.stderr
        assert "dead_letter_stream" not in done.stderr
        assert server.command("XLEN", "letters") == 1

    def test_without_a_stream_there_is_one_line_that_says_so(self, redis_url: str, tmp_path: Path) -> None:
        done = command("dead-letters", "list", directory=tmp_path, env={"KV_UPDATER_REDIS_URL": redis_url})

        assert done.returncode == 2
        assert done.stderr == "kv-updater: dead_letter_stream: not set, so there are no dead letters\n"
