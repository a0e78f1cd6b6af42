"""The service's own adapters, used as it would use them: do messages come through, are writes taken?"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol

from adapters.redis.checkup.findings import Told, fail, ok, skip, warn
from adapters.redis.stream_replies import rows_of
from application.ports import (
    KeyValueStore,
    MessagesMissed,
    MessageSubscriber,
    ProbeInconclusive,
    ProbeUnsent,
    StoreUnavailable,
    SubscriptionLost,
    SubscriptionRefused,
)
from application.record_mirror import CHECK

_STORE_ADVICE = {
    "oom": "raise maxmemory by CONFIG SET, or delete what is not needed",
    "readonly": "name the master in {}, or its sentinels: redis+sentinel://",
    "noreplicas": "see that the replicas are connected, or lower min-replicas-to-write",
    "misconf": "see why the server cannot write to its disk: its log says it",
    "noperm": "append to the account what the rights above name",
    "clusterdown": "redis-cli --cluster check HOST:PORT shows which slots are not served",
    "wrongtype": "delete it, or name another: entry_ids_key",
    "moved": "this is a node of a cluster: begin {} with redis+cluster",
}


Question = tuple[str, Callable[[], Awaitable[Told]]]


class Asks(Protocol):
    """What leads to the server of one key."""

    async def call(self, *arguments: str) -> Any:
        """The reply. Raises StoreUnavailable."""
        ...

    async def close(self) -> None:
        """Idempotent."""
        ...


class Service:
    """`streams` are the ways to each stream that is read; there are none with pub/sub. `letters` is that to the dead
    letters, by the name of their stream. `reads`: it serves records, and writes none."""

    def __init__(
        self,
        subscriber: MessageSubscriber,
        store: KeyValueStore,
        *,
        streams: dict[str, Asks],
        letters: dict[str, Asks],
        group: str,
        probes: bool,
        reads: bool,
    ) -> None:
        self._subscriber = subscriber
        self._store = store
        self._streams = streams
        self._letters = letters
        self._group = group
        self._probes = probes
        self._reads = reads

    def of_messages(self) -> Sequence[Question]:
        """By the name of the check."""
        if not self._streams:
            return [("probe", self._probe)]
        return [("stream", partial(self._stream, stream)) for stream in self._streams]

    def of_records(self, setting: str, *, forbidden: bool) -> Sequence[Question]:
        """The same. `setting` names the server; `forbidden`: a right is missing that no record is written without."""
        if self._reads:
            return [("records", partial(self._gives_records, setting))]
        letters = [("dead letters", partial(self._letters_at, stream)) for stream in self._letters]
        return [("store", partial(self._takes_writes, setting, forbidden=forbidden)), *letters]

    async def _takes_writes(self, setting: str, *, forbidden: bool) -> Told:
        """By the check that the updater makes between its commits. A key that is denied is no matter to that: another
        one may be allowed."""
        if problem := await self._try_store(self._store.check, setting):
            return problem
        if forbidden:
            return fail("answers, but messages would be unstorable: not_permitted", _STORE_ADVICE["noperm"])
        return ok("would take a commit")

    async def _gives_records(self, setting: str) -> Told:
        """By the read that the API server makes where there is nothing else to read."""
        return await self._try_store(partial(self._store.read, [CHECK]), setting) or ok("can be read")

    async def _try_store(self, attempt: Callable[[], Awaitable[object]], setting: str) -> Told | None:
        """What is wrong."""
        try:
            await attempt()
        except StoreUnavailable as error:
            advice = _STORE_ADVICE.get(error.kind, "see the server's log, and what is found above")
            return fail(str(error), advice.format(setting))
        finally:
            await self._store.close()
        return None

    async def _letters_at(self, stream: str) -> Told:
        asks = self._letters[stream]
        try:
            type_ = await asks.call("TYPE", stream)
        except StoreUnavailable as error:
            if error.kind != "noperm":
                raise
            return skip(f"the account may not TYPE {stream}", f"see that it holds a stream or nothing: TYPE {stream}")
        finally:
            await asks.close()
        match type_:
            case b"stream":
                return ok(f"{stream} is a stream")
            case b"none":
                return ok(f"{stream} is not there yet; the first letter makes it")
        advice = "delete the key, or name another: dead_letter_stream"
        return fail(f"{stream} holds another Redis type, no letter can be written", advice)

    async def _probe(self) -> Told:
        subscriber = self._subscriber
        receiving: asyncio.Task[None] | None = None
        try:
            await subscriber.subscribe()
            if not self._probes:
                return ok("subscribed; probe_interval is 0, so no probe was sent")
            receiving = asyncio.create_task(_receive(subscriber), name="receive")
            return ok(f"came through the subscription in {await subscriber.probe() * 1000:.1f} ms")
        except (SubscriptionLost, SubscriptionRefused) as error:
            return fail(str(error), "see what is found above")
        except (ProbeInconclusive, ProbeUnsent, MessagesMissed) as error:
            return warn(str(error), "check again; if it stays, see whether all nodes hear one another")
        finally:
            if receiving is not None:
                receiving.cancel()
                await asyncio.wait((receiving,))
            await subscriber.close()

    async def _stream(self, stream: str) -> Told:
        asks = self._streams[stream]
        try:
            groups = rows_of(await asks.call("XINFO", "GROUPS", stream))
        except StoreUnavailable as error:
            if error.kind == "wrongtype":
                return fail(f"{stream} holds another Redis type", "set another channel, or delete the key")
            if "no such key" in str(error):
                return ok(f"{stream} is not there yet; the service makes it and its group")
            if error.kind == "noperm":
                return fail(str(error), "append to the account what the rights above name")
            raise
        finally:
            await asks.close()
        row = next((row for row in groups if row[b"name"] == self._group.encode()), None)
        if row is None:
            return ok(f"{stream} has no group {self._group} yet; the service makes it, and reads from the first entry")
        lag = row.get(b"lag")
        waiting = "" if lag is None else f"{lag} not read, "
        return ok(
            f"{stream}, group {self._group}: {waiting}{row[b'pending']} not settled, {row[b'consumers']} consumers"
        )


async def _receive(subscriber: MessageSubscriber) -> None:
    # What comes is not ours: an updater that runs has it as well.
    while await subscriber.receive():
        pass
