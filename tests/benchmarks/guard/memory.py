"""What a message that waits for the store takes: small blocks (up to 512 bytes) that Python allocates, and bytes."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.memory.store import MemoryStore
from tests.benchmarks.failure import MeasurementError

from .in_memory import delivered, in_still_time, receives, running

if TYPE_CHECKING:
    from collections.abc import Mapping

    from application.commit_batch import CommitBatch, Found, Refused
    from application.ports import StoreUnavailable

_MESSAGES = 100_000


@dataclass(frozen=True)
class Held:
    """Of one message."""

    blocks: float
    bytes: float


class _Stuck(MemoryStore):
    """Never answers."""

    async def commit(self, batch: CommitBatch) -> Mapping[int, Found | Refused | StoreUnavailable]:
        await asyncio.Event().wait()
        return await super().commit(batch)


def per_pending_message(messages: int = _MESSAGES) -> Held:
    """All of different keys, while nothing is committed."""

    async def measure() -> Held:
        chunks = delivered(messages, messages)
        async with running(_Stuck) as (updater, wire):
            gc.collect()
            # What is still to be delivered was allocated before, and in pieces too large to be counted as blocks.
            tracemalloc.start()
            try:
                before = sys.getallocatedblocks()
                await receives(updater, wire, chunks, messages)
                gc.collect()
                blocks, (held, _) = sys.getallocatedblocks() - before, tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            if updater.pending != messages:
                raise MeasurementError(f"{updater.pending:,} of {messages:,} messages are pending")
        return Held(blocks / messages, held / messages)

    held: Held = in_still_time(measure())
    return held
