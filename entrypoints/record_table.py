"""Records as a table on a terminal. Needs rich, an optional package."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.table import Table
from rich.text import Text

from entrypoints.stored_rows import StoredRow

_UNKNOWN = "-"
_WIDEST = 120
_LONGEST_TYPE = 40
_STYLES = {"fresh": "green", "due": "yellow", "overdue": "bold red", _UNKNOWN: "dim"}


class Cells(NamedTuple):
    """What stands in a row."""

    type: str
    values: str
    updated: str
    age: str
    state: str
    time_left: str


def picture(above: str, cells: Sequence[Cells], below: str, *, type_width: int | None = None) -> RenderableType:
    """The table with a text above and one below it; as wide as the types are, but for a `type_width`."""
    width = type_width or min(_LONGEST_TYPE, max((len(row.type) for row in cells), default=4))
    table = Table(box=SIMPLE_HEAD, expand=True, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("type", width=width, no_wrap=True, overflow="ellipsis")
    table.add_column("values", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("updated", width=8, no_wrap=True)
    table.add_column("age", width=4, justify="right", no_wrap=True)
    table.add_column("valid", width=13, no_wrap=True)
    for row in cells:
        validity = Text(f"{row.state:<7} {row.time_left:>5}", _STYLES[row.state])
        table.add_row(Text(row.type), Text(row.values), row.updated, row.age, validity)
    return Constrain(Group(Text(f"{above}\n"), table, Text(below)), _WIDEST)


def cells_of(row: StoredRow, now: datetime) -> Cells:
    """Of one record, now."""
    updated = f"{row.updated:%H:%M:%S}" if row.updated else _UNKNOWN
    age = _short(now - row.updated) if row.updated else _UNKNOWN
    state, time_left = _validity(row.valid - now) if row.valid else (_UNKNOWN, "")
    return Cells(row.type, row.values[:_WIDEST], updated, age, state, time_left)


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
