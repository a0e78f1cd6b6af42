"""Which node of a Redis Cluster serves which slot, as the nodes themselves tell."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from adapters.redis.commands import Commands
from adapters.redis.connecting import Connector
from adapters.redis.hash_slots import SLOTS
from application.ports import StoreRefused, StoreUnavailable

Address = tuple[str, int]
"""Host and port."""

# Seconds between two questions: a slot that has moved is told by whoever is asked for it, so nobody waits for more.
_INTERVAL = 0.5
# Of the time for a reply, what a node has to tell the slots before the next one is asked.
_PATIENCE = 0.25


class Cluster:
    """The nodes of one cluster. `seeds` are asked first of all, `connector_to` makes the way to any of them.

    `timeout` (seconds) bounds one look at the slots, whatever number of nodes is asked.
    """

    def __init__(
        self, seeds: Sequence[Address], connector_to: Callable[[Address], Connector], *, timeout: float
    ) -> None:
        self._seeds = seeds
        self._connector_to = connector_to
        self._timeout = timeout
        self._by_slot: list[Address | None] = [None] * SLOTS
        self.masters: dict[Address, int] = {}
        """Those that serve slots, each with one of these."""
        self._replicas: list[Address] = []
        self._sources = list(seeds)
        self._doubtful = True
        self._unknown: StoreUnavailable | None = StoreUnavailable("connection", "no node was asked yet")
        self._asking = asyncio.Lock()
        self._answers = 0
        self._next_at = 0.0

    @property
    def nodes(self) -> Sequence[Address]:
        """Masters and replicas."""
        return list(dict.fromkeys((*self.masters, *self._replicas)))

    def master_of(self, slot: int) -> Address | None:
        """Who serves it; None: nobody."""
        return self._by_slot[slot]

    def connector(self, address: Address) -> Connector:
        """The way to a node."""
        return self._connector_to(address)

    async def settle(self) -> None:
        """Look at the slots where there is a doubt about them and that was not done a moment ago.

        Raises StoreUnavailable where no node has ever told them.
        """
        answers = self._answers
        async with self._asking:
            due = self._doubtful and asyncio.get_running_loop().time() >= self._next_at
            # Whoever had to wait for another's look has it.
            if due and answers == self._answers:
                await self._look()
        if self._unknown is not None:
            raise self._unknown

    def doubt(self, address: Address) -> None:
        """This node failed, or says that the cluster has: another one may know more."""
        self._doubtful = True
        self._put(address, at=len(self._sources))

    def moved(self, slot: int, address: Address) -> None:
        """A node says that this one serves the slot; more may have moved."""
        self._doubtful = True
        self._by_slot[slot] = address
        self.masters.setdefault(address, slot)
        # Nobody knows it better: another may not have heard of it yet.
        self._sources = [address, *(source for source in self._sources if source != address)]

    async def _look(self) -> None:
        problems: dict[Address, StoreUnavailable] = {}
        try:
            async with asyncio.timeout(self._timeout):
                for address in tuple(self._sources):
                    # Already now: the time may be over before this one answers, and then others come first.
                    self._put(address, at=len(self._sources))
                    try:
                        reply = await self._ask(address)
                    except StoreUnavailable as error:
                        problems[address] = error
                    else:
                        self._learn(reply, address)
                        return
        except TimeoutError:
            pass
        finally:
            self._answers += 1
            self._next_at = asyncio.get_running_loop().time() + _INTERVAL
        if self._unknown is not None:
            self._unknown = _all_of(problems)

    async def _ask(self, address: Address) -> Any:
        commands = Commands(self._connector_to(address), timeout=self._timeout * _PATIENCE)
        try:
            reply = await commands.call("CLUSTER", "SLOTS")
        finally:
            await commands.close()
        if not reply:
            raise StoreUnavailable("clusterdown", "it knows of no slots, as a node that is in no cluster yet")
        return reply

    def _learn(self, reply: Any, asked: Address) -> None:
        by_slot: list[Address | None] = [None] * SLOTS
        self.masters, self._replicas = {}, []
        for start, end, *nodes in reply:
            master, *replicas = (address_of((host or b"").decode(), port, asked) for host, port, *_ in nodes)
            by_slot[start : end + 1] = [master] * (end + 1 - start)
            self.masters.setdefault(master, start)
            self._replicas += replicas
        self._by_slot = by_slot
        self._sources = list(dict.fromkeys(chain((asked,), self.masters, replicas, self._seeds)))
        # A slot that nobody serves, as while the cluster is formed, will be served by somebody.
        self._doubtful, self._unknown = None in by_slot, None

    def _put(self, address: Address, *, at: int) -> None:
        if address in self._sources:
            self._sources.remove(address)
            self._sources.insert(at, address)


def redirection(reply: str, asked: Address) -> tuple[int, Address]:
    """The slot and the node that a MOVED or ASK of the one that was `asked` names."""
    _, slot, place = reply.split(" ")
    host, _, port = place.rpartition(":")
    return int(slot), address_of(host, int(port), asked)


def address_of(host: str, port: int, asked: Address) -> Address:
    """Where a node is: one whose host is not known, or is kept back, has that of the one that was `asked`."""
    return (asked[0] if host in ("", "?") else host, port)


def _all_of(problems: dict[Address, StoreUnavailable]) -> StoreUnavailable:
    told = "; ".join(f"{host}:{port}: {error}" for (host, port), error in problems.items())
    kinds = {error.kind for error in problems.values()}
    refused = bool(problems) and all(map(_is_final, problems.values()))
    error_class = StoreRefused if refused else StoreUnavailable
    kind = kinds.pop() if len(kinds) == 1 else "connection"
    return error_class(kind, f"no node of the cluster tells the slots: {told or 'no answer'}")


def _is_final(error: StoreUnavailable) -> bool:
    return isinstance(error, StoreRefused) or "cluster support disabled" in str(error)
