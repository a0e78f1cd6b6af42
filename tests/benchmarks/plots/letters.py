"""How much room a text takes, so that none is cut off.

Measured in DejaVu Sans, which is wider than what browsers commonly take for sans-serif: what fits here fits there.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

if TYPE_CHECKING:
    from collections.abc import Iterable

SIZE = 8.5


@lru_cache(maxsize=4096)
def width(text: str, *, size: float = SIZE, bold: bool = True) -> float:
    """Points."""
    font = FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
    measured: float = text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]
    return measured


def widest(texts: Iterable[str]) -> float:
    return max(map(width, texts), default=0.0)


def shortened(text: str, room: float, *, size: float = SIZE) -> str:
    """Of normal weight; with an ellipsis where something is left out."""
    line = " ".join(text.split())

    def fits(length: int) -> bool:
        shown = line if length == len(line) else f"{line[:length].rstrip()}…"
        return width(shown, size=size, bold=False) <= room

    longest = bisect_left(range(1, len(line) + 1), x=True, key=lambda length: not fits(length))
    return line if longest == len(line) else f"{line[:longest].rstrip()}…"
