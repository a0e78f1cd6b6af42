"""What came of each fault, as one table at the end of the run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass

LEGEND = """\
What happened: what the service logged, from WARNING on. Lost: messages of keys that are published once only (half of
all are) and that have no record at the end; one that no gap was logged for fails the run, unless a failover took its
record (not replicated). On a stream all that the server keeps is stored, or the run fails; lost is what the server
itself has lost. Time to recover: from the end of the fault, or its beginning where it ends by itself, until the record
of a message published after it can be read; the longest where the fault came several times."""

_HEADINGS = ("fault", "server", "what happened", "lost", "time to recover")


@dataclass(slots=True)
class Row:
    """One line, filled in by the test. `seconds` is the time to recover; None: nothing had to."""

    fault: str
    server: str
    happened: str = ""
    lost: str = "?"
    seconds: float | None = None


Noted = Callable[[str, str], AbstractContextManager[Row]]
"""Takes the fault and the server."""


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The lines, columns aligned."""
    cells = [_HEADINGS, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in [cells[0], tuple("-" * width for width in widths), *cells[1:]]:
        yield " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    *texts, seconds = astuple(row)
    return *texts, "-" if seconds is None else f"{seconds:.2f} s"
