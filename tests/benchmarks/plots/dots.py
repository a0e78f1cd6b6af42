"""Latency as a line for each contestant, with a mark at each percentile and its value beside."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from .canvas import EDGE, WIDTH, Box, Sheet
from .letters import shortened, widest
from .rows import is_ours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from .palette import Theme
    from .percentiles import Line, Panel

_MARKS = (("o", "●"), ("D", "◆"), ("s", "■"), ("^", "▲"), ("v", "▼"), ("P", "✚"))
_ROW = 19.0
_COLUMN = 56.0
_GAP = 8.0
_UNITS = ((1e6, "s"), (1e3, "ms"), (1.0, "µs"))
_FEW_DECADES = 50.0


def draw(theme: Theme, panels: Sequence[Panel], caption: Sequence[str]) -> Sheet:
    names = _names(panels)
    left = EDGE + widest(_label(line) for panel in panels for line in panel.lines) + _GAP
    right = EDGE + _COLUMN * len(names) + _GAP
    boxes = [[Box(panel.heading, panel.title, _ROW * len(panel.lines), left, right)] for panel in panels]
    remarks = [
        f"* {panel.heading}, {line.name}: {line.remark}" for panel in panels for line in panel.lines if _starred(line)
    ]
    subtitle = "from publishing to readable; less is better; logarithmic scale"
    sheet = Sheet(theme, "Latency", subtitle, caption, boxes, remarks)
    for axes, panel in zip(sheet.panels(), panels, strict=True):
        _scale(axes, [other for other in panels if other.scenario == panel.scenario])
        axes.grid(axis="x", color=theme.grid, linewidth=0.7)
        for at, line in enumerate(panel.lines):
            _line(axes, theme, at, line, names)
            _values(axes, theme, at, line, names, width=WIDTH - left - right)
        axes.set_ylim(len(panel.lines) - 0.4, -0.6)
        axes.set_yticks(range(len(panel.lines)), [_label(line) for line in panel.lines])
        for label, line in zip(axes.get_yticklabels(), panel.lines, strict=True):
            label.set(color=theme.text, weight="bold" if is_ours(line.name) else "normal")
    for column, name in enumerate(names):
        x = WIDTH - EDGE - _COLUMN * (len(names) - 1 - column)
        sheet.write(x, 32, f"{_MARKS[column % len(_MARKS)][1]} {name}", ha="right", weight="bold")
    return sheet


def readable(microseconds: float) -> str:
    """With three digits, in the unit in which it is not below one."""
    size, unit = next(((size, unit) for size, unit in _UNITS if microseconds >= size), _UNITS[-1])
    value = microseconds / size
    digits = math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:,.{min(2, max(0, 2 - digits))}f} {unit}"


def _scale(axes: Axes, panels: Sequence[Panel]) -> None:
    """That of all panels of a scenario."""
    spreads = [spread for panel in panels for line in panel.lines for spread in line.spreads.values()]
    values = [value for spread in spreads for value in spread.rounds if value > 0] or [1.0]
    low, high = min(values) / 1.25, max(values) * 1.25
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < _FEW_DECADES else (1,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: readable(value).replace(".00 ", " ").replace(".0 ", " "))
    )


def _label(line: Line) -> str:
    return line.name + (" *" if _starred(line) else "")


def _starred(line: Line) -> bool:
    """Measured, but not in every round."""
    return bool(line.spreads and line.remark)


def _line(axes: Axes, theme: Theme, at: int, line: Line, names: Sequence[str]) -> None:
    colour = theme.ours if is_ours(line.name) else theme.others
    medians = {name: spread.median for name, spread in line.spreads.items()}
    axes.hlines(
        at,
        min(medians.values(), default=1),
        max(medians.values(), default=1),
        color=colour,
        linewidth=1.4,
        clip_on=False,
    )
    for name, median in medians.items():
        axes.plot(
            median,
            at,
            color=colour,
            linestyle="",
            marker=_MARKS[names.index(name) % len(_MARKS)][0],
            markersize=5.5,
            clip_on=False,
        )
    several = [spread.rounds for spread in line.spreads.values() if len(spread.rounds) > 1]
    axes.hlines(
        [at + 0.32] * len(several), list(map(min, several)), list(map(max, several)), color=colour, linewidth=1.1
    )


def _values(axes: Axes, theme: Theme, at: int, line: Line, names: Sequence[str], *, width: float) -> None:
    if not line.spreads:
        text = shortened(line.remark, width + _COLUMN * len(names))
        _beside(axes, at, 1, text, color=theme.warning)
    weight = "bold" if is_ours(line.name) else "normal"
    for name, spread in line.spreads.items():
        x = width + _GAP + _COLUMN * (names.index(name) + 1)
        _beside(axes, at, x, readable(spread.median), ha="right", color=theme.text, weight=weight)


def _beside(axes: Axes, at: float, x: float, text: str, *, ha: str = "left", **style: Any) -> None:
    """Points from where the plot begins."""
    axes.annotate(
        text,
        (0, at),
        xycoords=("axes fraction", "data"),
        xytext=(x, 0),
        textcoords="offset points",
        va="center_baseline",
        ha=ha,
        annotation_clip=False,
        **style,
    )


def _names(panels: Sequence[Panel]) -> list[str]:
    """All percentiles there are, the lowest first, the maximum last."""
    found = {name for panel in panels for line in panel.lines for name in line.spreads}
    return sorted(found, key=lambda name: (name == "max", name))
