"""`watch`: the stored records as they change, as a live table or as lines."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, TextIO, cast

from application.feed import Change
from domain.globs import globs_of, matcher
from domain.stored_record import told
from entrypoints.container.mirroring import MirrorContainer
from entrypoints.logs import set_up_logs
from entrypoints.mirrored import listening, mirrored, needs_a_running_server, refusal_in, refused_setting
from entrypoints.printable import printable
from entrypoints.settings import Loaded
from entrypoints.standard_error import StandardError
from entrypoints.standard_output import write_out
from entrypoints.stored_rows import row_of

Wanted = Callable[[str], object]


async def watch(loaded: Loaded, types: Sequence[str], *, as_json: bool) -> int:
    """Until a signal comes, or nobody reads any more; the exit code. `types` are lists of globs; none: all."""
    settings = listening(loaded.settings, "watch")
    if loaded.origins["log_level"] == "default":
        settings = settings.model_copy(update={"log_level": "WARNING"})
    set_up_logs(settings.log_level, settings.log_format, cast("TextIO", StandardError()))
    container = MirrorContainer(settings=settings)
    needs_a_running_server(container)
    wanted: Wanted = matcher([glob for text in types for glob in globs_of(text)]) or (lambda _: True)
    # What the terminal's encoding has not is shown by its number.
    cast("Any", sys.stdout).reconfigure(errors="backslashreplace")
    view = _table_view() if sys.stdout.isatty() and not as_json else None
    try:
        async with mirrored(container):
            ends = [
                asyncio.create_task(view(container, wanted) if view else _lines(container, wanted, as_json)),
                asyncio.create_task(_signal()),
            ]
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
            for end in done:
                end.result()
    except BaseExceptionGroup as group:
        refusal = refusal_in(group)
        what = f"{refusal} ({refused_setting(loaded.settings, refusal)})"
        print(f"kv-updater: Redis refuses what watch needs: {printable(what)}", file=sys.stderr)
        return 1
    return 0


async def _signal() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


def _table_view() -> Callable[[MirrorContainer, Wanted], Coroutine[Any, Any, None]] | None:
    if os.environ.get("TERM") == "dumb":
        return None
    try:
        from entrypoints.watch_table import show_table
    except ModuleNotFoundError:
        print('For a live table: in the checkout, pip install ".[demo]"', file=sys.stderr)
        return None
    return show_table


async def _lines(container: MirrorContainer, wanted: Wanted, as_json: bool) -> None:  # noqa: FBT001
    """Every current record, then each change of one; of a burst the newest of each type."""
    feed, clock, after = container.feed(), container.clock(), 0
    escapes = sys.stdout.isatty() or not as_json
    instants = container.instants()

    def line(change: Change) -> str:
        if as_json:
            return told(change.type, change.record).decode()
        return f"{_time(clock.now())} {change.type} {row_of(change.type, change.record, instants).values}"

    has_said_nothing = True
    with contextlib.suppress(BrokenPipeError):
        while True:
            await feed.until_shown(after)
            changes = [change for _, change in feed.behind(after) if change is not None and wanted(change.type)]
            after = feed.shown
            if changes:
                texts = map(line, changes)
                await write_out("\n".join([*(map(printable, texts) if escapes else texts), ""]))
            elif has_said_nothing and feed.complete:
                what = f"none of {len(feed)} records matches" if len(feed) else "there is no record"
                print(f"kv-updater: {what} yet", file=sys.stderr)
            else:
                continue
            has_said_nothing = False


def _time(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
