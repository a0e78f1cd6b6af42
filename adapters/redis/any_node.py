"""Pub/sub on a Redis Cluster: what is published on any node, every node delivers to its subscribers."""

import asyncio
from collections.abc import Callable, Sequence
from random import SystemRandom
from typing import Any

from adapters.redis.bus_links import BusLinks, given_up, heard
from adapters.redis.cluster import Address, Cluster
from adapters.redis.commands import Argument, Commands
from adapters.redis.connecting import ConnectionFailed, LoginRefused, S
from application.ports import MessagesMissed, ProbeInconclusive, StoreRefused, StoreUnavailable

UNLINKED = "unlinked"
"""The kind of failure that is told where a node is cut off from that of the subscription."""


class AnyNode:
    """Makes each connection to one master, whichever can be reached, and the next one to another than the last.

    `at` is where the last one is, `made` how many there were; `beside` names one whose node is taken only where
    there is no other, and so are those that are `shunned`.
    """

    def __init__(self, cluster: Cluster, *, beside: "AnyNode | None" = None) -> None:
        self._cluster = cluster
        self._beside = beside
        self.at: Address | None = None
        self.made = 0
        self.shunned: frozenset[Address] = frozenset()

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
            except asyncio.CancelledError:
                # It may be that somebody had no more time for it.
                self._cluster.doubt(address)
                raise
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
        return sorted(
            masters, key=lambda address: (address in self.shunned, last.index(address) if address in last else -1)
        )


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

    While a node is away nothing is proved by what comes from the rest. Where it is away for the subscription's node
    alone, another node is the better one to listen to. Else it is dead, or will be back: that is waited for, and then
    it is told that something may have been missed.
    """

    def __init__(self, cluster: Cluster, node: AnyNode, *, timeout: float) -> None:
        self._node = node
        self._links, self._links_of = BusLinks(), node.made
        self._here = Commands(SameNode(cluster, node), timeout=timeout)
        self._other = AnyNode(cluster, beside=node)
        self._elsewhere = Commands(self._other, timeout=timeout)

    async def calls(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """As `Commands.calls`; what is published comes last, and only where no node is away.

        Raises ProbeInconclusive or MessagesMissed too; StoreUnavailable with the kind `unlinked` where the node is cut
        off from one that another hears.
        """
        questions = [command for command in commands if command[0] != "PUBLISH"]
        published = commands[len(questions) :]
        *replies, links, nodes = await self._here.calls(*questions, ("CLUSTER", "LINKS"), ("CLUSTER", "NODES"))
        await self._check(links, nodes)
        if not published:
            return replies
        receivers = await self._elsewhere.calls(*published)
        if not isinstance(links, list):
            # Then the next one takes another way: what comes by this one says nothing of the links of the others.
            await self._elsewhere.close()
        return [*replies, *receivers]

    async def close(self) -> None:
        """Close both connections. Idempotent; a later call would open new ones."""
        await self._here.close()
        await self._elsewhere.close()

    async def _check(self, links: Any, nodes: Any) -> None:
        if self._links_of != self._node.made:
            self._links, self._links_of = BusLinks(), self._node.made
        away = self._links.look(nodes, links)
        self._other.shunned = given_up(nodes)
        if away:
            where = ", ".join(sorted(away.values()))
            (others,) = await self._elsewhere.calls(("CLUSTER", "NODES"))
            if away.keys() & heard(others):
                raise StoreUnavailable(UNLINKED, f"a node is cut off: no link from {where}")
            raise ProbeInconclusive(f"nothing is heard from {where}")
        if self._links.missed():
            raise MessagesMissed("a node was away")
