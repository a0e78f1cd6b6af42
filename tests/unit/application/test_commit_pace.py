"""When each of the two that commit begins."""

import asyncio
from collections.abc import Awaitable

from application.commit_pace import CommitPace
from tests.world import ScriptedSubscriber, World, message, until


async def test_the_second_goes_on_waiting_where_the_first_has_taken_what_was_held_for_more_to_conflate() -> None:
    subscriber = ScriptedSubscriber()
    subscriber.stuck_bytes = 1000
    world = World(subscriber=subscriber)
    begun: list[asyncio.Future[bool]] = []

    def commit() -> Awaitable[bool]:
        begun.append(asyncio.get_running_loop().create_future())
        return begun[-1]

    pending = world.pending_updates
    pace = CommitPace(subscription=world.subscription, pending_updates=pending, max_batch=2, commit=commit)
    receiving = asyncio.create_task(world.subscription.receive())
    await until(lambda: world.subscription.backlog_bytes)
    world.receive(message("a"), message("b"))
    second = asyncio.create_task(pace.next_full())
    await asyncio.sleep(0)

    assert len(pending.take(2)) == 2
    subscriber.stuck_bytes = 0
    pace.note_change()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not second.done()
    world.receive(message("c"), message("d"), message("e"))
    pace.note_change()
    async with asyncio.timeout(2):
        assert await second is begun[0]
    assert len(begun) == 1

    await world.subscription.stop()
    await receiving
