"""What is under the keys that records would have."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import hiredis

from adapters.redis.checkup.findings import Told, ok, skip, warn
from adapters.redis.commands import Commands
from adapters.redis.error_replies import unavailable

_SECONDS = 2.0
_MOST_KEYS = 10_000
_MOST_BYTES = 32 * 1024 * 1024
# Keys that the server looks at in one go, and records that it sends in one.
_PAGE, _READ = 500, 20
_NAMED = 3
_GLOB = re.compile(r"[*?\[\]\\]")


@dataclass
class _Seen:
    records: int = 0
    bytes: int = 0
    denied: int = 0
    strings: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    @property
    def keys(self) -> int:
        return self.records + self.denied + len(self.strings) + len(self.others)


class Keyspace:
    """The keys of types that `permits` lets in. `only` are all of these, where they are so few that they are named."""

    def __init__(
        self,
        key_prefix: str,
        *,
        permits: Callable[[str], bool],
        is_record: Callable[[bytes], bool],
        only: Sequence[str] | None,
    ) -> None:
        self._prefix = key_prefix
        self._permits = permits
        self._is_record = is_record
        self._only = only

    async def tell(self, commands: Commands) -> list[Told]:
        """Of one server, for a while only. Raises StoreUnavailable."""
        seen, whole = _Seen(), False
        ends_at = asyncio.get_running_loop().time() + _SECONDS
        async for keys in self._pages(commands):
            if keys is None:
                return [skip("the account may not SCAN", "look for foreign keys by redis-cli --scan")]
            for at in range(0, len(keys), _READ):
                await self._read(commands, keys[at : at + _READ], seen)
                if seen.bytes > _MOST_BYTES:
                    break
            if asyncio.get_running_loop().time() > ends_at or seen.keys >= _MOST_KEYS or seen.bytes > _MOST_BYTES:
                break
        else:
            whole = True
        return [told async for told in self._told(commands, seen, whole=whole)]

    async def _pages(self, commands: Commands) -> AsyncIterator[list[str] | None]:
        """None: the account may not look."""
        if self._only is not None:
            yield [self._prefix + type_ for type_ in self._only if self._permits(type_)]
            return
        pattern = _GLOB.sub(r"\\\g<0>", self._prefix) + "*"
        cursor: bytes | int = 0
        while True:
            (reply,) = await commands.calls(("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE))
            if isinstance(reply, hiredis.ReplyError):
                if (error := unavailable(reply)).kind not in ("noperm", "unknown_command"):
                    raise error
                yield None
                return
            cursor, keys = reply
            # What is not UTF-8 is nobody's type.
            texts = [key.decode(errors="replace") for key in keys]
            yield [key for key in texts if "�" not in key and self._permits(key.removeprefix(self._prefix))]
            if cursor in (0, b"0"):
                return

    async def _read(self, commands: Commands, keys: Sequence[str], seen: _Seen) -> None:
        for key, reply in zip(keys, await commands.calls(*(("GET", key) for key in keys)), strict=True):
            if isinstance(reply, bytes):
                seen.bytes += len(reply)
                if self._is_record(reply):
                    seen.records += 1
                else:
                    seen.strings.append(key)
            elif isinstance(reply, hiredis.ReplyError):
                kind = unavailable(reply).kind
                seen.denied += kind == "noperm"
                if kind == "wrongtype":
                    seen.others.append(key)

    async def _told(self, commands: Commands, seen: _Seen, *, whole: bool) -> AsyncIterator[Told]:
        advice = "set key_prefix or allowed_types so that no message is for these keys"
        if seen.others:
            named = seen.others[:_NAMED]
            types = await commands.calls(*(("TYPE", key) for key in named))
            told = (
                f"{key} ({type_.decode()})" if isinstance(type_, bytes) else key
                for key, type_ in zip(named, types, strict=True)
            )
            found = f"{_number(seen.others, 'key')} of another Redis type: {_some(list(told), seen.others)}"
            yield warn(f"{found}; messages of these types are unstorable", advice)
        if seen.strings:
            found = _number(seen.strings, "foreign string")
            yield warn(f"{found}: {_some(seen.strings[:_NAMED], seen.strings)}; they would be overwritten", advice)
        if seen.denied:
            yield skip(
                f"{seen.denied} of {seen.keys} keys may not be read",
                "see that the account's keys are those of key_prefix",
            )
        elif not (seen.others or seen.strings):
            yield ok(f"{seen.records} records and nothing else{'' if whole else ', as far as was looked'}")


def _number(keys: Sequence[str], what: str) -> str:
    return f"{len(keys)} {what}{'s' if len(keys) > 1 else ''}"


def _some(named: Sequence[str], keys: Sequence[str]) -> str:
    return ", ".join(named) + (", ..." if len(keys) > len(named) else "")
