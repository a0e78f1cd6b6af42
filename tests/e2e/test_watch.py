"""`watch` as a person uses it: lines where they are piped, a table on a terminal; it follows what is stored."""

import json
import os
import pty
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from struct import pack
from termios import TIOCSWINSZ

import pytest

from tests.servers import Server
from tests.service import Publisher, Service, started, subscribed, until
from tests.world import message, record

NASTY = '{"a":"\\u001b[31m<script>\\u202e","__proto__":[1]}'


@contextmanager
def watching(url: str, *arguments: str, directory: Path, terminal: int | None = None) -> Iterator[Service]:
    with started("watch", "--redis-url", url, *arguments, directory=directory, terminal=terminal) as watch:
        yield watch


def lines(watch: Service) -> list[str]:
    return watch.output.split("\n")[:-1]


def test_every_record_is_a_line_and_then_each_change(server: Server, redis_url: str, tmp_path: Path) -> None:
    server.command("SET", "there", record(values="[0]"))
    server.command("SET", "no record", "text")
    with (
        subscribed(redis_url, directory=tmp_path) as updater,
        watching(redis_url, "--json", directory=tmp_path) as watch,
        Publisher(server.port) as publisher,
    ):
        until(lambda: [json.loads(line)["type"] for line in lines(watch)] == ["there"], lambda: watch.raw_log)
        for number in range(3):
            assert publisher.publish([message("new", f"2023-10-01T12:00:0{number}Z", f"[{number}]")]) == [2]
            until(lambda number=number: len(lines(watch)) == number + 2)
        assert watch.ends(signal.SIGINT) == 0
        assert [json.loads(line) for line in lines(watch)[1:]] == [
            {"type": "new", "updated": f"2023-10-01T12:00:0{number}Z", "valid": None, "values": [number]}
            for number in range(3)
        ]
        assert watch.raw_log == b""
        updater.stops()


def test_globs_choose_and_what_a_publisher_wrote_is_text(server: Server, redis_url: str, tmp_path: Path) -> None:
    for type_ in ("a1", "a2", "b"):
        server.command("SET", type_, record(values=NASTY))
    with watching(redis_url, "a*", directory=tmp_path) as watch:
        until(lambda: len(lines(watch)) == 2, lambda: watch.raw_log)
        assert sorted(line.split(" ")[1] for line in lines(watch)) == ["a1", "a2"]
        assert all(line.isprintable() for line in lines(watch))
        assert watch.ends(signal.SIGTERM) == 0


def test_a_list_chooses_too_and_where_nothing_matches_that_is_said(
    server: Server, redis_url: str, tmp_path: Path
) -> None:
    for type_ in ("a1", "b1", "c1"):
        server.command("SET", type_, record())
    with watching(redis_url, "a*,b*", directory=tmp_path) as watch:
        until(lambda: sorted(line.split(" ")[1] for line in lines(watch)) == ["a1", "b1"], lambda: watch.raw_log)
        assert watch.ends(signal.SIGTERM) == 0
    with watching(redis_url, "nothing", directory=tmp_path) as watch:
        watch.says("none of 3 records matches yet")
        server.command("DEL", "a1", "b1", "c1")
        assert watch.ends(signal.SIGTERM) == 0
        assert watch.output == ""


def test_a_pipe_that_nobody_empties_does_not_keep_it_from_ending(
    server: Server, redis_url: str, tmp_path: Path
) -> None:
    server.command("SET", "large", record(values=f'["{"x" * 200_000}"]'))
    ours, theirs = os.pipe()
    with watching(redis_url, "--json", directory=tmp_path, terminal=theirs) as watch:
        assert os.read(ours, 1)
        assert watch.ends(signal.SIGTERM) == 0
    with watching(redis_url, "--json", directory=tmp_path, terminal=theirs) as watch:
        os.close(theirs)
        os.close(ours)
        assert watch.ends() == 0
        assert watch.raw_log == b""


def test_on_a_terminal_it_is_a_table_that_follows(server: Server, redis_url: str, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, pack("HHHH", 20, 100, 0, 0))
    os.set_blocking(ours, False)
    shown = ""

    def shows(text: str) -> bool:
        nonlocal shown
        try:
            shown += os.read(ours, 1 << 16).decode(errors="replace")
        except BlockingIOError:
            pass
        return text in shown

    server.command("SET", "door", record("2023-10-01T12:00:00Z", NASTY, "2023-10-01T12:05:00Z"))
    server.command("SET", "inside an emoji", record(values='["\\ud83d"]'))
    with (
        subscribed(redis_url, directory=tmp_path) as updater,
        watching(redis_url, directory=tmp_path, terminal=theirs) as watch,
        Publisher(server.port) as publisher,
    ):
        until(lambda: shows("overdue") and shows("up to date"), lambda: shown)
        assert "door" in shown
        assert '["\\ud83d"]' in shown
        assert "\x1b[31m<script>" not in shown
        publisher.publish([message("window", values='{"open":true}')])
        until(lambda: shows("window") and shows("2 records"), lambda: shown)
        assert watch.ends(signal.SIGINT) == 0
        updater.stops()
    for end in (ours, theirs):
        os.close(end)


def test_a_server_that_is_away_for_a_while_is_told_and_followed_again(tmp_path: Path) -> None:
    with Server(data_dir=tmp_path) as own, watching(own.url, "--json", directory=tmp_path) as watch:
        own.command("SET", "a", record(values="[1]"))
        with Publisher(own.port) as publisher:
            until(
                lambda: publisher.publish([message("a", values="[1]")]) == [1] and lines(watch), lambda: watch.raw_log
            )
        own.kill()
        watch.says("Not subscribed")
        own.start()
        own.command("SET", "b", record(values="[2]"))
        until(lambda: [json.loads(line)["type"] for line in lines(watch)] == ["a", "b"], lambda: watch.output)
        assert watch.ends(signal.SIGINT) == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--redis-url", "memory://"), "takes the address of a running server"),
        (("--transport", "stream"), "persisted_channel"),
    ],
)
def test_what_cannot_be_watched_is_refused_in_one_line(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    with started("watch", *arguments, directory=tmp_path) as watch:
        assert watch.ends() == 2
        assert told in watch.raw_log.decode()
        assert watch.raw_log.count(b"\n") == 1


def test_an_account_that_may_not_subscribe_is_told_in_one_line(server: Server, tmp_path: Path) -> None:
    with Server(server.kind) as own:
        own.command("ACL", "SETUSER", "reader", "on", ">right", "~*", "+@all", "-subscribe")
        url = own.url.replace("://", "://reader:right@")
        with started("watch", "--redis-url", url, directory=tmp_path) as watch:
            assert watch.ends() == 1
            assert b"Redis refuses what watch needs: NOPERM" in watch.raw_log
