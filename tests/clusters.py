"""A Redis Cluster of real processes, formed in two seconds; slots move and masters fail over at will."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis.crc import key_slot

from adapters.redis.cluster import Cluster
from adapters.redis.connecting import Connector
from tests.servers import Server, Word

SLOTS = 16384
_DEADLINE = 30.0  # seconds; what is waited for takes a tenth of that
_NODE_TIMEOUT = 1000  # milliseconds of silence after which a node counts as dead


class RedisCluster:
    """A context manager; each of the masters, which come first in `nodes`, serves an equal range of slots.

    With as many replicas, that of a master is as far behind it as there are masters. A node that was killed keeps
    its place in the cluster, and none of its keys unless the `args` (more configuration of each) say so.
    """

    def __init__(
        self, kind: str, directory: Path, *, masters: int = 3, replicas: int = 0, args: Sequence[str] = ()
    ) -> None:
        self.kind = kind
        self.nodes = [
            Server(kind, [*_arguments(directory / f"node-{number}"), *args]) for number in range(masters + replicas)
        ]
        self.masters = self.nodes[:masters]

    @property
    def url(self) -> str:
        """That of the service: the first two nodes lead to the others."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])

    def topology(self, *, timeout: float, userinfo: str = "", options: str = "") -> Cluster:
        """What a client of the cluster asks where the slots are."""
        return Cluster(
            [("127.0.0.1", node.port) for node in self.nodes[:2]],
            lambda address: Connector("redis://{}{}:{}?{}".format(userinfo, *address, options), timeout=timeout),
            timeout=timeout,
        )

    def serving(self, slot: int) -> Server:
        """Who serves this slot, as a node says that is alive."""
        return self._serving(slot, self.up()[0])

    def owner(self, key: str) -> Server:
        """Who serves this key, or shard channel."""
        return self.serving(key_slot(key.encode()))

    def replica_of(self, master: Server) -> Server:
        """That of one of the first masters."""
        return self.nodes[len(self.masters) + self.masters.index(master)]

    def replicates(self, master: Server) -> None:
        """Wait until its replica has all that the master has written by now."""
        written, replica = _offset(master, b"master"), self.replica_of(master)
        _until(lambda: _offset(replica, b"slave") >= written, "the replica lags behind")

    def breaks_links_to(self, node: Server) -> None:
        """Freeze the node until all others have given up their links to it, and wait for the new ones."""
        identity = node.command("CLUSTER", "MYID")
        others = [other for other in self.up() if other is not node]
        before = [_links_to(identity, other) for other in others]
        node.freeze()
        _until(
            lambda: not any(_links_to(identity, other) & old for other, old in zip(others, before, strict=True)),
            "the links do not break",
        )
        node.thaw()
        self.is_well()
        for other in others:
            heard = _heard(node)
            _until(
                lambda other=other, heard=heard: other.command("PUBLISH", "links", "") or _heard(node) > heard,
                "it does not hear the others",
            )

    def command(self, name: str, key: str, *words: Word) -> Any:
        """Send one command to the node that serves its key."""
        return self.owner(key).command(name, key, *words)

    def everywhere(self, *words: Word) -> list[Any]:
        """Send one command to each master."""
        return [node.command(*words) for node in self.masters]

    def stored(self) -> dict[str, bytes | None]:
        """Every key of those that are masters now with its string; None: it holds another Redis type."""
        found: dict[str, bytes | None] = {}
        for node in filter(_is_master, self.up()):
            by_slot: defaultdict[int, list[bytes]] = defaultdict(list)
            for key in node.command("KEYS", "*"):
                by_slot[key_slot(key)].append(key)
            for keys in by_slot.values():
                found.update(zip(map(bytes.decode, keys), node.command("MGET", *keys), strict=True))
        return found

    def key_on(self, node: Server, name: str = "key") -> str:
        """A key (or shard channel) of this node."""
        return next(key for key in (f"{name}:{number}" for number in range(10_000)) if self.owner(key) is node)

    def starts_moving(self, slot: int, to: Server) -> None:
        """From now on its new keys belong on the other node, and those that are here still belong here."""
        source = self.serving(slot)
        to.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source.command("CLUSTER", "MYID"))
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", to.command("CLUSTER", "MYID"))

    def moves_keys(self, slot: int, to: Server, count: int = 1_000_000) -> None:
        """Move so many keys of a slot that has started to move."""
        source = self.serving(slot)
        if keys := source.command("CLUSTER", "GETKEYSINSLOT", slot, count):
            source.command("MIGRATE", "127.0.0.1", to.port, "", 0, 10_000, "KEYS", *keys)

    def ends_moving(self, slot: int, to: Server) -> None:
        """The slot is served by the other node now, and every node knows it for good.

        Each node must also have heard of the epoch that the new owner has given itself: until then a late message
        of the old one wins, and what the nodes tell one another of it afterwards may leave them at odds for ever.
        """
        source, target = self.serving(slot), to.command("CLUSTER", "MYID")
        told = [to, source, *(node for node in self.up() if node not in (to, source) and _is_master(node))]

        def agreed() -> bool:
            # A third that has believed an older message of the source is told once more.
            unaware = [node for node in told if self._serving(slot, node) is not to]
            for node in unaware:
                node.command("CLUSTER", "SETSLOT", slot, "NODE", target)
            return not unaware and _has_one_order([_epochs(node) for node in told])

        for node in told:
            node.command("CLUSTER", "SETSLOT", slot, "NODE", target)
        _until(agreed, "the nodes do not agree")

    def moves(self, slot: int, to: Server) -> None:
        """Move a slot with its keys."""
        self.starts_moving(slot, to)
        self.moves_keys(slot, to)
        self.ends_moving(slot, to)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as started:
            for node in self.nodes:
                started.enter_context(node)
            self._form()
            self._started = started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._started.__exit__(kind, error, trace)

    def _form(self) -> None:
        share = SLOTS / len(self.masters)
        for number, master in enumerate(self.masters):
            master.command("CLUSTER", "ADDSLOTS", *range(round(share * number), round(share * (number + 1))))
            master.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for number, node in enumerate(self.nodes):
            for other in self.nodes[:number]:
                self.meet(node, other)
        _until(lambda: all(map(self._knows_all, self.nodes)), "the nodes do not know one another")
        _until(lambda: all(map(self._is_linked, self.nodes)), "the nodes do not hear one another")
        for number, replica in enumerate(self.nodes[len(self.masters) :]):
            replica.command("CLUSTER", "REPLICATE", self.masters[number].command("CLUSTER", "MYID"))
        self.is_well()

    def meet(self, node: Server, other: Server) -> None:
        """Make them known to one another, when the cluster is formed."""
        node.command("CLUSTER", "MEET", "127.0.0.1", other.port)

    def is_well(self) -> None:
        """Wait until every node that is alive takes commands, and every replica follows its master."""
        _until(lambda: all(map(_is_well, self.up())), "the cluster is not well")

    def up(self) -> Sequence[Server]:
        """The nodes that are neither dead nor frozen."""
        return [node for node in self.nodes if node.is_up]

    def _serving(self, slot: int, asked: Server) -> Server:
        for start, end, (_, port, *_), *_ in asked.command("CLUSTER", "SLOTS"):
            if start <= slot <= end:
                return next(node for node in self.nodes if node.port == port)
        raise AssertionError(f"nobody serves slot {slot}")

    def _knows_all(self, node: Server) -> bool:
        known = node.command("CLUSTER", "NODES")
        return known.count(b"\n") == len(self.nodes) and b"handshake" not in known

    def _is_linked(self, node: Server) -> bool:
        """Whether it has a link to each other node and one from each, as is the case some time after they have met."""
        if node.kind == "redis-6.2":  # which cannot tell
            return True
        return len({(link[b"direction"], link[b"node"]) for link in _links(node)}) == 2 * (len(self.nodes) - 1)


