"""How the server treats a pub/sub subscriber: by what role, and how much it holds for it that could not be sent."""

import re
from typing import Any

from adapters.redis.any_node import ProbeCommands
from adapters.redis.commands import Argument, Commands
from application.events import OutputBufferGrows, SubscribedToReplica
from application.ports import MasterReplaced, Observer

_OMEM = re.compile(rb"\bomem=(\d+)")
# Bytes in an output buffer that are more than what comes in one turn of the server and goes in the next.
_FLOOD = 64 * 1024
# Where CONFIG GET is denied: what Redis and Valkey have for pub/sub clients unless configured, 32 MB, or 8 MB for 60 s.
_DEFAULT_LIMIT = 8 * 1024 * 1024


class SubscriberWatch:
    """Of one subscriber. An account that may use none of ROLE, CLIENT LIST and CONFIG GET learns nothing by it."""

    def __init__(self, commands: Commands | ProbeCommands, observer: Observer) -> None:
        self._commands = commands
        self._observer = observer
        self._was_master = self._is_told = False
        self.output_buffer_bytes = 0
        """What waited at the server when it was last looked at."""

    @property
    def sees_flood(self) -> bool:
        """Whether that was much."""
        return self.output_buffer_bytes > _FLOOD

    def questions(self, client_id: int | None) -> tuple[tuple[Argument, ...], ...]:
        """What to ask the subscriber's server; `client_id` is the subscriber's."""
        return ("ROLE",), ("CLIENT", "LIST", "ID", client_id or 0)

    async def look(self, role: Any, clients: Any) -> None:
        """At the answers; warns before the server cuts the subscriber off. Raises MasterReplaced, StoreUnavailable."""
        self.check_role(role)
        found = _OMEM.search(clients) if isinstance(clients, bytes) else None
        self.output_buffer_bytes = int(found[1]) if found else 0
        if self.output_buffer_bytes:
            await self._check_buffer(self.output_buffer_bytes)

    def forget(self) -> None:
        """The next subscription may be to another server."""
        self._was_master = self._is_told = False
        self.output_buffer_bytes = 0

    def check_role(self, role: Any) -> None:
        """At that alone. Raises MasterReplaced."""
        if not isinstance(role, list):
            return
        kind, *_, link, _ = role if role[0] == b"slave" else (role[0], b"", b"")
        is_master = kind == b"master"
        if self._was_master and not is_master:
            raise MasterReplaced("the server is a replica now: publishers have gone to another")
        if kind == b"slave" and link != b"connected":
            raise MasterReplaced(f"the server is a replica without its master: {link.decode(errors='replace')}")
        if kind == b"slave" and not self._is_told:
            self._is_told = True
            self._observer.notice(SubscribedToReplica())
        self._was_master = is_master

    async def _check_buffer(self, omem: int) -> None:
        (reply,) = await self._commands.calls(("CONFIG", "GET", "client-output-buffer-limit"))
        limit = _limit_of(reply)
        if limit and omem > limit // 2:
            self._observer.notice(OutputBufferGrows(omem, limit))


def _limit_of(reply: Any) -> int:
    """The smaller of the two limits for pub/sub clients, hard and soft; 0: neither is set."""
    texts = list(reply.values() if isinstance(reply, dict) else reply) if isinstance(reply, dict | list) else []
    words = texts[-1].split() if texts else []
    if b"pubsub" not in words:
        return _DEFAULT_LIMIT
    at = words.index(b"pubsub") + 1
    return min((limit for limit in map(int, words[at : at + 2]) if limit), default=0)
