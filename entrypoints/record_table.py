"""The demo on a terminal: a live table of the stored records. Needs rich, an optional package."""

import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.table import Table
from rich.text import Text

from entrypoints.container import Container
from entrypoints.sample_publishers import SAMPLES, destination
from entrypoints.settings import mask_url
from entrypoints.stored_rows import StoredRow, stored_rows

_TYPES = [sample.type for sample in SAMPLES]
_UNKNOWN = "-"
_WIDEST = 120
_STYLES = {"fresh": "green", "due": "yellow", "overdue": "bold red", _UNKNOWN: "dim"}


class _Cells(NamedTuple):
    type: str
    values: str
    updated: str
    age: str
    state: str
    time_left: str


async def show_table(container: Container) -> None:
    """Keep the table up to date until cancelled; then the terminal is as it was, below the last table."""
    console, where = Console(), destination(container)
    # A log that goes to a file stays there; on the terminal it must not tear the table.
    with Live(console=console, auto_refresh=False, redirect_stderr=sys.stderr.isatty()) as live:
        drawn: object = None
        cells: Sequence[_Cells] = ()
        try:
            async for rows in stored_rows(container, _TYPES):
                cells = [_cells(row, container.clock().now()) for row in rows]
                seen = (cells, _counters(container), console.size)
                if seen != drawn:
                    drawn = seen
                    live.update(_picture(where, cells, _counters(container), _hints(container)), refresh=True)
        finally:
            live.update(_picture(where, cells, _counters(container)))


def _cells(row: StoredRow, now: datetime) -> _Cells:
    updated = f"{row.updated:%H:%M:%S}" if row.updated else _UNKNOWN
    age = _short(now - row.updated) if row.updated else _UNKNOWN
    state, time_left = _validity(row.valid - now) if row.valid else (_UNKNOWN, "")
    return _Cells(row.type, row.values[:_WIDEST], updated, age, state, time_left)


def _validity(left: timedelta) -> tuple[str, str]:
    """fresh, due (within a second of `valid`) or overdue, and the time left, negative when overdue."""
    seconds = int(left.total_seconds())
    return "fresh" if seconds > 0 else "overdue" if seconds < 0 else "due", _short(left)


def _short(duration: timedelta) -> str:
    """At most four characters and a sign, for a hundred days."""
    number, unit = int(duration.total_seconds()), "s"
    for longer, size in (("m", 60), ("h", 60), ("d", 24)):
        if abs(number) >= 100:  # noqa: PLR2004 - two digits
            number, unit = int(number / size), longer
    return f"{number} {unit}"


def _picture(where: str, cells: Sequence[_Cells], counters: str, hints: Sequence[str] = ()) -> RenderableType:
    table = Table(box=SIMPLE_HEAD, expand=True, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("type", width=max(map(len, _TYPES)), no_wrap=True)
    table.add_column("values", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("updated", width=8, no_wrap=True)
    table.add_column("age", width=4, justify="right", no_wrap=True)
    table.add_column("valid", width=12, no_wrap=True)
    for row in cells:
        validity = Text(f"{row.state:<7}{row.time_left:>5}", _STYLES[row.state])
        table.add_row(row.type, Text(row.values), row.updated, row.age, validity)
    below = Text("\n".join(("", counters, *hints)))
    return Constrain(Group(Text(f"{where}\n"), table, below), _WIDEST)


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


def _hints(container: Container) -> Sequence[str]:
    settings, url = container.settings(), mask_url(container.store_url())
    own = container.embedded_server() is not None and settings.store_url is None
    prefix = f" --key-prefix {settings.key_prefix}" if settings.key_prefix else ""
    return (
        "",
        "Try:",
        *([f"  redis-cli -p {urlsplit(url).port} get {settings.key_prefix}{_TYPES[0]}"] if own else ()),
        f"  {_command()} get{prefix} {_TYPES[0]} --redis-url {url}",
        "Ctrl-C ends it.",
    )


def _command() -> str:
    """How this program was started, for it may not be installed."""
    name = Path(sys.argv[0]).name
    return name if name == "kv-updater" else f"{os.path.relpath(sys.executable)} -m entrypoints.cli"
