"""How a store refuses for a while, and what is the same for all that is under way to it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import pytest

from tests.faults.trial import Trial
from tests.kinds import BEFORE_REDIS_7
from tests.servers import Server
from tests.service import until


@dataclass(frozen=True)
class Refusal:
    """`refuse` makes a store do so, and gives what makes it take writes again."""

    name: str
    refuse: Callable[[Server], Callable[[], object]]
    kind: str  # as the service tells it

    def happens(self, trial: Trial, store: Server) -> None:
        """Until it is told and for 200 messages more; then all recovers, and the trial ends."""
        if self.refuse is _lack_replicas and store.kind in BEFORE_REDIS_7:
            pytest.skip("it does not hold scripts to that, and the commits are scripts")
        trial.settles()
        recover = self.refuse(store)
        trial.service.says(f"Store failed: {self.kind}")
        trial.flows(200)
        recover()
        trial.recovers()
        trial.ends()
        assert not trial.service.logged("Validation failed: the record reads back differently")


def _die(store: Server) -> Callable[[], object]:
    store.kill()
    return store.start


def _be_out_of_memory(store: Server) -> Callable[[], object]:
    store.command("CONFIG", "SET", "maxmemory", 1)
    return lambda: store.command("CONFIG", "SET", "maxmemory", 0)


def _be_a_replica(store: Server) -> Callable[[], object]:
    # Nobody listens on port 1, so that nothing is replicated.
    store.command("REPLICAOF", "127.0.0.1", 1)
    return lambda: store.command("REPLICAOF", "NO", "ONE")


def _lack_replicas(store: Server) -> Callable[[], object]:
    store.command("CONFIG", "SET", "min-replicas-to-write", 1)
    return lambda: store.command("CONFIG", "SET", "min-replicas-to-write", 0)


def _fail_to_save(store: Server) -> Callable[[], object]:
    assert store.data_dir
    in_the_way = store.data_dir / "dump.rdb"
    in_the_way.mkdir()
    store.command("CONFIG", "SET", "save", "3600 1")
    store.command("BGSAVE")

    def save() -> None:
        in_the_way.rmdir()
        store.command("BGSAVE")

    return save


def _load(store: Server) -> Callable[[], object]:
    store.command("EVAL", "for n = 1, 10000 do redis.call('SET', 'n', n) end redis.call('DEL', 'n')", 0)
    store.kill()
    # Microseconds that each command in the file takes: a large data set without its weight.
    store.args = ("--key-load-delay", "50")
    store.launch()
    return lambda: until(store.answers)


def _pause_writes(store: Server) -> Callable[[], object]:
    store.command("CLIENT", "PAUSE", 3_600_000, "WRITE")
    return lambda: store.command("CLIENT", "UNPAUSE")


def _freeze(store: Server) -> Callable[[], object]:
    store.freeze()
    return store.thaw


_ALL = (
    Refusal("SIGKILL and restart, AOF", _die, "connection"),
    Refusal("LOADING", _load, "loading"),
    Refusal("maxmemory", _be_out_of_memory, "oom"),
    Refusal("made a replica", _be_a_replica, "readonly"),
    Refusal("min-replicas-to-write", _lack_replicas, "noreplicas"),
    Refusal("MISCONF, saving fails", _fail_to_save, "misconf"),
    Refusal("CLIENT PAUSE WRITE", _pause_writes, "timeout"),
    Refusal("SIGSTOP", _freeze, "timeout"),
)


def refusals(*, long: Collection[str] = (), without: Collection[str] = ()) -> list[Any]:
    """Parameters of a test: all but some, and those of the long run marked."""
    return [
        pytest.param(refusal, id=refusal.name, marks=[pytest.mark.long] if refusal.name in long else [])
        for refusal in _ALL
        if refusal.name not in without
    ]
