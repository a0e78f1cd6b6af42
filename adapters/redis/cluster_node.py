"""One node of a Redis Cluster: a connection for commands, and the sense not to wait for a node that is frozen."""

import asyncio
from typing import Any

from adapters.redis.commands import Argument, Commands
from application.ports import StoreUnavailable


class Node:
    """Where a call is not answered in time, those that follow fail at once, until the node answers a PING.

    So a frozen node holds up what goes to the others for one timeout, and not for one in every batch.
    """

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._waking: asyncio.Task[bool] | None = None

    @property
    def reconnects(self) -> int:
        """As `Commands.reconnects`."""
        return self._commands.reconnects

    async def calls(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """As `Commands.calls`."""
        if self._waking is not None:
            if self._waking.done():
                self._waking = None if self._waking.result() else self._start_waking()
            if self._waking is not None:
                raise StoreUnavailable("timeout", "the node does not answer")
        try:
            return await self._commands.calls(*commands)
        except StoreUnavailable as error:
            if error.kind == "timeout" and self._waking is None:
                self._waking = self._start_waking()
            raise

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        waking, self._waking = self._waking, None
        if waking is not None:
            waking.cancel()
            await asyncio.gather(waking, return_exceptions=True)
        await self._commands.close()

    def _start_waking(self) -> asyncio.Task[bool]:
        return asyncio.create_task(self._wakes(), name="wake")

    async def _wakes(self) -> bool:
        """Whether there is something better to say of the node than that it does not answer."""
        try:
            await self._commands.calls(("PING",))
        except StoreUnavailable as error:
            return error.kind != "timeout"
        return True
