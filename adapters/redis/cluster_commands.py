"""Sends commands to the nodes of a Redis Cluster that serve their slots, and follows the slots where they go."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import hiredis

from adapters.redis.cluster import Address, Cluster, redirection
from adapters.redis.cluster_node import Node
from adapters.redis.commands import Argument, Commands
from adapters.redis.error_replies import unavailable
from adapters.redis.hash_slots import slot_of
from application.ports import StoreUnavailable

Command = tuple[Argument, ...]

# A slot may have gone on by the time that its new node is asked, but not again and again.
_REDIRECTIONS = 5
# Said by a node that does not serve for now, or has lost sight of the others: those may know more.
_DOUBTS = frozenset({"clusterdown", "masterdown", "loading"})


class _Route(NamedTuple):
    """Where a command goes. `asking`: the slot is on its way there, and the keys of the command have arrived."""

    address: Address
    asking: bool = False


class ClusterCommands:
    """A connection to each node, made when it is first needed; `timeout` (seconds) bounds each reply."""

    def __init__(self, cluster: Cluster, *, timeout: float) -> None:
        self._cluster = cluster
        self.timeout = timeout
        self._nodes: dict[Address, Node] = {}

    @property
    def reconnects(self) -> int:
        """How often a connection to a node was made anew; to go to another node is none."""
        return sum(node.reconnects for node in self._nodes.values())

    async def calls(self, commands: Sequence[tuple[int, Command]]) -> list[Any]:
        """The replies to commands, each given with its slot; those of one node are sent in one write.

        An error reply is among them as a StoreUnavailable, and so is a node that could not be reached: then its
        commands may still be executed. Raises StoreUnavailable where no node has ever told the slots.
        """
        await self._cluster.settle()
        replies: dict[int, Any] = {}
        routes: dict[int, _Route] = {}
        for index, (slot, _) in enumerate(commands):
            address = self._cluster.master_of(slot)
            if address is None:
                replies[index] = StoreUnavailable("clusterdown", f"no node serves slot {slot}")
            else:
                routes[index] = _Route(address)
        for _ in range(_REDIRECTIONS):
            by_route: defaultdict[_Route, dict[int, Command]] = defaultdict(dict)
            for index, route in routes.items():
                by_route[route][index] = commands[index][1]
            for told in await asyncio.gather(*(self._send(route, sent) for route, sent in by_route.items())):
                replies |= told
            moved = ((index, self._redirected(route, replies[index])) for index, route in routes.items())
            routes = {index: route for index, route in moved if route is not None}
            if not routes:
                break
        return [replies[index] for index in range(len(commands))]

    def node_of(self, slot: int) -> Address | None:
        """Who serves it, as far as is known: just after a call, who has answered it. None: nobody."""
        return self._cluster.master_of(slot)

    async def slots(self) -> Sequence[int]:
        """One of each master. Raises StoreUnavailable where no node has ever told them."""
        await self._cluster.settle()
        return list(self._cluster.masters.values())

    async def ask(self, addresses: Iterable[Address], command: Command) -> list[Any]:
        """The replies of these nodes; as with `calls`, errors are among them as values."""
        told = await asyncio.gather(*(self._send(_Route(address), {0: command}) for address in addresses))
        return [replies[0] for replies in told]

    async def close(self) -> None:
        """Close the connections. Idempotent; a later call would open new ones."""
        nodes, self._nodes = self._nodes, {}
        for node in nodes.values():
            await node.close()

    async def _send(self, route: _Route, commands: Mapping[int, Command]) -> dict[int, Any]:
        node = self._nodes.get(route.address)
        if node is None:
            commands_to = Commands(self._cluster.connector(route.address), timeout=self.timeout)
            node = self._nodes[route.address] = Node(commands_to)
        sent: Iterable[Command] = commands.values()
        if route.asking:
            sent = (word for command in sent for word in (("ASKING",), command))
        try:
            replies = await node.calls(*sent)
        except StoreUnavailable as error:
            self._cluster.doubt(route.address)
            return dict.fromkeys(commands, error)
        if route.asking:
            # Where ASKING is denied, the node only says again where the slot was.
            pairs = zip(replies[::2], replies[1::2], strict=True)
            replies = [asked if isinstance(asked, hiredis.ReplyError) else reply for asked, reply in pairs]
        return {
            index: unavailable(reply) if isinstance(reply, hiredis.ReplyError) else reply
            for index, reply in zip(commands, replies, strict=True)
        }

    def _redirected(self, route: _Route, reply: Any) -> _Route | None:
        """Where else the command is to be sent; None: nowhere."""
        if not isinstance(reply, StoreUnavailable):
            return None
        if reply.kind in _DOUBTS:
            self._cluster.doubt(route.address)
        if reply.kind not in ("moved", "ask"):
            return None
        slot, address = redirection(str(reply), route.address)
        if reply.kind == "moved":
            self._cluster.moved(slot, address)
        return _Route(address, asking=reply.kind == "ask")


class SlotCommands:
    """What goes to the node that serves one key, or one shard channel."""

    def __init__(self, commands: ClusterCommands, key: str | bytes) -> None:
        self._commands = commands
        self._key = key
        self._at: Address | None = None
        self._moves = 0

    @property
    def reconnects(self) -> int:
        """As `ClusterCommands.reconnects`."""
        return self._commands.reconnects

    @property
    def moves(self) -> int:
        """How often another node has answered than the time before."""
        return self._moves

    async def call(self, *arguments: Argument) -> Any:
        """The reply to one command. Raises StoreUnavailable."""
        reply = (await self.calls(arguments))[0]
        if isinstance(reply, StoreUnavailable):
            raise reply
        return reply

    async def calls(self, *commands: Command) -> list[Any]:
        """The replies to several, sent in one write. Errors are among them as StoreUnavailable, and so is a lost node.

        Raises StoreUnavailable where no node has ever told the slots.
        """
        slot = slot_of(self._key)
        replies = await self._commands.calls([(slot, command) for command in commands])
        before, self._at = self._at, self._commands.node_of(slot)
        self._moves += before not in (None, self._at)
        return replies

    async def close(self) -> None:
        """Close the connections to all nodes. Idempotent."""
        await self._commands.close()
