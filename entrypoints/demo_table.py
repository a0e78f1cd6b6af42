"""The demo on a terminal: a live table of the stored records. Needs rich, an optional package."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rich.console import Console
from rich.live import Live

from entrypoints.container import Container
from entrypoints.record_table import Cells, cells_of, picture
from entrypoints.sample_publishers import SAMPLES, destination
from entrypoints.settings import mask_url
from entrypoints.stored_rows import stored_rows

if TYPE_CHECKING:
    from entrypoints.demo_page import DemoPage

_TYPES = [sample.type for sample in SAMPLES]
_WIDTH = max(map(len, _TYPES))


async def show_table(container: Container, *, page: "DemoPage | None") -> None:
    """Keep the table up to date until cancelled; then the terminal is as it was, below the last table."""
    console, where = Console(), destination(container)
    # A log that goes to a file stays there; on the terminal it must not tear the table.
    with Live(console=console, auto_refresh=False, redirect_stderr=sys.stderr.isatty()) as live:
        drawn: object = None
        cells: Sequence[Cells] = ()
        try:
            async for rows in stored_rows(container, _TYPES):
                cells = [cells_of(row, container.clock().now()) for row in rows]
                seen = (cells, _counters(container), console.size)
                if seen != drawn:
                    drawn = seen
                    below = "\n".join(("", _counters(container), *_hints(container, page)))
                    live.update(picture(where, cells, below, type_width=_WIDTH), refresh=True)
        finally:
            live.update(picture(where, cells, "\n" + _counters(container), type_width=_WIDTH))


def _counters(container: Container) -> str:
    updater = container.updater()
    tally = updater.tally
    counts = {
        "received": tally.received,
        "committed": tally.committed,
        "conflated": tally.conflated,
        "stale": tally.stale,
        "rejected": tally.rejected.total(),
        "pending": updater.pending,
    }
    return "  ".join(f"{name} {count}" for name, count in counts.items())


def _hints(container: Container, page: "DemoPage | None") -> Sequence[str]:
    settings, url = container.settings(), mask_url(container.store_url())
    own = container.embedded_server() is not None and settings.store_url is None
    prefix = f" --key-prefix {settings.key_prefix}" if settings.key_prefix else ""
    return (
        "",
        "Try:",
        *([f"  {page.address} in a browser"] if page is not None and page.address else ()),
        *([f"  redis-cli -p {urlsplit(url).port} get {settings.key_prefix}{_TYPES[0]}"] if own else ()),
        f"  {_command()} get{prefix} {_TYPES[0]} --redis-url {url}",
        "Ctrl-C ends it.",
    )


def _command() -> str:
    """How this program was started, for it may not be installed."""
    name = Path(sys.argv[0]).name
    return name if name == "kv-updater" else f"{os.path.relpath(sys.executable)} -m entrypoints.cli"
