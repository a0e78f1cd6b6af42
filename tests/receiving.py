"""What a test of a MessageSubscriber does with it: receive so many, or to the end, or to the loss."""

import asyncio
from collections.abc import Callable

from application.ports import Delivery, MessageSubscriber, SubscriptionLost

SOON = 10.0  # seconds: for what must happen


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what only the server knows, and does not announce."""
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def receive(subscriber: MessageSubscriber, count: int) -> list[Delivery]:
    """The next deliveries, at least so many."""
    deliveries: list[Delivery] = []
    async with asyncio.timeout(SOON):
        while len(deliveries) < count:
            slice_ = await subscriber.receive()
            assert slice_, f"it ended after {len(deliveries)} of {count}"
            deliveries += slice_
    return deliveries


async def receive_to_the_end(subscriber: MessageSubscriber) -> list[Delivery]:
    """All until it ends."""
    deliveries: list[Delivery] = []
    async with asyncio.timeout(SOON):
        while slice_ := await subscriber.receive():
            deliveries += slice_
    return deliveries


async def receive_to_the_loss(subscriber: MessageSubscriber) -> list[Delivery]:
    """All until it is lost."""
    deliveries: list[Delivery] = []
    async with asyncio.timeout(SOON):
        try:
            while True:
                slice_ = await subscriber.receive()
                assert slice_, "it ended without a loss"
                deliveries += slice_
        except SubscriptionLost:
            return deliveries
