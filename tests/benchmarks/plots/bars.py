"""Horizontal bars, a panel for each scenario: throughput, CPU of client and server, and memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from .canvas import EDGE, WIDTH, Box, Sheet
from .letters import shortened, widest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from .capacity import Kind, Panel
    from .palette import Theme
    from .rows import Row

_ROW = 19.0
_BAR = 0.62
_LOG_FROM = 20.0
_GAP = 6.0


def draw(theme: Theme, kind: Kind, panels: Sequence[Panel], caption: Sequence[str]) -> Sheet:
    left = EDGE + widest(one.name for panel in panels for one in panel.rows) + _GAP
    boxes = [[Box(panel.scenario, panel.title, _ROW * len(panel.rows), left)] for panel in panels]
    log = kind.log and any(_factor(panel) > _LOG_FROM for panel in panels)
    sheet = Sheet(theme, kind.title, kind.subtitle + ("; logarithmic scale" if log else ""), caption, boxes)
    drawn = sheet.panels()
    for axes, panel in zip(drawn, panels, strict=True):
        _bars(axes, theme, kind, panel, WIDTH - left - EDGE)
        _scale(axes, kind, panels, WIDTH - left - EDGE, log=log)
        axes.grid(axis="x", color=theme.grid, linewidth=0.7)
    drawn[-1].set_xlabel(kind.axis, color=theme.muted, labelpad=2)
    if len(kind.figures) > 1:
        _legend(sheet, theme)
    return sheet


def _bars(axes: Axes, theme: Theme, kind: Kind, panel: Panel, room: float) -> None:
    for at, (one, parts, end) in enumerate(zip(panel.rows, panel.segments, panel.ends, strict=True)):
        colours = (theme.ours, theme.ours_second) if one.ours else (theme.others, theme.others_second)
        start = 0.0
        for part, colour in zip(parts, colours, strict=False):
            axes.barh(at, part, _BAR, left=start, color=colour, linewidth=0)
            start += part
        if one.spread and len(one.spread.rounds) > 1 and len(kind.figures) == 1:
            low, high = min(one.spread.rounds), max(one.spread.rounds)
            axes.plot((low, high), (at, at), color=theme.text, linewidth=1.1, marker="|", markersize=5, clip_on=False)
        axes.annotate(
            _text(kind, one, parts) or shortened(one.remark, room),
            (end, at) if parts else (0, at),
            xycoords="data" if parts else ("axes fraction", "data"),
            xytext=(_GAP if parts else 1, 0),
            textcoords="offset points",
            va="center_baseline",
            color=theme.text if parts else theme.warning,
            weight="bold" if one.ours and parts else "normal",
            annotation_clip=False,
        )
    axes.set_ylim(len(panel.rows) - 0.5, -0.5)
    axes.set_yticks(range(len(panel.rows)), [one.name for one in panel.rows])
    for label, one in zip(axes.get_yticklabels(), panel.rows, strict=True):
        label.set(color=theme.text, weight="bold" if one.ours else "normal")


def _text(kind: Kind, one: Row, parts: Sequence[float]) -> str:
    if not parts:
        return ""
    value = " + ".join(f"{part:,.{kind.decimals}f}" for part in parts) + kind.unit
    return f"{value} ({one.remark})" if one.remark else value


def _scale(axes: Axes, kind: Kind, panels: Sequence[Panel], width: float, *, log: bool) -> None:
    """All panels have the same, with room for the values at the ends of the bars."""
    ends = [end for panel in panels for end, parts in zip(panel.ends, panel.segments, strict=True) if parts]
    texts = [_text(kind, *pair) for panel in panels for pair in zip(panel.rows, panel.segments, strict=True)]
    share = 1 - min(0.6, (widest(texts) + _GAP) / width)
    high = max(ends) or 1.0
    axes.xaxis.set_minor_locator(NullLocator())
    if log:
        low = 10.0 ** math.floor(math.log10(min(end for end in ends if end) / 1.5))
        axes.set_xscale("log")
        axes.set_xlim(low, low * (high / low) ** (1 / share))
        axes.xaxis.set_major_locator(LogLocator())
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.set_xlim(0, high / share)
        axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def _factor(panel: Panel) -> float:
    values = [sum(parts) for parts in panel.segments if sum(parts) > 0]
    return max(values, default=1.0) / min(values, default=1.0)


def _legend(sheet: Sheet, theme: Theme) -> None:
    """Top right: the two parts of a bar, in both of its colours."""
    x = WIDTH - EDGE - 118
    for text, *colours in (("client", theme.ours, theme.others), ("server", theme.ours_second, theme.others_second)):
        for colour in colours:
            sheet.write(x, 16, "■", color=colour, size=10)
            x += 10
        sheet.write(x + 2, 16, text)
        x += 42
