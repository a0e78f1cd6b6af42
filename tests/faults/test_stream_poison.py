"""An entry that kills whoever takes it becomes a dead letter after so many deaths, and nothing else does."""

from pathlib import Path

import pytest

from tests.faults.entries import GROUP, STREAM
from tests.faults.kinds import one_kind_unless_long
from tests.faults.replicas import Replicas
from tests.faults.stream_trial import STREAMING
from tests.faults.table import Noted
from tests.faults.wire import wire_to
from tests.servers import Server
from tests.service import until
from tests.world import message

pytestmark = one_kind_unless_long

POISON = message("poison", values="[-1]")
DEATHS = 5
LETTERS = ("--dead-letter-stream", "letters")


def holder(server: Server, id_: bytes) -> tuple[bytes, int]:
    """Who has this entry, delivered how often; nobody once it is settled."""
    rows = server.command("XPENDING", STREAM, GROUP, id_, id_, 1)
    return (rows[0][1], rows[0][3]) if rows else (b"", 0)


@pytest.mark.parametrize("name", [(), ("--consumer-name", "only")], ids=["a new name", "one name"])
def test_an_entry_that_kills_whoever_takes_it_becomes_a_dead_letter(
    own: Server, noted: Noted, tmp_path: Path, name: tuple[str, ...]
) -> None:
    own.command("XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM")
    poison = own.command("XADD", STREAM, "*", "message", POISON)
    with wire_to(own) as wire:
        replicas = Replicas(wire.url, tmp_path, *STREAMING, *LETTERS, *name)
        for death in range(1, DEATHS + 1):
            held = wire.does(lambda proxy: proxy.hold_requests(after=POISON[20:40]))
            killed = replicas.start()
            until(held.caught.is_set)
            assert holder(own, poison)[1] == death
            replicas.kill(killed)
            wire.does(lambda proxy: proxy.cut())
        survivor = replicas.start()
        until(lambda: holder(own, poison) == (b"", 0))
        totals = replicas.stop(survivor)
    assert totals["unstorable"] == totals["received"] == 1
    (entry,) = own.command("XRANGE", "letters", "-", "+")
    letter = dict(zip(entry[1][::2], entry[1][1::2], strict=True))
    assert (letter[b"reason"], letter[b"payload"]) == (b"poison", POISON)
    assert own.command("EXISTS", "poison") == 0
