"""The sheet that all pictures are drawn on: panels below one another, and how it becomes a file.

Lengths are points: 72 an inch, and what an SVG's width counts in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from . import letters, svg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from .palette import Theme

WIDTH = 660.0
EDGE = 8.0
HEAD = 46.0
_LINE = 12.0
_SMALL = 7.5
_BIG = 9.5
_PANEL_HEAD = 24.0
_PANEL_FOOT = 28.0
_STYLE: dict[Any, Any] = svg.SETTINGS | {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": letters.SIZE,
    "axes.unicode_minus": False,
    "text.parse_math": False,
}


@dataclass(frozen=True)
class Box:
    """A panel: its headline, how high its plot is, and where it begins and ends from left to right."""

    name: str
    title: str
    height: float
    left: float
    right: float = EDGE
    headline: float = EDGE  # where its name begins


@dataclass
class Sheet:
    """A picture in the making."""

    theme: Theme
    title: str
    subtitle: str
    caption: Sequence[str]
    rows: Sequence[Sequence[Box]]  # the panels of a row share its height
    remarks: Sequence[str] = ()  # what was not measured, above the caption
    head: float = HEAD
    figure: Figure = field(init=False)

    def __post_init__(self) -> None:
        notes = [(line, self.theme.warning) for line in self.remarks]
        notes += [(line, self.theme.muted) for line in self.caption]
        above = self.head + sum(_tall(row) for row in self.rows)
        self.height = above + 16 + _LINE * len(notes)
        self.figure = Figure(figsize=(WIDTH / 72, self.height / 72), dpi=72)
        self.figure.patch.set_alpha(0)
        self.write(EDGE, 16, self.title, size=13, weight="bold")
        self.write(EDGE, 32, self.subtitle, color=self.theme.muted)
        for number, (line, colour) in enumerate(notes):
            text = letters.shortened(line, WIDTH - 2 * EDGE, size=_SMALL)
            self.write(EDGE, above + 18 + _LINE * number, text, color=colour, size=_SMALL)

    def write(self, x: float, y: float, text: str, **style: Any) -> None:
        """Points from the left and from the top, to the start of the base line."""
        self.figure.text(x / WIDTH, 1 - y / self.height, text, **({"color": self.theme.text} | style))

    def panels(self) -> list[Axes]:
        """In the order of the boxes; their lines and numbers are styled."""
        found, top = [], self.head
        for row in self.rows:
            for box in row:
                self.write(box.headline, top + 15, box.name, weight="bold", size=_BIG)
                title = letters.shortened(box.title, WIDTH - 4 * EDGE - letters.width(box.name, size=_BIG))
                self.write(WIDTH - EDGE, top + 15, title, color=self.theme.muted, ha="right")
                found.append(self._axes(box, top + _PANEL_HEAD))
            top += _tall(row)
        return found

    def _axes(self, box: Box, top: float) -> Axes:
        width = WIDTH - box.left - box.right
        axes = self.figure.add_axes(
            (box.left / WIDTH, 1 - (top + box.height) / self.height, width / WIDTH, box.height / self.height)
        )
        axes.patch.set_alpha(0)
        axes.set_axisbelow(True)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, colors=self.theme.muted, pad=4)
        return axes

    def save(self, path: Path) -> None:
        path.write_text(svg.text(self.figure, f"{self.title}: {self.subtitle}"), "utf-8")


def styled() -> Any:
    """Within this block, what is drawn depends on no settings of this machine."""
    return rc_context(_STYLE)


def caption(facts: Mapping[str, Any], spread: str) -> list[str]:
    """Where it was measured and how often. `spread`: what the rounds are shown as."""
    rounds = facts.get("rounds", 1)
    machine = f"{facts.get('cpu', 'unknown processor')}, {facts.get('cores', '?')} cores"
    parts = [machine, *(str(facts[name]) for name in ("server", "python") if name in facts)]
    taken = "1 round" if rounds == 1 else f"Median of {rounds} rounds{spread}"
    return [
        " · ".join(parts),
        taken + ("; quick: small counts, these figures do not count" if facts.get("quick") else ""),
    ]


def _tall(row: Sequence[Box]) -> float:
    return _PANEL_HEAD + max(box.height for box in row) + _PANEL_FOOT
