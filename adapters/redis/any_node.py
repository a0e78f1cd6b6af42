"""Pub/sub on a Redis Cluster: what is published on any node, every node delivers to its subscribers."""

from collections.abc import Callable, Sequence
from random import SystemRandom
from typing import Any

from adapters.redis.bus_links import BusLinks
from adapters.redis.cluster import Address, Cluster
from adapters.redis.commands import Argument, Commands
from adapters.redis.connecting import ConnectionFailed, LoginRefused, S
from application.ports import NodeCutOff, StoreRefused, StoreUnavailable

UNLINKED = "unlinked"
"""The kind of failure that is told where a node is cut off from that of the subscription."""


class AnyNode:
    """Makes each connection to one master, whichever can be reached, and the next one to another than the last.

    `at` is where the last one is, `made` how many there were; `beside` names one whose node is taken only where
    there is no other.
    """

    def __init__(self, cluster: Cluster, *, beside: "AnyNode | None" = None) -> None:
        self._cluster = cluster
        self._beside = beside
        self.at: Address | None = None
        self.made = 0

    async def connect(self, make_socket: Callable[[], S]) -> S:
        """As `Connector.connect`."""
        problems: list[Exception] = []
        for address in await self._candidates():
            self.at = address
            try:
                socket = await self._cluster.connector(address).connect(make_socket)
            except (ConnectionFailed, LoginRefused) as error:
                self._cluster.doubt(address)
                problems.append(error)
            else:
                self.made += 1
                return socket
        refused = bool(problems) and all(isinstance(problem, LoginRefused) for problem in problems)
        told = "; ".join(map(str, problems)) or "no node of the cluster serves a slot"
        raise (LoginRefused if refused else ConnectionFailed)(told)

    async def _candidates(self) -> Sequence[Address]:
        try:
            await self._cluster.settle()
        except StoreUnavailable as error:
            raise (LoginRefused if isinstance(error, StoreRefused) else ConnectionFailed)(str(error)) from None
        masters = list(self._cluster.masters)
        # Not all updaters on the first one.
        SystemRandom().shuffle(masters)
        last = [self.at, None if self._beside is None else self._beside.at]
        return sorted(masters, key=lambda address: last.index(address) if address in last else -1)


class SameNode:
    """Makes its connections to where another was made last."""

    def __init__(self, cluster: Cluster, node: AnyNode) -> None:
        self._cluster = cluster
        self._node = node

    async def connect(self, make_socket: Callable[[], S]) -> S:
        """As `Connector.connect`."""
        if self._node.at is None:
            raise ConnectionFailed("not connected to any node")
        return await self._cluster.connector(self._node.at).connect(make_socket)


class ProbeCommands:
    """What a probe of a subscription asks its node, and publishes on another.

    A node that the others have lost sight of delivers what is published on it, and nothing else. One that they have
    lost sight of for a while may have missed what was published meanwhile. While one of them is cut off from it,
    nothing is proved by what comes from the rest; once the others have given that one up, it is as if it never was.
    """

    def __init__(self, cluster: Cluster, node: AnyNode, *, timeout: float) -> None:
        self._node = node
        self._links, self._links_of = BusLinks(), node.made
        self._cut_off: dict[bytes, str] = {}
        self._here = Commands(SameNode(cluster, node), timeout=timeout)
        self._elsewhere = Commands(AnyNode(cluster, beside=node), timeout=timeout)

    async def calls(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """As `Commands.calls`; what is published comes last, and only where no node is cut off. Raises SubscriptionLost
        too."""
        questions = [command for command in commands if command[0] != "PUBLISH"]
        published = commands[len(questions) :]
        *replies, links, nodes = await self._here.calls(*questions, ("CLUSTER", "LINKS"), ("CLUSTER", "NODES"))
        self._check(links, nodes)
        receivers = await self._elsewhere.calls(*published) if published else []
        return [*replies, *receivers]

    async def close(self) -> None:
        """Close both connections. Idempotent; a later call would open new ones."""
        await self._here.close()
        await self._elsewhere.close()

    def _check(self, links: Any, nodes: Any) -> None:
        if self._links_of != self._node.made:
            self._links, self._links_of = BusLinks(), self._node.made
            self._cut_off = {}
        before, self._cut_off = self._cut_off, BusLinks.cut_off(links, nodes)
        if self._links.renewed(links) or before.keys() - self._cut_off.keys():
            raise NodeCutOff("a node was cut off: it had lost its link to this one")
        if self._cut_off:
            addresses = ", ".join(sorted(self._cut_off.values()))
            raise StoreUnavailable(UNLINKED, f"a node is cut off: no link from {addresses}")
