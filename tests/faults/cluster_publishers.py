"""Publishers of a stream on a Redis Cluster, who say how many have heard each message."""

from collections.abc import Iterable

import hiredis

from tests.clusters import RedisCluster
from tests.service import Publisher


class BusPublisher(Publisher):
    """Publishes on a node that nobody is subscribed on: the nodes pass it on, to one subscriber somewhere."""

    def publish(self, payloads: Iterable[bytes], channel: str = "update") -> list[int]:
        """As Publisher, but the one who is subscribed elsewhere counts, for the node does not know of it."""
        return [here + 1 for here in super().publish(payloads, channel)]


class ShardPublisher(Publisher):
    """Publishes on the node that serves the channel, wherever that goes."""

    def __init__(self, cluster: RedisCluster, channel: str = "update") -> None:
        super().__init__(cluster.owner(channel).port)

    def publish(self, payloads: Iterable[bytes], channel: str = "update") -> list[int]:
        """As Publisher. OSError where the slot of the channel is not served."""
        receivers: list[int] = []
        rest = list(payloads)
        while rest:
            replies = self.calls([("SPUBLISH", channel, payload) for payload in rest])
            refused = [reply for reply in replies if isinstance(reply, hiredis.ReplyError)]
            receivers += [int(reply) for reply in replies[: len(replies) - len(refused)]]
            rest = rest[len(rest) - len(refused) :]
            if rest:
                self._go_where(str(refused[0]))
        return receivers

    def _go_where(self, reply: str) -> None:
        if not reply.startswith("MOVED "):
            raise ConnectionError(reply)
        self.__exit__()
        super().__init__(int(reply.rpartition(":")[2]))
