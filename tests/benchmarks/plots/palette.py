"""The colours, for a light and for a dark page, and how well they are told from it.

No grey has 4.5:1 on white and on #0d1117 alike: the two are 18.9:1 apart, whose root is 4.35. So each picture is
written twice. KV-Updater has the one strong colour; whoever it is compared with is grey.
"""

from __future__ import annotations

from dataclasses import dataclass

_LINEAR_BELOW = 0.04045


@dataclass(frozen=True)
class Theme:
    """Colours as #rrggbb. The picture itself has no background: it lies on the page's."""

    name: str  # as it ends the file's name
    page: str
    text: str
    muted: str  # text that is second, such as that of the axes
    warning: str  # text on what was not measured
    grid: str  # decoration: nothing is read from it
    ours: str
    ours_second: str  # the server's share
    others: str
    others_second: str
    lines: tuple[str, ...]  # contestants that share a plot, where grey would make them one

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.text, self.muted, self.warning)

    @property
    def marks(self) -> tuple[str, ...]:
        return (self.ours, self.ours_second, self.others, self.others_second, *self.lines)


LIGHT = Theme(
    name="light",
    page="#ffffff",
    text="#1f2328",
    muted="#59636e",
    warning="#a13b08",
    grid="#d9dee3",
    ours="#1f6feb",
    ours_second="#0b3d91",
    others="#868f99",
    others_second="#4d5661",
    lines=("#bf4b12", "#1a7f37", "#8250df", "#a40e5c", "#0b7a8c", "#8a6100", "#57606a"),
)
DARK = Theme(
    name="dark",
    page="#0d1117",
    text="#f0f6fc",
    muted="#9ba4ae",
    warning="#f0a06c",
    grid="#2b323b",
    ours="#388bfd",
    ours_second="#2b63ae",
    others="#848d97",
    others_second="#5f6873",
    lines=("#f0883e", "#56d364", "#bc8cff", "#ff7bb5", "#4fc3d9", "#e3b341", "#8b949e"),
)
THEMES = (LIGHT, DARK)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2, from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= _LINEAR_BELOW else ((channel + 0.055) / 1.055) ** 2.4
