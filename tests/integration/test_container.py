"""The composition root: every provider can be made, for every backend, and nothing is opened by making it."""

import io
import subprocess
import sys

import pytest
from dependency_injector.errors import Error
from loguru import logger

from application.kv_updater import KVUpdater
from entrypoints.container import Container
from entrypoints.container.checking import CheckContainer
from entrypoints.settings import load_settings
from tests.world import message

PASSWORD = "hunter2"
BACKENDS = [
    {"redis_url": "memory://"},
    {"redis_url": "redis://127.0.0.1:1"},
    {"redis_url": "unix:///nowhere.sock"},
    {"redis_url": "rediss://127.0.0.1:1", "store_url": "redis://127.0.0.1:2"},
    {"redis_url": "embedded://:7000"},
    {"redis_url": "redis://127.0.0.1:1", "store_url": "redis+cluster://127.0.0.1:2,127.0.0.1:3"},
    {"redis_url": "redis+cluster://127.0.0.1:2", "store_url": "redis+sentinel://127.0.0.1:2/orders"},
    {"redis_url": "rediss+cluster://127.0.0.1:2"},
]
WITH_SERVERS = [backend for backend in BACKENDS if not backend["redis_url"].startswith(("memory:", "embedded:"))]
OPTIONS = [
    {},
    {"ordering": "arrival", "validate": True, "log_level": "DEBUG"},
    {"transport": "sharded_pubsub", "probe_interval": 0},
    {"transport": "stream", "channel": "update,price", "persisted_channel": "done"},
    {"dead_letter_stream": "dead", "key_prefix": "d", "expire_at_valid": True, "allowed_types": "a*"},
]


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: " and ".join(backend.values()))
@pytest.mark.parametrize("options", OPTIONS, ids=["defaults", "arrival", "shards", "streams", "dead letters"])
def test_every_provider_can_be_made(
    backend: dict[str, str], options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend["redis_url"] == "memory://" and "transport" in options:
        options = {**options, "transport": "pubsub"}
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    container = Container(settings=load_settings({**backend, **options}).settings)
    made = {name: provider() for name, provider in container.providers.items()}
    assert isinstance(made["updater"], KVUpdater)
    assert made["updater"].tally is made["tally"]


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{PASSWORD}@127.0.0.1:1",
        f"unix:///nowhere.sock?password={PASSWORD}",
        f"redis+sentinel://:{PASSWORD}@127.0.0.1:1/orders?sentinel_password={PASSWORD}",
        f"rediss+cluster://:{PASSWORD}@127.0.0.1:1?ssl_password={PASSWORD}",
    ],
)
@pytest.mark.parametrize("options", OPTIONS, ids=["defaults", "arrival", "shards", "streams", "dead letters"])
def test_nothing_that_is_made_shows_a_password(url: str, options: dict[str, object]) -> None:
    loaded = load_settings({"redis_url": url, "store_url": url, **options})
    container, checking = Container(settings=loaded.settings), CheckContainer(settings=loaded.settings)
    shown = [loaded, loaded.settings, loaded.settings.model_dump(), loaded.settings.model_dump_json(), container]
    # The URLs alone are what they are.
    shown += [made for provider in container.providers.values() if not isinstance(made := provider(), str)]
    shown += [checking.checkup(), *checking.checkup()._sites]
    assert len(shown) > 20
    for thing in shown:
        assert PASSWORD not in f"{thing} {thing!r}"


@pytest.mark.parametrize("backend", WITH_SERVERS, ids=lambda backend: " and ".join(backend.values()))
@pytest.mark.parametrize("options", OPTIONS, ids=["defaults", "arrival", "shards", "streams", "dead letters"])
def test_what_looks_at_servers_can_be_made(backend: dict[str, str], options: dict[str, object]) -> None:
    checkup = CheckContainer(settings=load_settings({**backend, **options}).settings).checkup()
    assert [site.records for site in checkup._sites] == ([False, True] if "store_url" in backend else [True])


def test_what_is_no_settings_is_refused() -> None:
    container = Container(settings={"redis_url": "memory://"})
    with pytest.raises(Error, match="is not an instance of"):
        container.backend()


def test_the_observer_writes_to_the_log_that_is_set_up_later() -> None:
    container = Container(settings=load_settings({"redis_url": "memory://"}).settings)
    assert container.observer()._logger._core is logger._core


def test_what_is_the_service_s_own_is_a_reserved_type() -> None:
    flags = {"redis_url": "memory://", "dead_letter_stream": "kv:dead", "key_prefix": "kv:"}
    assert forbidden(flags, "dead", "update", "kv:dead", "kv-updater:entry-ids") == ["dead"]


def test_with_streams_they_and_the_ids_of_their_entries_are_too() -> None:
    flags = {"redis_url": "redis://localhost", "transport": "stream", "channel": "update,price"}
    own = ["update", "price", "kv-updater:entry-ids", "kv-updater:entry-ids:{42}"]
    assert forbidden(flags, *own, "price:ACME", "price:{ACME}", "dead") == own


@pytest.mark.parametrize(
    ("options", "entries"),
    [
        ({}, 256),
        ({"max_message_bytes": 1000}, 1000),
        ({"max_pending_keys": 100}, 25),
        ({"max_pending_bytes": "10MiB"}, 5),
        ({"max_backlog_bytes": "64KiB"}, 1),
        ({"channel": "a,b,c,d"}, 64),
    ],
)
def test_what_a_read_of_streams_brings_is_bounded_by_the_room_for_it(options: dict[str, object], entries: int) -> None:
    settings = load_settings({"redis_url": "redis://127.0.0.1:1", "transport": "stream", **options}).settings
    readers = Container(settings=settings).subscriber()._readers.values()
    assert [reader._count for reader in readers] == [entries] * len(settings.channel)


def forbidden(flags: dict[str, str], *types: str) -> list[str]:
    validator = Container(settings=load_settings(flags).settings).validator()
    verdicts = {type_: validator.accept(message(type_), b"update") for type_ in types}
    return [type_ for type_, verdict in verdicts.items() if getattr(verdict, "reason", None) == "forbidden_type"]


def test_to_start_no_web_framework_is_imported_though_it_is_installed() -> None:
    program = (
        "import sys, entrypoints.runner, entrypoints.container; print(*{'fastapi', 'starlette'} & set(sys.modules))"
    )
    pytest.importorskip("fastapi")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
