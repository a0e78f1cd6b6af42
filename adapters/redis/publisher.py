"""The MessagePublisher port on Redis pub/sub and streams."""

from typing import Any

from adapters.redis.any_node import AnyNode
from adapters.redis.cluster import Cluster
from adapters.redis.cluster_commands import ClusterCommands, SlotCommands
from adapters.redis.commands import Argument, Commands
from application.ports import StoreUnavailable


class RedisPublisher:
    """`verb`: PUBLISH, SPUBLISH for shard channels, or XADD for streams: there the payload is the field `message`."""

    def __init__(self, commands: Commands, verb: str = "PUBLISH") -> None:
        self._commands = commands
        self._verb = verb

    async def publish(self, channel: str | bytes, payload: bytes) -> int:
        return _receivers(await self._commands.call(*_command(self._verb, channel, payload)))

    async def close(self) -> None:
        await self._commands.close()


class ClusterPublisher:
    """PUBLISH on one node. A subscriber by pattern counts only where it is on that node."""

    def __init__(self, cluster: Cluster, *, timeout: float) -> None:
        self._cluster = cluster
        self._node = AnyNode(cluster)
        self._commands = Commands(self._node, timeout=timeout)
        self._everywhere = ClusterCommands(cluster, timeout=timeout)

    async def publish(self, channel: str | bytes, payload: bytes) -> int:
        receivers: int = await self._commands.call("PUBLISH", channel, payload)
        others = [address for address in self._cluster.nodes if address != self._node.at]
        for reply in await self._everywhere.ask(others, ("PUBSUB", "NUMSUB", channel)):
            receivers += 0 if isinstance(reply, StoreUnavailable) else reply[1]
        return receivers

    async def close(self) -> None:
        await self._commands.close()
        await self._everywhere.close()


class SlotPublisher:
    """SPUBLISH or XADD on the master that serves the channel or stream. A subscriber counts only where it is there."""

    def __init__(self, commands: ClusterCommands, verb: str) -> None:
        self._commands = commands
        self._verb = verb

    async def publish(self, channel: str | bytes, payload: bytes) -> int:
        command = _command(self._verb, channel, payload)
        return _receivers(await SlotCommands(self._commands, channel).call(*command))

    async def close(self) -> None:
        await self._commands.close()


def _command(verb: str, channel: str | bytes, payload: bytes) -> tuple[Argument, ...]:
    return (verb, channel, "*", "message", payload) if verb == "XADD" else (verb, channel, payload)


def _receivers(reply: Any) -> int:
    return reply if isinstance(reply, int) else 1  # the id of an entry
