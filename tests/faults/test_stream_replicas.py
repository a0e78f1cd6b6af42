"""Updaters of one consumer group are killed, frozen and replaced at any moment: nothing is lost, no tie is reverted."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from random import Random

import pytest

from tests.faults.entries import Appender, Entries
from tests.faults.kinds import one_kind_unless_long
from tests.faults.replicas import Replicas
from tests.faults.stream_trial import CLAIMED, STREAMING, StreamLoad
from tests.faults.table import Noted
from tests.faults.trial import told
from tests.faults.wire import wire_to
from tests.servers import Server
from tests.service import until

pytestmark = one_kind_unless_long

Lossless = Callable[..., AbstractContextManager[StreamLoad]]
TIES = 1_000_000  # all messages of a type have one date, so that whatever comes late would win


@pytest.fixture
def replicas(own: Server, tmp_path: Path) -> Iterator[Replicas]:
    replicas = Replicas(own.url, tmp_path, *STREAMING)
    yield replicas
    replicas.kill_all()


@pytest.fixture
def lossless(noted: Noted, own: Server, replicas: Replicas) -> Lossless:
    """Entries flow while updaters come and go: each is settled in the end, none is lost or poison, none logs an error.

    `store`: where the records are, if it is another server.
    """

    @contextmanager
    def lossless(fault: str, store: Server | None = None) -> Iterator[StreamLoad]:
        with noted(fault, own.kind) as row, Entries(partial(Appender, own.port), tie=TIES) as stream:
            with stream.flowing() as stops_flowing:
                load = StreamLoad(stream, store or own, stops_flowing)
                load.settles()
                yield load
            load.drains()
            for totals in replicas.stop_all():
                assert totals["pending"] == totals["rejected"] == totals["unstorable"] == 0
            missing = load.unstored()
            row.happened, row.lost, row.seconds = told(replicas.entries), str(len(missing)), load.seconds
            assert missing == []
            assert "ERROR" not in {entry["level"] for entry in replicas.entries}

    return lossless


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("name", "kills"),
    [
        pytest.param((), 5, id="a new name-5"),
        pytest.param((), 200, id="a new name-200", marks=pytest.mark.long),
        pytest.param(("--consumer-name", "only"), 200, id="one name-200", marks=pytest.mark.long),
    ],
)
def test_an_updater_that_is_killed_at_any_moment_is_made_good_by_the_next(
    lossless: Lossless, replicas: Replicas, name: tuple[str, ...], kills: int
) -> None:
    random = Random(kills)
    only = replicas.start(*name)
    with lossless(f"SIGKILL of the updater{' of one name' if name else ''} x{kills}, stream") as load:
        for _ in range(kills):
            load.flows(random.randrange(200))
            replicas.kill(only)
            with load.stream.held():
                only = replicas.start(*name)
            if random.random() < 0.5:
                load.recovers()
        load.recovers()


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kills", [2, pytest.param(200, marks=pytest.mark.long)])
def test_of_two_updaters_one_is_killed_at_any_moment(lossless: Lossless, replicas: Replicas, kills: int) -> None:
    random = Random(kills)
    pair = [replicas.start(), replicas.start()]
    with lossless(f"SIGKILL of one of two updaters x{kills}, stream") as load:
        for _ in range(kills):
            load.flows(random.randrange(200))
            random.shuffle(pair)
            replicas.kill(pair.pop())
            load.recovers()
            with load.stream.held():
                pair.append(replicas.start())


def test_a_rolling_restart_delivers_each_entry_once(lossless: Lossless, replicas: Replicas) -> None:
    running, received = replicas.start(), 0
    with lossless("rolling restart x3, stream") as load:
        for _ in range(3):
            following = replicas.start()
            totals = replicas.stop(running)
            assert totals["pending"] == 0
            received += totals["received"]
            running = following
            load.recovers()
        load.stops_flowing()
        load.drains()
        received += replicas.stop(running)["received"]
        assert received == load.stream.heard
        assert not replicas.logged(CLAIMED)


def test_what_a_frozen_updater_holds_is_claimed_and_it_reverts_nothing_when_it_thaws(
    lossless: Lossless, replicas: Replicas, own: Server
) -> None:
    with wire_to(own) as wire:
        # What it has read it cannot commit: it holds entries for certain when it is frozen.
        frozen = replicas.start("--redis-url", wire.url)
        other = replicas.start()
        with lossless("SIGSTOP of an updater past claim_after, stream") as load:
            held = wire.does(lambda proxy: proxy.hold_requests(after=b"EVALSHA"))
            until(held.caught.is_set)
            load.flows(200)
            frozen.freeze()
            until(lambda: other.logged(CLAIMED))
            load.recovers()
            # What it commits late comes last.
            load.stops_flowing()
            load.drains()
            wire.does(lambda _: held.release())
            frozen.thaw()
            totals = replicas.stop(frozen)
            assert totals["stale"] + totals["unchanged"] > 0


@pytest.mark.parametrize("successor", [pytest.param("had read on", marks=pytest.mark.long), "is new"])
def test_entries_that_were_committed_but_not_acknowledged_revert_no_tie(
    lossless: Lossless, replicas: Replicas, own: Server, store: Server, successor: str
) -> None:
    elsewhere = ("--store-url", store.url)
    with wire_to(own) as wire:
        killed = replicas.start("--redis-url", wire.url, *elsewhere)
        with lossless(f"SIGKILL before the acknowledgement: the next {successor}, stream", store) as load:
            held = wire.does(lambda proxy: proxy.hold_requests(after=b"XACK"))
            until(held.caught.is_set)
            load.settles()
            assert load.stream.group()[b"pending"] > 0
            replicas.kill(killed)
            following = replicas.start(*elsewhere, "--claim-after", "60s" if successor == "is new" else "3s")
            load.recovers()
            # What is claimed comes last.
            load.stops_flowing()
            if successor == "is new":
                # It finds the ids of newer entries in the store alone.
                replicas.stop(following)
                following = replicas.start(*elsewhere)
            until(lambda: following.logged(CLAIMED))
