"""Draws the bar: the process that `progress` starts.

Each line of standard input is a state, as JSON; where it ends, this ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

_REDRAWS_PER_SECOND = 2
_NICE = 10


class _Clock(ProgressColumn):
    """Elapsed, and what is left if that is known: it runs on between two states."""

    def render(self, task: Task) -> Text:
        ends = task.fields["ends"]
        left = "" if ends is None else f", about {_minutes(max(0.0, ends - time.monotonic()))} left"
        return Text(_minutes(task.elapsed or 0.0) + left)


def main(steps: int, states: Iterable[bytes]) -> None:
    """States have: steps done, seconds left (or null), and what is measured now."""
    columns = (
        BarColumn(bar_width=20),
        TextColumn("{task.completed:.0f} of {task.total:.0f}", markup=False),
        _Clock(),
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, refresh_per_second=_REDRAWS_PER_SECOND) as drawn:
        bar = drawn.add_task("", total=steps, ends=None)
        for line in states:
            state = json.loads(line)
            ends = None if state["left"] is None else time.monotonic() + state["left"]
            drawn.update(bar, completed=state["done"], description=state["what"], ends=ends)


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


if __name__ == "__main__":
    # Ctrl-C reaches everybody at this terminal: the benchmark ends, and with it standard input.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICE)
    main(int(sys.argv[1]), sys.stdin.buffer)
