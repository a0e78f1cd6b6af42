"""The MessageSubscriber port on Redis streams: each is read as one consumer of a consumer group."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from adapters.redis.same_server import MOVED
from adapters.redis.stream_reader import StreamReader
from application.ports import (
    Delivery,
    StoreRefused,
    StoreUnavailable,
    SubscriptionLost,
    SubscriptionMoved,
    SubscriptionRefused,
)
from domain.entry import Entry

# What a read that waits hears, before Redis 7.2, where the key goes to another node of a cluster; or is deleted.
_MOVED = (MOVED, "unblocked")


class StreamSubscriber:
    """Reads ahead by one batch of each stream; `probe_timeout` in seconds.

    Where one stream is lost, all are subscribed anew: nothing is missed meanwhile.
    """

    durable = True

    def __init__(self, readers: Sequence[StreamReader], *, probe_timeout: float) -> None:
        self._readers = {reader.group.stream: reader for reader in readers}
        self._probe_timeout = probe_timeout
        self._subscription = 0
        self._ending = False
        self._lost: BaseException | None = None
        # Whoever has waited longest for its turn comes first.
        self._reading: dict[StreamReader, asyncio.Task[list[Delivery]]] = {}
        self._living: list[asyncio.Task[None]] = []

    @property
    def behind(self) -> bool:
        return False

    @property
    def waited(self) -> float:
        return 0.0

    @property
    def output_buffer_bytes(self) -> int:
        return 0

    @property
    def backlog_bytes(self) -> int:
        return sum(reader.more_bytes for reader in self._readers.values())

    @property
    def complete(self) -> bool:
        return True

    @property
    def silent_for(self) -> float:
        return 0.0

    async def subscribe(self) -> None:
        self._subscription += 1
        await self._stop()
        # All connections anew: what a read would still bring is no answer to the next, and either may be a dead one.
        await asyncio.gather(*(reader.group.close() for reader in self._readers.values()))
        self._ending, self._lost = False, None
        try:
            for reader in self._readers.values():
                await reader.open(self._subscription)
        except StoreUnavailable as error:
            # A key of another type stays one until somebody deletes it.
            refused = isinstance(error, StoreRefused) or error.kind == "wrongtype"
            raise (SubscriptionRefused if refused else SubscriptionLost)(str(error)) from None
        self._living = [
            asyncio.create_task(reader.keep_alive(), name="keep a consumer alive") for reader in self._readers.values()
        ]

    async def receive(self) -> Sequence[Delivery]:
        while True:
            self._read_on()
            if not self._reading:
                if self._lost is not None:
                    raise self._lost
                return ()
            await asyncio.wait((*self._reading.values(), *self._living), return_when=asyncio.FIRST_COMPLETED)
            for task in filter(asyncio.Task.done, (*self._reading.values(), *self._living)):
                if self._lost is None and (error := task.exception()) is not None:
                    self._lost = _lost(error)
            reader = next((reader for reader, task in self._reading.items() if _has_come(task)), None)
            if reader is None:
                raise self._lost or AssertionError("nothing has come, and nothing has failed")
            deliveries = self._reading.pop(reader).result()
            reader.have(deliveries)
            self._read_on()
            if deliveries:
                # The next read is sent before these keep the loop to themselves.
                await asyncio.sleep(0)
                return deliveries

    async def probe(self) -> float:
        loop = asyncio.get_running_loop()
        started, subscription = loop.time(), self._subscription
        try:
            async with asyncio.timeout(self._probe_timeout):
                await asyncio.gather(*(reader.group.prove() for reader in self._readers.values()))
        except (StoreUnavailable, TimeoutError) as error:
            if isinstance(error, TimeoutError):
                error = StoreUnavailable("timeout", f"no answer within {self._probe_timeout:g} s")
            lost = _lost(error)
            # An answer that comes too late says nothing about a subscription that was made meanwhile.
            if subscription == self._subscription:
                self._lost = self._lost or lost
                # Whatever they wait for, there is no answer to it; what has come stays.
                for task in self._reading.values():
                    task.cancel()
            raise lost from None
        return loop.time() - started

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        ids: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for entry in entries:
            if entry.subscription == self._subscription:
                ids[entry.stream].append(entry.id)
        subscription = self._subscription
        for stream, settled in ids.items():
            try:
                await self._readers[stream].group.acknowledge(settled)
            except StoreUnavailable:
                # A new subscription closes the connections of the one before, whose entries all come again.
                if subscription == self._subscription:
                    raise

    async def unsubscribe(self) -> None:
        # The reads that wait come to their end soon: broken off, what they bring would be left for others to claim.
        self._ending = True
        for reader in self._readers.values():
            reader.stop()

    async def close(self) -> None:
        await self._stop()
        await asyncio.gather(*(self._leave(reader) for reader in self._readers.values()))

    async def _leave(self, reader: StreamReader) -> None:
        await reader.group.stop_reading()
        if self._ending:
            # Where nobody has asked for the end this process fails, and it may be an entry that it fails of.
            await reader.give_back()
        if self._subscription:
            await reader.leave()
        await reader.group.close()

    def _read_on(self) -> None:
        for reader in self._readers.values():
            if not (self._ending or self._lost or reader in self._reading):
                self._reading[reader] = asyncio.create_task(reader.next(), name="read a stream")

    async def _stop(self) -> None:
        tasks = [*self._reading.values(), *self._living]
        self._reading, self._living = {}, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _has_come(task: asyncio.Task[list[Delivery]]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def _lost(error: BaseException) -> BaseException:
    if not isinstance(error, StoreUnavailable):
        return error
    return (SubscriptionMoved if error.kind in _MOVED else SubscriptionLost)(str(error))
