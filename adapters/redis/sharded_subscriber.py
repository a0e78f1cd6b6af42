"""The MessageSubscriber port on shard channels: a connection to each node that serves some of them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from adapters.redis.shard_subscriber import ShardSubscriber
from adapters.redis.shards import Shard, Shards
from application.events import SubscriptionBroken
from application.ports import Delivery, Observer, ProbeUnsent, SubscriptionLost, SubscriptionRefused
from domain.entry import Entry

# Seconds between two tries to reach a node: a failover takes some, and where the slots are is not asked more often.
_REPAIR_INTERVAL = 1.0
# A slot may have gone on by the time that its new node is asked, but not again and again.
_REDIRECTIONS = 5


class ShardedSubscriber:
    """Subscribes to `channels` (no patterns) on the nodes of `shards`; `open_shard` makes the part of one
    of so many.

    Where a part is lost the others hold still, so that nothing of theirs is missed, until `subscribe` has found a
    node for the lost one. Where it finds none they go on alone, and are probed alone. When the node can be reached
    again, or another part is lost, the subscription is lost once more, to be confirmed as a whole.
    """

    durable = False

    def __init__(
        self,
        shards: Shards,
        channels: Sequence[str],
        *,
        open_shard: Callable[[Shard, int], ShardSubscriber],
        observer: Observer,
    ) -> None:
        self._shards = shards
        self._channels = list(dict.fromkeys(channels))
        self._open_shard = open_shard
        self._observer = observer
        self._parts: dict[Shard, ShardSubscriber] = {}
        self._broken: set[Shard] = set()
        self._ended: set[Shard] = set()
        # Whoever has waited longest for its turn comes first.
        self._receiving: dict[Shard, asyncio.Task[Sequence[Delivery]]] = {}
        self._heard: ShardSubscriber | None = None
        self._lost: Exception | None = None
        # The loop's time since when a part is missing.
        self._missing_since: float | None = None
        self._repairing: asyncio.Task[None] | None = None

    @property
    def behind(self) -> bool:
        return any(part.behind for part in self._whole())

    @property
    def waited(self) -> float:
        return 0.0 if self._heard is None else self._heard.waited

    @property
    def output_buffer_bytes(self) -> int:
        return sum(part.output_buffer_bytes for part in self._whole())

    @property
    def backlog_bytes(self) -> int:
        return sum(part.backlog_bytes for part in self._whole())

    @property
    def complete(self) -> bool:
        return self._missing_since is None

    @property
    def silent_for(self) -> float:
        if self._missing_since is not None:
            return asyncio.get_running_loop().time() - self._missing_since
        return max((part.silent_for for part in self._parts.values()), default=0.0)

    async def subscribe(self) -> None:
        await self._stop_repairing()
        # Only where a loss was told there is something to keep.
        self._broken |= {shard for shard, part in self._parts.items() if part.is_lost or self._lost is None}
        problem: SubscriptionLost | None = None
        shards: Sequence[Shard] = ()
        for _ in range(_REDIRECTIONS):
            before, shards = shards, await self._shards.of(self._channels)
            if shards == before:
                break
            await self._leave_all_but(shards)
            problem = await self._mend(shards)
            if problem is None:
                break
        if problem is not None:
            if not self._whole():
                raise problem
            self._missing(0.0)
            self._observer.notice(SubscriptionBroken(str(problem), _REPAIR_INTERVAL))
            self._repairing = asyncio.create_task(self._repair(), name="repair")
        else:
            self._missing_since = None
        self._lost = None
        self._ended.clear()
        for part in self._whole():
            part.release()

    async def receive(self) -> Sequence[Delivery]:
        while True:
            self._start_receiving()
            ready = next((shard for shard, task in self._receiving.items() if task.done()), None)
            if ready is not None:
                if deliveries := await self._take(ready):
                    return deliveries
                continue
            if self._lost is not None and not self.backlog_bytes:
                raise self._lost
            if not self._receiving:
                return ()
            waiting: set[asyncio.Task[Any]] = set(self._receiving.values())
            if self._repairing is not None:
                waiting.add(self._repairing)
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if self._repairing is not None and self._repairing.done():
                repairing, self._repairing = self._repairing, None
                repairing.result()

    async def probe(self) -> float:
        whole = self._whole()
        if self._lost is not None or not whole:
            raise SubscriptionLost("not every channel is subscribed")
        outcomes = await asyncio.gather(*(part.probe() for part in whole), return_exceptions=True)
        if failures := [outcome for outcome in outcomes if isinstance(outcome, BaseException)]:
            raise min(failures, key=_lightness)
        return max(outcome for outcome in outcomes if not isinstance(outcome, BaseException))

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Nothing of what it delivers is an entry."""

    async def unsubscribe(self) -> None:
        await self._stop_repairing()
        for part in self._whole():
            await part.unsubscribe()

    async def close(self) -> None:
        await self._stop_repairing()
        for shard, part in self._parts.items():
            await self._stop_receiving(shard)
            await part.close()

    def _whole(self) -> list[ShardSubscriber]:
        return [part for shard, part in self._parts.items() if shard not in self._broken]

    async def _leave_all_but(self, shards: Sequence[Shard]) -> None:
        for shard in self._parts.keys() - set(shards):
            await self._stop_receiving(shard)
            await self._parts.pop(shard).close()
            self._broken.discard(shard)

    async def _mend(self, shards: Sequence[Shard]) -> SubscriptionLost | None:
        """Subscribe where it is not done yet, or broken; the last problem, where some cannot be had.

        Raises SubscriptionRefused.
        """
        broken = [shard for shard in shards if shard not in self._parts or shard in self._broken]
        for shard in broken:
            await self._stop_receiving(shard)
            self._broken.add(shard)
            if shard not in self._parts:
                self._parts[shard] = self._open_shard(shard, len(shards))
        subscribing = (self._parts[shard].subscribe() for shard in broken)
        problem: SubscriptionLost | None = None
        for shard, outcome in zip(broken, await asyncio.gather(*subscribing, return_exceptions=True), strict=True):
            if outcome is None:
                self._broken.discard(shard)
                continue
            self._shards.failed(shard, outcome)
            if not isinstance(outcome, SubscriptionLost):
                raise outcome
            problem = SubscriptionLost(f"{shard.channels}: {outcome}")
        return problem

    async def _repair(self) -> None:
        while True:
            await asyncio.sleep(_REPAIR_INTERVAL)
            whole = len(self._whole())
            try:
                shards = await self._shards.of(self._channels)
                if set(shards) != self._parts.keys():
                    return await self._lose(SubscriptionLost("channels are on other nodes now"))
                await self._mend(shards)
            except (SubscriptionLost, SubscriptionRefused):
                continue
            if len(self._whole()) > whole:
                return await self._lose(SubscriptionLost("channels that were missing can be had again"))

    def _missing(self, silent_for: float) -> None:
        since = asyncio.get_running_loop().time() - silent_for
        self._missing_since = since if self._missing_since is None else min(since, self._missing_since)

    async def _lose(self, error: Exception) -> None:
        if self._lost is None:
            self._lost = error
            for part in self._whole():
                await part.hold()

    async def _take(self, shard: Shard) -> Sequence[Delivery]:
        try:
            deliveries = self._receiving.pop(shard).result()
        except (SubscriptionLost, SubscriptionRefused) as error:
            self._broken.add(shard)
            self._missing(self._parts[shard].silent_for)
            self._shards.failed(shard, error)
            await self._lose(error)
            return ()
        self._heard = self._parts[shard]
        if not deliveries:
            self._ended.add(shard)
        return deliveries

    def _start_receiving(self) -> None:
        for shard, part in self._parts.items():
            if shard not in self._receiving and shard not in self._broken and shard not in self._ended:
                self._receiving[shard] = asyncio.create_task(part.receive(), name="receive from a shard")

    async def _stop_receiving(self, shard: Shard) -> None:
        task = self._receiving.pop(shard, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _stop_repairing(self) -> None:
        repairing, self._repairing = self._repairing, None
        if repairing is not None:
            repairing.cancel()
            await asyncio.gather(repairing, return_exceptions=True)


def _lightness(failure: BaseException) -> int:
    """More of what there is less to do about; what nobody expects is the least light."""
    kinds = (SubscriptionLost, SubscriptionRefused, ProbeUnsent)
    return next((number for number, kind in enumerate(kinds, start=1) if isinstance(failure, kind)), 0)
