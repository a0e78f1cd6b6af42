"""The MessagePublisher port on Redis pub/sub."""

from adapters.redis.any_node import AnyNode
from adapters.redis.cluster import Cluster
from adapters.redis.cluster_commands import ClusterCommands, SlotCommands
from adapters.redis.commands import Commands
from application.ports import StoreUnavailable


class RedisPublisher:
    """`command`: PUBLISH, or SPUBLISH for shard channels."""

    def __init__(self, commands: Commands, command: str = "PUBLISH") -> None:
        self._commands = commands
        self._command = command

    async def publish(self, channel: str | bytes, payload: bytes) -> int:
        receivers: int = await self._commands.call(self._command, channel, payload)
        return receivers

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


class ShardPublisher:
    """SPUBLISH on the master that serves the channel. A subscriber counts only where it is on that node."""

    def __init__(self, commands: ClusterCommands) -> None:
        self._commands = commands

    async def publish(self, channel: str | bytes, payload: bytes) -> int:
        receivers: int = await SlotCommands(self._commands, channel).call("SPUBLISH", channel, payload)
        return receivers

    async def close(self) -> None:
        await self._commands.close()
