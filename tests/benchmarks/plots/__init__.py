"""The results as pictures: SVG, each for a light and for a dark page: `python -m tests.benchmarks.plots --help`.

matplotlib is in the dependency group `bench`, and nothing else needs it: it is imported where something is drawn.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.benchmarks.figures import Results

MISSING = "pictures need matplotlib, which is in the dependency group bench: it is not installed here"


def can_draw() -> bool:
    return find_spec("matplotlib") is not None


def write(folder: Path, facts: Mapping[str, Any], scale: Mapping[str, Any], results: Results) -> list[Path]:
    """The files written. A picture without data is none."""
    from .gallery import draw_all

    folder.mkdir(parents=True, exist_ok=True)
    return draw_all(folder, facts, scale, results)
