"""One connection for shard channels (SSUBSCRIBE): those that one node serves."""

from collections.abc import Sequence

from adapters.redis.commands import encode
from adapters.redis.connecting import Connects
from adapters.redis.pubsub_probe import PubSubProbe
from adapters.redis.pubsub_subscriber import PubSubSubscriber
from application.ports import Observer, SubscriptionRefused


class ShardSubscriber(PubSubSubscriber):
    """As PubSubSubscriber; `slots` are the channels of each slot, and the probe's is one of the first slot.

    Where a slot moves to another node, the server ends the subscriptions in it: all of them are lost then.
    """

    def __init__(
        self,
        connector: Connects,
        slots: Sequence[Sequence[str]],
        *,
        probe: PubSubProbe | None,
        max_backlog_bytes: int,
        timeout: float,
        observer: Observer,
    ) -> None:
        super().__init__(
            connector, (), probe=probe, max_backlog_bytes=max_backlog_bytes, timeout=timeout, observer=observer
        )
        probe_channel = [] if probe is None else [probe.channel]
        self._entries = [("S", [*names, *(() if number else probe_channel)]) for number, names in enumerate(slots)]

    @property
    def is_lost(self) -> bool:
        """Whether subscribing anew is all that can be done with it."""
        return self._drain is None or self._drain.lost is not None or self._failure is not None or self._ending

    async def subscribe(self) -> None:
        try:
            await super().subscribe()
        except SubscriptionRefused as refused:
            if str(refused).startswith("ERR unknown command"):
                raise SubscriptionRefused(f"sharded pub/sub needs Redis 7.0 or later, or Valkey: {refused}") from None
            raise

    async def hold(self) -> None:
        """Read nothing until `release`; what has been read can be received."""
        if self._drain is not None:
            self._drain.hold()
        if self._probe is not None:
            # What is on its way does not come back in time.
            await self._probe.close()

    def release(self) -> None:
        """Read on."""
        if self._drain is not None:
            self._drain.release()

    async def unsubscribe(self) -> None:
        self._ending = True
        if self._drain is not None:
            # All at once: named, those of a slot that has moved would be an error.
            self._drain.transport.write(encode(("SUNSUBSCRIBE",)))
