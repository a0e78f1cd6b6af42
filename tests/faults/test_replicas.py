"""Several updaters on one channel: while one lives nothing is lost, and none undoes what another has done."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from random import Random

import pytest

from tests.faults.kinds import one_kind_unless_long
from tests.faults.load import Load
from tests.faults.replicas import Replicas
from tests.faults.stream import Stream
from tests.faults.table import Noted
from tests.faults.trial import told
from tests.faults.wire import wire_to
from tests.servers import Server
from tests.service import Publisher, stored, until

pytestmark = one_kind_unless_long

Lossless = Callable[[str], AbstractContextManager[Load]]


@pytest.fixture
def replicas(own: Server, tmp_path: Path) -> Iterator[Replicas]:
    replicas = Replicas(own.url, tmp_path)
    yield replicas
    replicas.kill_all()


@pytest.fixture
def lossless(noted: Noted, own: Server, replicas: Replicas) -> Lossless:
    """Messages flow from a first updater's start to the last one's stop: not one is lost, and none logs an error."""

    @contextmanager
    def lossless(fault: str) -> Iterator[Load]:
        with noted(fault, own.kind) as row, Stream(partial(Publisher, own.port)) as stream:
            with stream.flowing() as stops_flowing:
                load = Load(stream, own, stops_flowing)
                load.settles()
                yield load
            replicas.stop_all()
            missing = stream.missing_in(stored(own), since=0)
            row.happened, row.lost, row.seconds = told(replicas.entries), str(len(missing)), load.seconds
            assert missing == []
            assert "ERROR" not in {entry["level"] for entry in replicas.entries}

    return lossless


def test_two_updaters_store_what_one_would(lossless: Lossless, replicas: Replicas) -> None:
    replicas.start()
    replicas.start()
    with lossless("two updaters") as load:
        load.flows(2000)
        load.stops_flowing()
        both = replicas.stop_all()
        assert [totals["received"] for totals in both] == [load.stream.heard] * 2
        # Whatever one has written, the other has met.
        assert sum(totals["stale"] + totals["unchanged"] for totals in both) > load.stream.heard // 2


def test_a_replica_that_lags_behind_leaves_the_newer_records(
    lossless: Lossless, replicas: Replicas, own: Server
) -> None:
    with wire_to(own) as wire:
        laggard = replicas.start("--store-url", wire.url)
        replicas.start()
        with lossless("a replica lags") as load:
            held = wire.does(lambda proxy: proxy.hold_requests(after=b"EVALSHA"))
            until(held.caught.is_set)
            load.settles()
            wire.does(lambda _: held.release())
            load.flows(200)
            load.stops_flowing()
            assert replicas.stop(laggard)["stale"] > 0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=pytest.mark.long)])
def test_a_replica_that_is_killed_at_any_moment_takes_nothing_with_it(
    lossless: Lossless, replicas: Replicas, own: Server, kills: int
) -> None:
    random = Random(kills)
    pair = [replicas.start(), replicas.start()]
    with lossless(f"SIGKILL of one of two updaters x{kills}") as load:
        for _ in range(kills):
            load.flows(random.randrange(200))
            random.shuffle(pair)
            replicas.kill(pair.pop())
            load.recovers()
            pair.append(replicas.start())
            # What was published until now only the survivor has heard: it may go when that is stored.
            load.catches_up()


def test_a_rolling_restart_loses_nothing(lossless: Lossless, replicas: Replicas) -> None:
    running = replicas.start()
    with lossless("rolling restart x5") as load:
        for _ in range(5):
            following = replicas.start()
            assert replicas.stop(running)["pending"] == 0
            running = following
            load.recovers()
        assert not [entry for entry in replicas.entries if entry["message"].startswith("Gap")]
