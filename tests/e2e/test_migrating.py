"""The way from the per-message loop to the service, and back, with the scripts of docs/migrating.md."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.documents import blocks
from tests.runbook import ROOT
from tests.servers import Server
from tests.service import DEADLINE, Publisher, stored, subscribed, until
from tests.world import message, record

_LOOP = ROOT / "tests" / "benchmarks" / "contestants" / "loop.py"
_SCRIPTS = blocks(ROOT / "docs" / "migrating.md", "python")
_SHADOW = ("--key-prefix", "shadow:", "--dead-letter-stream", "shadow-letters")
_TYPES = [f"key:{number}" for number in range(20)]


@pytest.fixture
def own() -> Iterator[Server]:
    with Server() as running:
        yield running


@contextmanager
def loop(own: Server, *, listeners: int = 1) -> Iterator[None]:
    """The per-message loop; `listeners`: how many there are with it."""
    own_settings = {"REDIS_URL": own.url, "CHANNEL": "update", "VALIDATE": "false"}
    env = os.environ | {f"KV_UPDATER_{name}": value for name, value in own_settings.items()}
    with subprocess.Popen([sys.executable, str(_LOOP)], env=env) as process:
        try:
            until(lambda: own.command("PUBSUB", "NUMSUB", "update")[1] == listeners)
            yield
        finally:
            process.kill()


def run(script: str, own: Server) -> str:
    """What the script of the page prints, on this server."""
    text = _SCRIPTS[script].replace("redis://localhost:6379/0", own.url)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=DEADLINE)
    return done.stdout


def round_of(second: int) -> list[bytes]:
    return [message(type_, f"2026-11-22T20:00:{second:02}Z", f"[{second}]") for type_ in _TYPES]


def holds(own: Server, second: int, prefix: str = "") -> bool:
    texts = own.command("MGET", *(prefix + type_ for type_ in _TYPES))
    return all(text and json.loads(text)["values"] == [second] for text in texts)


def test_beside_then_instead_and_back_again(own: Server, tmp_path: Path) -> None:
    with (
        ExitStack() as stack,
        Publisher(own.port) as publisher,
        subscribed(own.url, *_SHADOW, directory=tmp_path) as shadow,
    ):
        with loop(own, listeners=2):
            publisher.publish(round_of(1))
            until(lambda: holds(own, 1) and holds(own, 1, "shadow:"))
            assert run("compare.py", own) == ""

            # The loop lets the older one win.
            publisher.publish([message("key:7", "2026-11-22T19:00:00Z", "[0]"), *round_of(2)[:1]])
            until(lambda: all(b"[2]" in own.command("GET", f"{prefix}key:0") for prefix in ("", "shadow:")))
            told = run("compare.py", own).splitlines()
            assert (told[0], len(told)) == ("key:7", 3)

            service = stack.enter_context(subscribed(own.url, directory=tmp_path))
            service.says('"Ready"')
        publisher.publish(round_of(3))
        until(lambda: holds(own, 3) and holds(own, 3, "shadow:"))
        assert run("compare.py", own) == ""
        shadow.stops()
        run("remove_shadow.py", own)
        assert set(stored(own)) == set(_TYPES)

        with loop(own, listeners=2):
            service.stops()
            publisher.publish(round_of(4))
            until(lambda: holds(own, 4))


def test_while_both_write_the_same_keys_nothing_is_lost(own: Server, tmp_path: Path) -> None:
    with (
        Publisher(own.port) as publisher,
        loop(own),
        subscribed(own.url, directory=tmp_path) as service,
    ):
        for second in range(60):
            assert publisher.publish(round_of(second)) == [2] * len(_TYPES)
        until(lambda: holds(own, 59) and own.calls("set") >= 60 * len(_TYPES))
        totals = service.stops()
        assert holds(own, 59)
    assert totals["received"] == 60 * len(_TYPES)
    assert totals["rejected"] == totals["unstorable"] == totals["pending"] == 0


def test_a_write_takes_away_a_ttl_but_not_that_of_a_record_that_is_there_already(own: Server, tmp_path: Path) -> None:
    with Publisher(own.port) as publisher, subscribed(own.url, directory=tmp_path) as service:
        own.command("SET", "key", record(), "EX", 1000)
        publisher.publish([message("key"), message("other")])
        until(lambda: "other" in stored(own))
        assert own.command("TTL", "key") > 0
        publisher.publish([message("key", values="[2]")])
        until(lambda: stored(own)["key"] == record(values="[2]"))
        assert own.command("TTL", "key") == -1
        assert service.stops()["unchanged"] == 1
