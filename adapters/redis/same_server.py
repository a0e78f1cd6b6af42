"""Notices that another server answers, perhaps, than the one that has answered before."""

from adapters.redis.cluster_commands import SlotCommands
from adapters.redis.commands import Commands
from application.ports import StoreUnavailable

MOVED = "elsewhere"
"""The kind of error that says so of a key that another node of a cluster serves now."""


class SameServer:
    """One connection. What was settled on the server before may be pending on the next one: it must be asked."""

    def __init__(self, commands: Commands | SlotCommands) -> None:
        self._commands = commands
        self._first: tuple[int, int] | None = None

    def forget(self) -> None:
        """Whoever answers next may be any."""
        self._first = None

    def check(self) -> None:
        """An answer has come: raises StoreUnavailable unless it is from where the first one came from."""
        commands = self._commands
        reconnects, moves = commands.reconnects, commands.moves if isinstance(commands, SlotCommands) else 0
        if self._first is None:
            self._first = reconnects, moves
        elif moves != self._first[1]:
            raise StoreUnavailable(MOVED, "another node serves the stream now")
        elif reconnects != self._first[0]:
            raise StoreUnavailable("connection", "the connection was lost between two answers")
