"""`watch` on a terminal: a live table of the stored records. Needs rich, an optional package."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress

from rich.console import Console
from rich.live import Live

from entrypoints.container.mirroring import MirrorContainer
from entrypoints.record_table import cells_of, picture
from entrypoints.settings import mask_url
from entrypoints.stored_rows import row_of

# Seconds between two looks where nothing changes: ages and times left do.
_INTERVAL = 0.25
# Lines of the screen that are not rows.
_AROUND = 6


async def show_table(container: MirrorContainer, wanted: Callable[[str], object]) -> None:
    """Keep the table up to date until cancelled."""
    console, feed, clock = Console(), container.feed(), container.clock()
    instants, readiness = container.instants(), container.readiness()
    above = f"{mask_url(container.store_url())}   channel {', '.join(container.settings().channel)}"
    with Live(console=console, auto_refresh=False, redirect_stderr=sys.stderr.isatty()) as live:
        drawn: object = None
        while True:
            types = sorted(type_ for type_ in feed.types() if wanted(type_))
            shown = types[: max(1, console.size.height - _AROUND)]
            changes = [change for type_ in shown if (change := feed.change(type_)) is not None]
            rows = [row_of(change.type, change.record, instants) for change in changes]
            cells = [cells_of(row, clock.now()) for row in rows]
            more = f"   {len(types) - len(shown)} more do not fit" if types[len(shown) :] else ""
            why_not = readiness.why_not
            of = f" of {len(feed)}" if len(types) < len(feed) else ""
            state = "up to date" if why_not is None else why_not
            below = f"\n{len(types)}{of} records{more}   {state}   Ctrl-C ends it."
            if (cells, below, console.size) != drawn:
                drawn = (cells, below, console.size)
                live.update(picture(above, cells, below), refresh=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL):
                    await feed.until_shown(feed.shown)
