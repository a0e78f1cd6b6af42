"""Scaling as lines: of a scenario, each figure against the number, two panels a row, one legend for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from .canvas import EDGE, HEAD, WIDTH, Box, Sheet
from .letters import width as width_of
from .rows import is_ours
from .scaling import FIGURES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from matplotlib.axes import Axes

    from .palette import Theme
    from .scaling import Panel

_HEIGHT = 112.0
_LEFT = 60.0
_RIGHT = 16.0
_LOG_FROM = 20.0
_MOST_LABELS = 6
_MARKS = "osD^vPX*"
_OUR_DASHES = ("-", (0, (4, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))
_ENTRY_ROW = 15.0
_SIGN = 24.0

Style = dict[str, Any]


def draw(
    theme: Theme, *, title: str, subtitle: str, panels: Sequence[Panel], caption: Sequence[str], remarks: Sequence[str]
) -> Sheet:
    """The panels of one scenario."""
    rows = _rows(panels)
    styles = _styles(theme, list(dict.fromkeys(subject for panel in panels for subject in panel.subjects)))
    places = list(_places(list(styles)))
    head = places[-1][2] + _ENTRY_ROW
    sheet = Sheet(theme, title, subtitle, caption, rows, remarks, head)
    for subject, x, y in places:
        _entry(sheet, subject, x, y, styles[subject])
    for axes, panel in zip(sheet.panels(), panels, strict=True):
        _lines(axes, theme, panel, styles)
    return sheet


def _rows(panels: Sequence[Panel]) -> list[list[Box]]:
    half = WIDTH / 2 if len(panels) > 1 else 0.0
    places = ((_LEFT, half + _RIGHT, EDGE), (half + _LEFT, _RIGHT, half + EDGE))
    headings = [FIGURES[panel.figure] + (" (log)" if _wide(panel) else "") for panel in panels]
    boxes = [Box(heading, "", _HEIGHT, *places[at % 2]) for at, heading in enumerate(headings)]
    return [boxes[at : at + 2] for at in range(0, len(boxes), 2)]


def _wide(panel: Panel) -> bool:
    """The small ones would lie flat on zero."""
    rounds = [value for line in panel.subjects.values() for spread in line.values() for value in spread.rounds]
    return min(rounds) > 0 and max(rounds) / min(rounds) > _LOG_FROM


def _styles(theme: Theme, subjects: Sequence[str]) -> Mapping[str, Style]:
    """Nobody is known by colour alone."""
    styles: dict[str, Style] = {}
    ours = [subject for subject in subjects if is_ours(subject)]
    for at, subject in enumerate(ours):
        dashes = _OUR_DASHES[at % len(_OUR_DASHES)]
        styles[subject] = {"color": theme.ours, "linewidth": 2.2, "linestyle": dashes, "marker": "o", "zorder": 3}
    for at, subject in enumerate(subject for subject in subjects if subject not in styles):
        mark = _MARKS[(at + 1) % len(_MARKS)]
        styles[subject] = {"color": theme.lines[at % len(theme.lines)], "linewidth": 1.2, "marker": mark}
    return {subject: {"markersize": 4.5, "clip_on": False} | style for subject, style in styles.items()}


def _places(subjects: Sequence[str]) -> Iterator[tuple[str, float, float]]:
    """Of each entry of the legend where it begins, in as many rows as it takes."""
    x, y = EDGE, HEAD + 4
    for subject in subjects:
        width = _SIGN + width_of(subject) + 10
        if x > EDGE and x + width > WIDTH:
            x, y = EDGE, y + _ENTRY_ROW
        yield subject, x, y
        x += width


def _entry(sheet: Sheet, subject: str, x: float, y: float, style: Style) -> None:
    ends, level = [x / WIDTH, (x + _SIGN / 2 - 3) / WIDTH, (x + _SIGN - 6) / WIDTH], 1 - (y - 3) / sheet.height
    sheet.figure.add_artist(Line2D(ends, [level] * 3, markevery=[1], **style))
    sheet.write(x + _SIGN, y, subject, weight="bold" if is_ours(subject) else "normal")


def _lines(axes: Axes, theme: Theme, panel: Panel, styles: Mapping[str, Style]) -> None:
    axes.set_xscale("log")
    for subject, line in panel.subjects.items():
        axes.plot(list(line), [spread.median for spread in line.values()], **styles[subject])
        several = {number: spread.rounds for number, spread in line.items() if len(spread.rounds) > 1}
        lows, highs = map(min, several.values()), map(max, several.values())
        axes.vlines(list(several), list(lows), list(highs), color=styles[subject]["color"], linewidth=1, clip_on=False)
    _numbers(axes, panel)
    _values(axes, panel)
    axes.grid(axis="y", color=theme.grid, linewidth=0.7)
    axes.set_xlabel(panel.axis, color=theme.muted, labelpad=1)


def _numbers(axes: Axes, panel: Panel) -> None:
    """Only numbers that were measured, the last among them."""
    numbers = sorted(panel.labels)
    step = -(-(len(numbers) - 1) // (_MOST_LABELS - 1)) or 1
    shown = numbers[::-step][::-1]
    axes.set_xlim(numbers[0] / 1.3, numbers[-1] * 1.3)
    axes.set_xticks(shown, [panel.labels[number] for number in shown])
    axes.xaxis.set_minor_locator(NullLocator())


def _values(axes: Axes, panel: Panel) -> None:
    """From zero, unless the figures are too far apart."""
    rounds = [value for line in panel.subjects.values() for spread in line.values() for value in spread.rounds]
    if _wide(panel):
        axes.set_yscale("log")
        axes.set_ylim(min(rounds) / 1.5, max(rounds) * 1.5)
        axes.yaxis.set_major_locator(LogLocator(numticks=6))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(0, max(rounds) * 1.1 or 1)
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