def _arguments(directory: Path) -> Sequence[str]:
    directory.mkdir()
    timeout = str(_NODE_TIMEOUT)
    return ("--dir", str(directory), "--cluster-enabled", "yes", "--cluster-node-timeout", timeout)


def _is_master(node: Server) -> bool:
    return b"role:master" in node.command("INFO", "replication")


def _epochs(node: Server) -> dict[bytes, int]:
    """The configuration epochs of the masters, by name, as this node knows them."""
    lines = (line.split() for line in node.command("CLUSTER", "NODES").splitlines())
    return {name: int(epoch) for name, _, flags, _, _, _, epoch, *_ in lines if b"master" in flags}


def _has_one_order(views: Sequence[dict[bytes, int]]) -> bool:
    """Whether all nodes know the same epochs, and no two masters have one in common."""
    return all(view == views[0] and len({*view.values()}) == len(view) for view in views)


def _links(node: Server) -> list[dict[bytes, Any]]:
    return [dict(zip(link[::2], link[1::2], strict=True)) for link in node.command("CLUSTER", "LINKS")]


def _links_to(identity: bytes, node: Server) -> set[int]:
    """When the links of this node to that of the identity were made."""
    return {link[b"create-time"] for link in _links(node) if (link[b"direction"], link[b"node"]) == (b"to", identity)}


def _heard(node: Server) -> int:
    """How many messages the others have passed on to it."""
    _, _, rest = node.command("CLUSTER", "INFO").partition(b"messages_publish_received:")
    return int(rest.split()[0]) if rest else 0


def _offset(node: Server, role: bytes) -> int:
    _, _, rest = node.command("INFO", "replication").partition(role + b"_repl_offset:")
    return int(rest.split()[0])


def _is_well(node: Server) -> bool:
    replication = node.command("INFO", "replication")
    return b"cluster_state:ok" in node.command("CLUSTER", "INFO") and b"master_link_status:down" not in replication


def _until(condition: Callable[[], bool], problem: str) -> None:
    deadline = time.monotonic() + _DEADLINE
    while not condition():
        assert time.monotonic() < deadline, problem
        time.sleep(0.01)
