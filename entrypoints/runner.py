"""The life cycle of the service: open, run, drain on a signal, close; and what its exit code says."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from loguru import logger

from application.ports import StoreRefused, SubscriptionRefused
from entrypoints.container import Container
from entrypoints.settings import mask_url

if TYPE_CHECKING:
    from loguru import Logger

_SUMMARY_INTERVAL = 10.0

Companion = Callable[[Container], Awaitable[None]]
"""Runs along with the service, from when all is opened until the updater has ended."""


@contextlib.asynccontextmanager
async def opened(container: Container) -> AsyncIterator[None]:
    """Start what must run before the rest is made, and close all that was made."""
    async with contextlib.AsyncExitStack() as stack:
        server = container.embedded_server()
        if server is not None:
            await stack.enter_async_context(server)
        for made in (container.publisher, container.dead_letters, container.store, container.subscriber):
            stack.push_async_callback(made().close)
        yield


@contextlib.asynccontextmanager
async def _followed(container: Container) -> AsyncIterator[None]:
    """Single messages are, where that is asked for."""
    traces = container.traces()
    try:
        yield
    finally:
        if traces is not None:
            await traces.close()


async def run_service(container: Container, *companions: Companion) -> int:
    """Run until a signal comes, the messages end or a companion returns, which counts as a signal; the exit code.

    At SIGTERM or SIGINT: unsubscribe, commit what was read before the confirmation, 0. At a second one, or
    when `shutdown_timeout` has passed: stop at once, 1.
    """
    stop, stop_at_once = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (stop_at_once if stop.is_set() else stop).set()

    async def accompany(companion: Companion) -> None:
        await companion(container)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    async with opened(container), _followed(container), asyncio.TaskGroup() as tasks:
        following = [connector.follow() for connector in container.connectors()]
        works = (_summarise_the_log(container), _watch_the_server(container), *following, *map(accompany, companions))
        beside = [tasks.create_task(work) for work in works]
        try:
            return await _run_until(container, stop, stop_at_once)
        finally:
            for task in beside:
                task.cancel()


async def _summarise_the_log(container: Container) -> None:
    while True:
        await container.clock().sleep(_SUMMARY_INTERVAL)
        container.observer().summarise()


async def _watch_the_server(container: Container) -> None:
    if (server := container.embedded_server()) is not None:
        raise RuntimeError(f"the embedded server ended by itself (exit code {await server.wait()})")


async def _run_until(container: Container, stop: asyncio.Event, stop_at_once: asyncio.Event) -> int:
    settings, updater = container.settings(), container.updater()
    logger.bind(
        transport=settings.transport,
        channel=",".join(settings.channel),
        redis=mask_url(container.channel_url()),
        store=mask_url(container.store_url()),
    ).info("KV-Updater starts")
    # What has been made so far stays: the collector need not look at it again and again.
    gc.freeze()
    running = asyncio.create_task(updater.run(), name="updater")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    giving_up = asyncio.create_task(stop_at_once.wait(), name="stop at once")
    try:
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            logger.info("KV-Updater stops: committing what was read")
            await updater.stop()
            await asyncio.wait(
                (running, giving_up), timeout=settings.shutdown_timeout, return_when=asyncio.FIRST_COMPLETED
            )
        finished = running.done()
    finally:
        for task in (running, stopping, giving_up):
            task.cancel()
        await asyncio.wait((running,))
        container.observer().summarise()
    if not finished:
        undone = " and ".join(_undone(container))
        container.subscription().give_up()
        totals = _with_totals(container).bind(unacknowledged=len(container.acknowledgements()))
        totals.error(f"KV-Updater stopped before {undone}")
        return 1
    try:
        await running
    except BaseExceptionGroup as group:
        refused, others = group.split((SubscriptionRefused, StoreRefused))
        if refused is None or others is not None:
            raise others or group from None
        # No message is to blame for that.
        await updater.stop()
        of_store = isinstance(refused.exceptions[0], StoreRefused) and settings.store_url is not None
        setting = "store_url" if of_store else "redis_url"
        logger.bind(detail=str(refused.exceptions[0]), setting=setting).error("Redis refuses what the service needs")
        return 1
    _with_totals(container).info("KV-Updater stopped")
    return 0


def _undone(container: Container) -> list[str]:
    queue = container.dead_letter_queue()
    undone = {
        "all was committed": container.updater().pending,
        "all dead letters were written": queue is not None and len(queue),
        "all stream entries were acknowledged": len(container.acknowledgements()),
        "the end of the subscription was confirmed": not container.subscription().ended,
    }
    return [what for what, left in undone.items() if left] or ["all of it had ended"]


def _with_totals(container: Container) -> "Logger":
    updater, tally, queue = container.updater(), container.tally(), container.dead_letter_queue()
    return logger.bind(
        pending=updater.pending,
        received=tally.received,
        committed=tally.committed,
        conflated=tally.conflated,
        unchanged=tally.unchanged,
        stale=tally.stale,
        expired=tally.expired,
        rejected=tally.rejected.total(),
        unstorable=tally.unstorable.total(),
        unordered=tally.unordered,
        future_dated=tally.future_dated,
        conflicts=tally.conflicts,
        dead_letters=tally.dead_letters,
        dead_letters_lost=tally.dead_letters_dropped + (0 if queue is None else len(queue)),
        gaps=tally.gaps,
        gap_seconds=round(tally.gap_seconds, 3),
        **({"gap_seconds_at_least": True} if tally.gaps_at_least else {}),
        entries_lost=tally.entries_lost,
        **({"entries_lost_at_least": True} if tally.entry_losses_at_least else {}),
    )
