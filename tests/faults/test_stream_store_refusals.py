"""The store of a stream's records refuses or is down: the stream waits, nothing is poison, all is committed later."""

from functools import partial
from pathlib import Path

import pytest

from tests.faults.entries import Appender, Entries
from tests.faults.kinds import one_kind_unless_long
from tests.faults.refusals import Refusal, refusals
from tests.faults.replicas import Replicas
from tests.faults.stream_trial import CLAIMED, STREAMING, StreamLoad
from tests.faults.table import Noted
from tests.faults.trial import Try, told
from tests.servers import Server

pytestmark = one_kind_unless_long


_ALIKE = {"MISCONF, saving fails", "CLIENT PAUSE WRITE"}
"""What is nothing else, to a stream, than the others are."""

_LONG = {"LOADING", "maxmemory", "made a replica", "min-replicas-to-write", "SIGSTOP"}


@pytest.mark.parametrize("refusal", refusals(long=_LONG, without=_ALIKE))
def test_what_a_store_elsewhere_refused_for_a_while_is_stored_later(
    stream_fault: Try, own: Server, store: Server, refusal: Refusal
) -> None:
    with stream_fault(f"store: {refusal.name}", own, "--validate", store=store) as trial:
        refusal.happens(trial, store)
        assert not trial.service.logged("Not subscribed")


@pytest.mark.parametrize(
    ("room", "at_most", "burst"),
    [
        # What is taken stops at half of the room for types, of which every other entry brings a new one, or at the most
        # that may be outstanding; but for what is being read meanwhile.
        pytest.param(("--max-pending-keys", "2000"), 2 * 1000 + 3 * 500, 6_000, id="little room"),
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
                trial.stands_still_at()
                # Whoever is silent for claim_after is dead; these are not, however long it takes.
                trial.flows(3000)
                assert trial.stands_still_at() <= 2 * at_most
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
