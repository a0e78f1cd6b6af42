"""One fault of a Redis Cluster, tried on the running service under load, whose records are on all of its masters."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest
from redis.crc import key_slot

from tests.clusters import RedisCluster
from tests.faults.cluster_publishers import BusPublisher, ShardPublisher
from tests.faults.stream import Stream
from tests.faults.table import Noted
from tests.faults.trial import Trial, judged
from tests.servers import Server
from tests.service import Publisher, Service, subscribed, until

TAGS = ("a", "b", "c", "d", "f", "g")
"""Of all keys that are published: two slots of each master, as a cluster of three is formed."""

SLOTS = {tag: key_slot(tag.encode()) for tag in TAGS}
ITS_NODE, ANOTHER_NODE = "the subscription's node", "another node"
_COUNTS = {"pubsub": "NUMSUB", "sharded_pubsub": "SHARDNUMSUB"}


both_transports = pytest.mark.parametrize("transport", ["pubsub", "sharded_pubsub"])
on_either_node = pytest.mark.parametrize("node", [ITS_NODE, ANOTHER_NODE])


class ClusterTrial(Trial):
    """A Trial whose store is the cluster that the messages come from."""

    def __init__(
        self,
        service: Service,
        stream: Stream,
        store: RedisCluster,
        stops_flowing: Callable[[], None],
        *,
        source: Server,
        at: Server,
    ) -> None:
        super().__init__(service, stream, store, stops_flowing)
        self.cluster = store
        self.source = source  # the node that messages are published on
        self.at = at  # the one that the service has subscribed on
        self._perishable: set[int] = set()
        self._perished: list[int] = []
        self._why = ""

    @property
    def lost(self) -> str:
        perished = f"{len(self._perished)} ({self._why})" if self._perished else ""
        return " + ".join(filter(None, (perished, "" if perished and not self.missing else super().lost)))

    @property
    def is_ready(self) -> bool:
        """As the service has told it last."""
        told = [entry["message"] for entry in self.service.entries if entry["message"] in ("Ready", "Not ready")]
        return told[-1:] == ["Ready"]

    def node(self, name: str) -> Server:
        """The one of this name; the other is a master that neither delivers messages nor takes them."""
        return self.at if name == ITS_NODE else [node for node in self.cluster.masters if node is not self.at][-1]

    def tags_of(self, node: Server) -> tuple[list[str], list[str]]:
        """Those of the keys that this node serves, and those of all others."""
        served = [tag for tag in TAGS if self.cluster.serving(SLOTS[tag]) is node]
        return served, [tag for tag in TAGS if tag not in served]

    def may_perish(self, tags: Collection[str], numbers: Iterable[int], why: str) -> None:
        """Any messages with these tags and numbers may be missing."""
        self._why = why
        self._perishable.update(number for number in numbers if self.stream.tag_of(number) in tags)

    def ends(self) -> dict[str, int]:
        self.stops_flowing()
        # What a node has taken may still be on its way to the one that delivers it.
        until(lambda: self.stream.has_all_come_to(self.cluster), self.context)
        return super().ends()

    def judge(self, missing: list[int], besides: Collection[int] = ()) -> None:
        self._perished = [number for number in missing if number in self._perishable]
        told = [number for number in missing if number not in self._perishable]
        super().judge(told, {*besides, *self._perishable})


TryOnCluster = Callable[..., AbstractContextManager[ClusterTrial]]


@contextmanager
def tried_on_cluster(
    fault: str, cluster: RedisCluster, transport: str, *flags: str, directory: Path, noted: Noted
) -> Iterator[ClusterTrial]:
    """As `tried`; the messages of `pubsub` are published on another node than that of the subscription."""
    with subscribed(cluster.url, "--transport", transport, *flags, directory=directory) as service:
        at = _subscribed_on(cluster, transport)
        source = at
        connect: Callable[[], Publisher] = partial(ShardPublisher, cluster)
        if transport == "pubsub":
            source = next(node for node in cluster.masters if node is not at)
            connect = partial(BusPublisher, source.port)
        make = partial(ClusterTrial, source=source, at=at)
        with (
            Stream(connect, tags=TAGS) as stream,
            judged(make, f"{fault}, {transport}", cluster, service=service, stream=stream, noted=noted) as trial,
        ):
            yield trial


def _subscribed_on(cluster: RedisCluster, transport: str) -> Server:
    count = _COUNTS[transport]
    return next(node for node in cluster.masters if node.command("PUBSUB", count, "update")[1])
