"""What is not kept is counted, told, and a dead letter where those are on."""

import pytest

from application.events import MessageRejected, MessageUnstorable
from application.refusals import Refusals
from domain.errors import Reason, Rejection
from domain.update_message import UpdateMessage
from tests.world import World

TOO_LARGE = Rejection(Reason.TOO_LARGE, "9 bytes, at most 8 are taken")
NO_ROOM = Rejection(Reason.TOO_MANY_KEYS, "no room")
MESSAGE = UpdateMessage("a", b"as it came", b"update")


async def refusing(world: World) -> None:
    """One rejection and one unstorable message."""
    refusals = Refusals(world.tally, world.observer, world.queue, world.acknowledgements)
    refusals.rejected(b"too large", b"elsewhere", TOO_LARGE)
    refusals.unstorable(MESSAGE, NO_ROOM)


@pytest.mark.parametrize("buries", [False, True])
async def test_what_is_not_kept_is_counted_by_reason_and_told(buries: bool) -> None:  # noqa: FBT001
    world = World(buries=buries)

    await refusing(world)

    assert world.tally.rejected == {Reason.TOO_LARGE: 1}
    assert world.tally.unstorable == {Reason.TOO_MANY_KEYS: 1}
    assert world.observer.events == [
        MessageRejected(TOO_LARGE, b"too large", b"elsewhere"),
        MessageUnstorable(NO_ROOM, "a"),
    ]


async def test_dead_letters_hold_the_message_as_it_came_and_why() -> None:
    world = World(buries=True)

    await refusing(world)

    assert world.queue is not None
    await world.queue.write()
    rejected, unstorable = await world.letters()
    assert (rejected.payload, rejected.channel) == (b"too large", b"elsewhere")
    assert (rejected.reason, rejected.error) == TOO_LARGE
    assert (unstorable.payload, unstorable.channel) == (b"as it came", b"update")
    assert (unstorable.reason, unstorable.error) == NO_ROOM
