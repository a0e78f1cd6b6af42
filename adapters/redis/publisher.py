"""The MessagePublisher port on Redis pub/sub."""

from adapters.redis.commands import Commands


class RedisPublisher:
    """PUBLISH."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    async def publish(self, channel: str | bytes, payload: bytes) -> int:
        receivers: int = await self._commands.call("PUBLISH", channel, payload)
        return receivers

    async def close(self) -> None:
        await self._commands.close()
