"""What matplotlib writes as SVG, made small, and the same bytes for the same figures, today and tomorrow."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "kv-updater"}
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_CHANGES = (
    (r"<metadata>.*?</metadata>", ""),
    # Every text has the same family: it is said once, and whoever shows the picture chooses the font.
    (r"font-family: [^;\"]*;? ?", ""),
    (r"font: (\d[\d.]*px) [^;\"]*", r"font-size: \1"),
    (r"\*\{", "text{font-family: sans-serif}*{"),
    (r' transform="rotate\(-?0 [^)]*\)"', ""),
    (r' id="(?:figure|axes|patch|text|line2d|matplotlib\.axis|[xy]tick|LineCollection)_\d+"', ""),
    (r"\s*\n\s*", "\n"),
    (r"(?<=[\d.z])\n(?=[A-Zz\"])", " "),
    (r"(?:<g ?/>\n)+", ""),
    (r"<g>\n</g>\n", ""),
)


def text(figure: Figure, title: str) -> str:
    """The document; its title is what a screen reader says."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata=_NO_METADATA | {"Title": title})
    document = file.getvalue()
    head, title_end, body = document.partition("</title>")
    for pattern, replacement in _CHANGES:
        body = re.sub(pattern, replacement, body, flags=re.DOTALL)
    body = re.sub(r"<[^>]+>", _terse, body)
    head = re.sub(r"<!DOCTYPE[^>]*>\s*", "", head).replace("<svg ", '<svg role="img" ')
    return head + title_end + body


def _terse(tag: re.Match[str]) -> str:
    """Hundredths of a point are fine enough."""
    return re.sub(r"(\.\d\d)\d+", r"\1", tag[0]).replace("; ", ";").replace(": ", ":").replace(' "', '"')
