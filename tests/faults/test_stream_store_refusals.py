"""The store of a stream's records refuses or is down: the stream waits, nothing is poison, all is committed later."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.faults.entries import Appender, Entries
from tests.faults.kinds import one_kind_unless_long
from tests.faults.replicas import Replicas
from tests.faults.stream_trial import CLAIMED, STREAMING, StreamLoad
from tests.faults.table import Noted
from tests.faults.test_store_refusals import be_a_replica, be_out_of_memory, die, freeze, lack_replicas, load
from tests.faults.trial import Try, told
from tests.kinds import BEFORE_REDIS_7
from tests.servers import Server

pytestmark = one_kind_unless_long


@pytest.mark.parametrize(
    ("name", "refuse", "kind"),
    [
        ("SIGKILL and restart, AOF", die, "connection"),
        pytest.param("LOADING", load, "loading", marks=pytest.mark.long),
        pytest.param("maxmemory", be_out_of_memory, "oom", marks=pytest.mark.long),
        pytest.param("made a replica", be_a_replica, "readonly", marks=pytest.mark.long),
        pytest.param("min-replicas-to-write", lack_replicas, "noreplicas", marks=pytest.mark.long),
        pytest.param("SIGSTOP", freeze, "timeout", marks=pytest.mark.long),
    ],
)
def test_what_a_store_elsewhere_refused_for_a_while_is_stored_later(
    *,
    stream_fault: Try,
    own: Server,
    store: Server,
    name: str,
    refuse: Callable[[Server], Callable[[], object]],
    kind: str,
) -> None:
    if refuse is lack_replicas and store.kind in BEFORE_REDIS_7:
        pytest.skip("it does not hold scripts to that, and the commits are scripts")
    with stream_fault(f"store: {name}", own, "--validate", store=store) as trial:
        trial.settles()
        recover = refuse(store)
        trial.service.says(f"Store failed: {kind}")
        trial.flows(200)
        recover()
        trial.recovers()
        trial.ends()
        assert not trial.service.logged("Validation failed: the record reads back differently")
        assert not trial.service.logged("Not subscribed")


@pytest.mark.parametrize(
    ("room", "at_most", "burst"),
    [
        # What is taken stops at half of the room for types, of which every other entry brings a new one, or at the most
        # that may be outstanding; but for what is being read meanwhile.
        pytest.param(("--max-pending-keys", "2000"), 2 * 1000 + 3 * 500, 10_000, id="little room"),
        pytest.param((), 100_000 + 3 * 1000, 300_000, id="the default", marks=pytest.mark.long),
    ],
)
def test_a_store_that_is_down_for_long_costs_neither_memory_nor_an_entry(
    *, noted: Noted, own: Server, store: Server, tmp_path: Path, room: tuple[str, ...], at_most: int, burst: int
) -> None:
    replicas = Replicas(own.url, tmp_path, *STREAMING, "--store-url", store.url, "--claim-after", "0.5s", *room)
    name = f"store down for several claim_after, {burst} entries wait, stream"
    with noted(name, own.kind) as row, Entries(partial(Appender, own.port), tie=3) as stream:
        try:
            pair = [replicas.start(), replicas.start()]
            with stream.flowing() as stops_flowing:
                trial = StreamLoad(stream, store, stops_flowing)
                trial.settles()
                store.kill()
                stream.publish(burst)
                for service in pair:
                    service.says("Store failed: connection")
                taken = trial.stands_still_at()
                # Whoever is silent for claim_after is dead; these are not, however long it takes.
                trial.flows(3000)
                assert trial.stands_still_at() == taken <= 2 * at_most
                store.start()
                trial.recovers()
            trial.drains()
            both = replicas.stop_all()
            row.happened, row.lost, row.seconds = told(replicas.entries), str(len(trial.unstored())), trial.seconds
        finally:
            replicas.kill_all()
    assert trial.unstored() == []
    assert not replicas.logged(CLAIMED)
    assert sum(totals["received"] for totals in both) == stream.heard
    assert {totals["unstorable"] + totals["pending"] + totals["rejected"] for totals in both} == {0}
