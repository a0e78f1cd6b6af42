"""The demo where no live table can be: a line for each record that changed."""

import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING

from entrypoints.container import Container
from entrypoints.sample_publishers import SAMPLES, destination
from entrypoints.stored_rows import StoredRow, stored_rows

if TYPE_CHECKING:
    from entrypoints.demo_page import DemoPage

_TYPES = [sample.type for sample in SAMPLES]
_WIDTH = max(map(len, _TYPES))


async def show_lines(container: Container, *, page: "DemoPage | None") -> None:
    """Print `time type age values` until cancelled, or until nobody reads the lines any more."""
    print(destination(container), file=sys.stderr, flush=True)
    announced = page is None
    shown: dict[str, StoredRow] = {}
    try:
        async for rows in stored_rows(container, _TYPES):
            if page is not None and page.address and not announced:
                announced = True
                print(f"The page is at {page.address}", file=sys.stderr, flush=True)
            for row in rows:
                if shown.get(row.type) != row:
                    shown[row.type] = row
                    print(_line(row, container.clock().now()), flush=True)
    except BrokenPipeError:
        # The interpreter flushes once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _line(row: StoredRow, now: datetime) -> str:
    age = "-" if row.updated is None else f"{(now - row.updated).total_seconds():.0f}s"
    return f"{now:%Y-%m-%dT%H:%M:%SZ} {row.type:<{_WIDTH}} {age:>4} {row.values}"
