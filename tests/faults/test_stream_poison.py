"""An entry that kills whoever takes it becomes a dead letter after so many deaths, and nothing else does."""

from functools import partial
from pathlib import Path

import pytest

from tests.faults.entries import GROUP, STREAM, Appender, Entries
from tests.faults.kinds import one_kind_unless_long
from tests.faults.replicas import Replicas
from tests.faults.stream_trial import STREAMING, StreamLoad
from tests.faults.table import Noted
from tests.faults.trial import told
from tests.faults.wire import wire_to
from tests.servers import Server
from tests.service import until
from tests.world import message, record

pytestmark = one_kind_unless_long

POISON = message("poison", values="[-1]")
# As it stands in a commit, and nowhere else.
COMMITTED = b"\r\n" + record(values="[-1]")
MAY_KILL = 5
LETTERS = ("--dead-letter-stream", "letters")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param((), id="a new name"),
        pytest.param(("--consumer-name", "only"), id="one name", marks=pytest.mark.long),
    ],
)
def test_an_entry_that_kills_whoever_takes_it_becomes_a_dead_letter_and_the_rest_goes_on(
    own: Server, noted: Noted, tmp_path: Path, name: tuple[str, ...]
) -> None:
    own.command("XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM")
    with (
        noted(f"an entry that kills{': one name' if name else ''}, stream", own.kind) as row,
        Entries(partial(Appender, own.port)) as stream,
        wire_to(own) as wire,
    ):
        replicas = Replicas(wire.url, tmp_path, *STREAMING, *LETTERS, *name)
        try:
            load = StreamLoad(stream, own, lambda: None)
            stream.publish()
            poison = own.command("XADD", STREAM, "*", "message", POISON)
            stream.publish()
            for _ in range(MAY_KILL):
                held = wire.does(lambda proxy: proxy.hold_requests(after=COMMITTED))
                service = replicas.start()
                until(held.caught.is_set, lambda service=service: service.raw_log)
                replicas.kill(service)
                stream.publish()
            held = wire.does(lambda proxy: proxy.hold_requests(after=COMMITTED))
            service = replicas.start()
            stream.publish()
            load.drains()
            assert not held.caught.is_set()
            totals = replicas.stop(service)
            letters = [
                dict(zip(fields[::2], fields[1::2], strict=True))
                for _, fields in own.command("XRANGE", "letters", "-", "+")
            ]
            assert [(letter[b"reason"], letter[b"payload"]) for letter in letters] == [(b"poison", POISON)]
            assert totals["unstorable"] == 1
            own.command("XDEL", STREAM, poison)
            assert load.unstored() == []
            row.happened, row.lost, row.seconds = told(replicas.entries), "0", load.seconds
        finally:
            replicas.kill_all()
