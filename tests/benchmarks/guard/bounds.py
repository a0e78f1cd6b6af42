"""The bounds of the guard, to be changed here and nowhere else.

Ratios to the per-message loop of the same run are bounded at about half of what they are on an idle machine with these
small counts, for it may be a busy one. Counts are bounded at about 15 % above what they were when the bound was set:
who makes the path longer for a reason raises the bound, and who makes it shorter lowers it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

FEW, DIFFERENT = "few keys", "all different"


@dataclass(frozen=True)
class Bound:
    """No limit: the figure is told and not judged."""

    what: str
    limit: float | None
    at_least: bool = False

    def excess(self, value: float) -> float:
        """By which share of the limit it is missed; not above 0: it is kept."""
        if self.limit is None:
            return 0.0
        over = value / self.limit - 1
        return -over if self.at_least else over


RATES = {FEW: 20.0, DIFFERENT: 9.0}  # times the loop's, at least; were 43 and 25
CPU = {FEW: 0.08, DIFFERENT: 0.12}  # of a message, times the loop's, at most; were 0.032 and 0.048

# Of a message, at most; another minor version of Python compiles to others.
OPCODES = {
    (3, 11): {FEW: 163, DIFFERENT: 280},  # were 142 and 250
    (3, 12): {FEW: 152, DIFFERENT: 267},  # were 132 and 238
    (3, 13): {FEW: 144, DIFFERENT: 252},  # were 125 and 225
}

# Of a message that waits for the store, at most; no version of Python differs by much.
BLOCKS = 5.8  # was 5.08
BYTES = 616  # was 536


def opcodes(kind: str, version: tuple[int, int] = sys.version_info[:2]) -> Bound:
    return Bound(f"{kind}: Python opcodes a message", OPCODES.get(version, {}).get(kind))


def rate(kind: str) -> Bound:
    return Bound(f"{kind}: rate, times the loop's", RATES[kind], at_least=True)


def cpu(kind: str) -> Bound:
    return Bound(f"{kind}: CPU a message, times the loop's", CPU[kind])


BLOCKS_HELD = Bound("pending: blocks of memory a message", BLOCKS)
BYTES_HELD = Bound("pending: bytes a message", BYTES)
