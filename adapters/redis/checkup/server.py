"""The server itself: what it is, and what its configuration does to messages and records."""

from typing import Any

import hiredis

from adapters.redis.checkup.findings import Told, fail, ok, skip, warn
from adapters.redis.checkup.sites import Site, Work
from adapters.redis.commands import Argument, Commands
from adapters.redis.error_replies import unavailable

Version = tuple[int, ...]

_OLDEST: Version = (6, 2)
_WITH_SHARDS: Version = (7, 0)
_DENIED = ("noperm", "unknown_command")
_MIB = 1024 * 1024
# What the servers have unless configured: 32 MiB, or 8 MiB for 60 s.
_HARD, _SOFT, _SECONDS = 32 * _MIB, 8 * _MIB, 60
_SET_LIMIT = 'CONFIG SET client-output-buffer-limit "pubsub 32mb 8mb 60"'
_NEARLY_FULL = 0.9


class Server:
    """One server, asked over `commands`; each question is a check. `version` is known after that of it, perhaps."""

    def __init__(self, commands: Commands, site: Site, work: Work) -> None:
        self._commands = commands
        self._site = site
        self._work = work
        self.version: Version | None = None

    async def tell_version(self) -> Told:
        info = await self._info("server")
        if info is None:
            return skip("the account may not INFO", "see that it is Redis 6.2 or later, or Valkey")
        product, version = "Redis", info.get("redis_version", "")
        self.version = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
        if "valkey_version" in info:
            product, version = "Valkey", info["valkey_version"]
        found = f"{product} {version}"
        if self.version < _OLDEST:
            return fail(found, "upgrade it to Redis 6.2 or later, or to Valkey")
        if self._site.messages and self._work.transport == "sharded_pubsub" and self.version < _WITH_SHARDS:
            return fail(f"{found} has no sharded pub/sub", "upgrade it to Redis 7.0 or later, or set transport: pubsub")
        if self._site.kind == "server" and "cluster" in (info.get("redis_mode"), info.get("server_mode")):
            return warn(f"{found}, a node of a cluster", f"begin {self._site.setting} with redis+cluster")
        return ok(found)

    async def tell_role(self) -> Told:
        (reply,) = await self._commands.calls(("ROLE",))
        if isinstance(reply, list):
            role, *master = [_text(word) if isinstance(word, bytes | str) else str(word) for word in reply[:3]]
        elif (info := await self._info("replication")) is not None:
            role, master = info.get("role", ""), [info.get("master_host", ""), info.get("master_port", "")]
        else:
            return skip("the account may use neither ROLE nor INFO", "see that it is a master, no replica")
        if role == "master":
            return ok("a master")
        setting = self._site.setting
        advice = f"name the master in {setting}, or its sentinels: redis+sentinel://"
        return fail(f"a replica of {':'.join(master)}", advice)

    async def tell_buffer_limit(self) -> Told:
        configured = await self._configured("client-output-buffer-limit")
        if configured is None:
            return skip(
                "the account may not CONFIG GET",
                f"an administrator can run CONFIG GET client-output-buffer-limit, and if it is less {_SET_LIMIT}",
            )
        words = configured.split()
        if "pubsub" not in words:
            return skip("the server does not tell the limit for pubsub")
        at = words.index("pubsub") + 1
        hard, soft, seconds = map(int, words[at : at + 3])
        found = f"pubsub {_size(hard)}, {_size(soft)} for {seconds} s"
        if _is_less(hard, soft, seconds):
            return warn(f"{found}: a burst may cut the subscription off", _SET_LIMIT)
        return ok(found)

    async def tell_memory(self) -> Told:
        info = await self._info("memory") or {}
        maxmemory = await self._configured("maxmemory") or info.get("maxmemory")
        policy = await self._configured("maxmemory-policy") or info.get("maxmemory_policy")
        if maxmemory is None or policy is None:
            advice = "an administrator can run CONFIG GET maxmemory*: unless it is 0, noeviction is the best policy"
            return skip("the account may use neither CONFIG GET nor INFO", advice)
        limit, used = int(maxmemory), int(info.get("used_memory", 0))
        if not limit:
            return ok("no limit")
        found = f"{_size(used)} of {_size(limit)}, {policy}" if used else f"{_size(limit)}, {policy}"
        if policy.startswith("allkeys") or (policy.startswith("volatile") and self._work.expires):
            advice = (
                "CONFIG SET maxmemory-policy noeviction, and in its configuration file;"
                " then watch kv_updater_store_errors_total for oom"
            )
            return warn(f"{found}: keys are evicted when it is full", advice)
        if used > _NEARLY_FULL * limit:
            return warn(
                f"{found}: nearly full, and then no record is written",
                "raise maxmemory by CONFIG SET, or bound allowed_types",
            )
        return ok(found)

    async def _info(self, section: str) -> dict[str, str] | None:
        """None: the account may not."""
        told = await self._ask("INFO", section)
        lines = [] if told is None else _text(told).splitlines()
        return None if told is None else dict(line.split(":", 1) for line in lines if ":" in line)

    async def _configured(self, name: str) -> str | None:
        """None: the account may not, or the server has no such parameter."""
        told = await self._ask("CONFIG", "GET", name)
        values = list(told.values() if isinstance(told, dict) else told or ())
        return _text(values[-1]) if values else None

    async def _ask(self, *command: Argument) -> Any:
        (reply,) = await self._commands.calls(command)
        if isinstance(reply, hiredis.ReplyError):
            error = unavailable(reply)
            if error.kind not in _DENIED:
                raise error
            return None
        return reply


def _is_less(hard: int, soft: int, seconds: int) -> bool:
    """0 is no limit. Less time above the soft one will do where that is as high as the hard one."""
    if hard and hard < _HARD:
        return True
    return bool(soft) and (soft < _SOFT or (seconds < _SECONDS and soft < _HARD))


def _size(number: int) -> str:
    """For a person; 0 is no limit."""
    if not number:
        return "no limit"
    return f"{number / _MIB:.3g} MiB" if number < 1024 * _MIB else f"{number / 1024 / _MIB:.3g} GiB"


def _text(reply: bytes | str) -> str:
    return reply.decode(errors="replace") if isinstance(reply, bytes) else reply
