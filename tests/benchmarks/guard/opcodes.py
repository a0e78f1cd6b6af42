"""Python's opcodes a message, from the socket to the store: a count that is the same on a busy machine.

What C does (the parser of Redis's protocol, that of JSON) is not in it, and neither are the store in memory, which is
in the place of Redis, and this harness.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.memory import store as memory_store
from adapters.memory.store import MemoryStore
from tests.benchmarks.failure import MeasurementError

from .in_memory import delivered, in_still_time, receives, running, turns_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_UNCOUNTED = (str(Path(__file__).parents[2]), str(memory_store.__file__))
_SHORT, _LONG = 1_000, 5_000


def per_message(keys: int | None) -> float:
    """From the bytes of a message to the commit, over so many keys in turn; None: all different.

    With few keys that is to receive, to parse and to conflate: all is committed at the end, and once.
    """
    counted(partial(_run, _SHORT, keys))  # imports; and CPython 3.12 does not trace the first one
    # What is done once is in both.
    short, long = (counted(partial(_run, messages, keys)) for messages in (_SHORT, _LONG))
    return (long - short) / (_LONG - _SHORT)


def counted(run: Callable[[], Any]) -> int:
    """The opcodes that are executed in it, but for those of the harness."""
    opcodes = 0
    uncounted: dict[str, bool] = {}

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        nonlocal opcodes
        if event == "opcode":
            opcodes += 1
        elif event == "call":
            name = frame.f_code.co_filename
            if name not in uncounted:
                uncounted[name] = name.startswith(_UNCOUNTED)
            if uncounted[name]:
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return opcodes


def _run(messages: int, keys: int | None) -> None:
    different = keys or messages
    chunks = delivered(messages, different)

    async def carry() -> None:
        async with running(MemoryStore) as (updater, wire):
            await receives(updater, wire, chunks, messages)
            await turns_until(lambda: not updater.pending)
            if updater.tally.committed < different:
                raise MeasurementError(f"{updater.tally.committed} of {different} records are stored")

    in_still_time(carry())
