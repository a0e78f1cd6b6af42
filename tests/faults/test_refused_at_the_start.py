"""What no retry can mend: one line says what is missing, and the service ends."""

from pathlib import Path

import pytest

from tests.faults.kinds import one_kind_unless_long
from tests.faults.table import Noted
from tests.kinds import SINCE_REDIS_7
from tests.servers import Server
from tests.service import started

REFUSED = "Redis refuses what the service needs"
SECRET = "not-for-logs"

pytestmark = one_kind_unless_long
commands = pytest.mark.parametrize("command", ["subscribe", "publish", "evalsha", "eval", "time", "get", "set"])
places = pytest.mark.parametrize("place", ["redis-url", "store-url"])


def ends_with_one_error(
    noted: Noted, fault: str, own: Server, directory: Path, flags: dict[str, str], *, setting: str = "redis_url"
) -> str:
    """What the line says; `flags` are those of the command line. It names the setting."""
    words = [word for name, value in flags.items() for word in (f"--{name}", value)]
    with noted(fault, own.kind) as row, started("--log-format", "json", *words, directory=directory) as service:
        assert service.ends() == 1
        told = service.logged(REFUSED)
        assert len(told) == 1, service.raw_log
        assert [entry for entry in service.entries if entry["level"] in ("WARNING", "ERROR")] == told
        assert len(service.entries) == len(service.raw_log.splitlines())
        assert service.logged("Ready") == []
        assert told[0]["setting"] == setting
        assert SECRET.encode() not in service.raw_log
        row.happened, row.lost = f"exit code 1: {told[0]['detail']}", "0"
        return str(told[0]["detail"])


@commands
def test_a_right_that_is_missing(noted: Noted, own: Server, tmp_path: Path, command: str) -> None:
    own.command("ACL", "SETUSER", "limited", "on", f">{SECRET}", "~*", "&*", "+@all", f"-{command}")
    url = own.url.replace("://", f"://limited:{SECRET}@")
    told = ends_with_one_error(noted, f"NOPERM at the start: {command}", own, tmp_path, {"redis-url": url})
    assert "NOPERM" in told
    assert command in told


@places
@pytest.mark.parametrize(
    ("name", "userinfo"),
    [
        ("NOAUTH", ""),
        ("WRONGPASS", f":{SECRET}-but-wrong@"),
        ("WRONGPASS for an account that is not there", f"nobody:{SECRET}@"),
    ],
)
def test_a_login(
    *, noted: Noted, own: Server, redis_url: str, tmp_path: Path, place: str, name: str, userinfo: str
) -> None:
    own.command("CONFIG", "SET", "requirepass", SECRET)
    flags = {"redis-url": redis_url, "store-url": redis_url} | {place: f"redis://{userinfo}127.0.0.1:{own.port}"}
    fault, setting = f"{name} at the start: {place.removesuffix('-url')}", place.replace("-", "_")
    told = ends_with_one_error(noted, fault, own, tmp_path, flags, setting=setting)
    assert ("uthentication required" if name == "NOAUTH" else "invalid username-password") in told


@places
def test_a_database_that_is_not_there(*, noted: Noted, own: Server, redis_url: str, tmp_path: Path, place: str) -> None:
    flags = {"redis-url": redis_url, "store-url": redis_url} | {place: f"redis://127.0.0.1:{own.port}/99"}
    fault, setting = f"no such database: {place.removesuffix('-url')}", place.replace("-", "_")
    told = ends_with_one_error(noted, fault, own, tmp_path, flags, setting=setting)
    assert "DB index is out of range" in told


@commands
def test_a_command_that_the_server_does_not_have(noted: Noted, own: Server, tmp_path: Path, command: str) -> None:
    with Server(own.kind, args=("--rename-command", command, "")) as server:
        flags = {"redis-url": server.url}
        told = ends_with_one_error(noted, f"unknown command at the start: {command}", own, tmp_path, flags)
    assert told.replace("`", "'").endswith(f"ERR unknown command '{command.upper()}'")


def test_a_server_without_sharded_pubsub(noted: Noted, own: Server, tmp_path: Path) -> None:
    has_none = () if own.kind not in SINCE_REDIS_7 else ("--rename-command", "SSUBSCRIBE", "")
    with Server(own.kind, args=has_none) as server:
        flags = {"redis-url": server.url, "transport": "sharded_pubsub"}
        told = ends_with_one_error(noted, "unknown command at the start: ssubscribe", own, tmp_path, flags)
    assert "needs Redis 7.0 or later" in told
