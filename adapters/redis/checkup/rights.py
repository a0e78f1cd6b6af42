"""Tries what an account must be allowed, over a connection of its own."""

import asyncio
from collections.abc import Sequence
from typing import Any

import hiredis

from adapters.redis.checkup.findings import STEP, Told, fail, ok, skip, warn
from adapters.redis.checkup.needed_rights import NeededRights
from adapters.redis.checkup.server import Version
from adapters.redis.checkup.sites import Way
from adapters.redis.checkup.trials import Need, Trial
from adapters.redis.commands import Argument, Commands, encode
from adapters.redis.connecting import ConnectionFailed, LoginRefused, Socket
from adapters.redis.error_replies import unavailable
from application.ports import StoreUnavailable

_WITH_BRACKETS: Version = (7, 0)
# Since then there is this; where the account may not ask, Redis 6.2 gives itself away by the words of a refusal.
_BRACKETS = Trial("brackets", ("EVAL", "return redis.acl_check_cmd and 1 or 0", 0), asks=True)
_OLD_WORDS = "or its subcommand"
_INCOMPLETE = object()
_MESSAGES = (b"message", b"pmessage", b"smessage")


async def try_rights(commands: Commands, way: Way, rights: NeededRights, version: Version | None) -> list[Told]:
    """What is missing, by the rule that allows it; or that nothing is."""
    needs, useful = rights.needs(), rights.useful()
    trials = [_BRACKETS, *(trial for need in needs for trial in need.trials), *useful]
    replies = await _try_all(commands, way, trials)
    old = version < _WITH_BRACKETS if version else _has_no_brackets(replies)
    waived = rights.waived(replies)
    lacks = {need.rule: lack for need in needs if (lack := _missing(need, way, replies, waived, old=old))}
    rights.forbids_writes = any(need.writes and need.rule in lacks for need in needs)
    missing = [*lacks.values()]
    unknown = [trial.name for need in needs for trial in need.trials if _is_unknown(trial, replies[trial])]
    tried = sum(len(need.trials) for need in needs) - len(unknown)
    told = missing or [ok(f"{way.user} may do all that can be tried: {tried} commands")]
    if unknown:
        told.append(skip(f"cannot be tried here: {', '.join(unknown)}", "see docs/security.md whether the account may"))
    if lacking := [trial for trial in useful if _is_denied(trial, replies[trial])]:
        rules = " ".join(f"+{trial.name.lower().replace(' ', '|')}" for trial in lacking)
        names = ", ".join(trial.name for trial in lacking)
        told.append(
            warn(f"{way.user} may not {names}; it does without", f"append to the account, if you want: {rules}")
        )
    return told


def _has_no_brackets(replies: dict[Trial, Any]) -> bool:
    answer = replies[_BRACKETS]
    return answer == 0 if isinstance(answer, int) else any(_OLD_WORDS in str(reply) for reply in replies.values())


def _missing(need: Need, way: Way, replies: dict[Trial, Any], waived: set[str], *, old: bool) -> Told | None:
    absent = [trial.name for trial in need.trials if _kind(replies[trial]) == "unknown_command"]
    if absent:
        return fail(f"the server does not know {', '.join(absent)}", "it is too old, or the command was renamed there")
    denied = [trial.name for trial in need.trials if _is_denied(trial, replies[trial]) and trial.name not in waived]
    if not denied:
        return None
    rule = need.rule.strip("()").replace("%RW~", "~").replace("%R~", "~").replace("%W~", "~") if old else need.rule
    return fail(f"{way.user} may not {', '.join(denied)}", f"append to the account: {rule}")


def _kind(reply: Any) -> str:
    return unavailable(reply).kind if isinstance(reply, hiredis.ReplyError) else ""


def _is_denied(trial: Trial, reply: Any) -> bool:
    return reply == 0 if trial.asks else _kind(reply) == "noperm"


def _is_unknown(trial: Trial, reply: Any) -> bool:
    """Whether the answer to the question is none."""
    return trial.asks and not isinstance(reply, int)


async def _try_all(commands: Commands, way: Way, trials: Sequence[Trial]) -> dict[Trial, Any]:
    heard = [trial for trial in trials if str(trial.command[0]).endswith("SUBSCRIBE")]
    others = [trial for trial in trials if trial not in heard]
    replies = dict(zip(others, await commands.calls(*(trial.command for trial in others)), strict=True))
    if heard:
        replies |= zip(heard, await _listen(way, [trial.command for trial in heard]), strict=True)
    return replies


async def _listen(way: Way, commands: Sequence[tuple[Argument, ...]]) -> Sequence[Any]:
    try:
        ear = await way.connector.connect(_Ear)
    except (ConnectionFailed, LoginRefused) as error:
        raise StoreUnavailable("connection", str(error)) from None
    try:
        ear.transport.write(b"".join(map(encode, commands)))
        async with asyncio.timeout(STEP):
            return [await ear.replies.get() for _ in commands]
    finally:
        await ear.close()


class _Ear(Socket):
    """Keeps what is said about subscriptions, and nothing of what is published."""

    def __init__(self) -> None:
        self.replies: asyncio.Queue[Any] = asyncio.Queue()
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not _INCOMPLETE:
            if isinstance(reply, hiredis.ReplyError) or reply[0] not in _MESSAGES:
                self.replies.put_nowait(reply)
