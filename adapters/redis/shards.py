"""Which node serves which shard channel: of a Redis Cluster that of its slot, else the one server there is."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from adapters.redis.cluster import Address, Cluster, redirection
from adapters.redis.connecting import Connects
from adapters.redis.hash_slots import in_slot, slot_of
from application.ports import StoreRefused, StoreUnavailable, SubscriptionLost, SubscriptionRefused


@dataclass(frozen=True, slots=True)
class Shard:
    """Channels that one node serves. `slots`: those of each slot; a server takes no more in one command."""

    node: Address | None
    slots: tuple[tuple[str, ...], ...]
    connector: Connects = field(compare=False, repr=False)

    @property
    def channels(self) -> str:
        """Their names, for a person."""
        return ", ".join(channel for slot in self.slots for channel in slot)

    def with_a_channel(self, name: str) -> str:
        """The name with something behind it that puts it into the slot of a channel."""
        return in_slot(name, slot_of(self.slots[0][0]))


class Shards(Protocol):
    """Knows where the channels are."""

    async def of(self, channels: Sequence[str]) -> Sequence[Shard]:
        """Where they are now. Raises SubscriptionLost or SubscriptionRefused."""
        ...

    def failed(self, shard: Shard, error: BaseException) -> None:
        """The node does not answer, or does not serve all of these channels any more: so it said."""
        ...


class OneShard:
    """A server that is no cluster takes shard channels too, whatever their slots."""

    def __init__(self, connector: Connects) -> None:
        self._connector = connector

    async def of(self, channels: Sequence[str]) -> Sequence[Shard]:
        """All in one."""
        return [Shard(None, (tuple(channels),), self._connector)]

    def failed(self, shard: Shard, error: BaseException) -> None:
        """There is no other."""


class ClusterShards:
    """The masters of the channels' slots."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def of(self, channels: Sequence[str]) -> Sequence[Shard]:
        """One for each master that serves some of them."""
        try:
            await self._cluster.settle()
        except StoreUnavailable as error:
            error_class = SubscriptionRefused if isinstance(error, StoreRefused) else SubscriptionLost
            raise error_class(str(error)) from None
        by_slot: defaultdict[int, list[str]] = defaultdict(list)
        for channel in channels:
            by_slot[slot_of(channel)].append(channel)
        by_node: defaultdict[Address, list[tuple[str, ...]]] = defaultdict(list)
        for slot, names in by_slot.items():
            node = self._cluster.master_of(slot)
            if node is None:
                raise SubscriptionLost(f"no node serves slot {slot}, of {', '.join(names)}")
            by_node[node].append(tuple(names))
        return [Shard(node, tuple(slots), self._cluster.connector(node)) for node, slots in by_node.items()]

    def failed(self, shard: Shard, error: BaseException) -> None:
        """Look anew at where the slots are, unless the node said it."""
        if shard.node is None:
            return
        if str(error).startswith("MOVED "):
            self._cluster.moved(*redirection(str(error), shard.node))
        else:
            self._cluster.doubt(shard.node)
