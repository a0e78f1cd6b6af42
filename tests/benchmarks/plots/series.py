"""Contestants that are one subject at several numbers: "kv-updater, 1,000 keys", "kv-updater, 10,000 keys"."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NUMBERED = re.compile(r"(?P<subject>.+), (?P<number>\d[\d,]*(?:\.\d+)?) ?(?P<unit>\D.*)")
_BYTES = {"B": 1, "kB": 1_000, "KB": 1_000, "KiB": 1 << 10, "MB": 1_000_000, "MiB": 1 << 20}


@dataclass(frozen=True)
class Point:
    """Where a contestant stands in its series."""

    contestant: str
    subject: str
    number: float  # sizes in bytes
    label: str  # the number as it is written
    unit: str


def point(contestant: str) -> Point | None:
    found = _NUMBERED.fullmatch(contestant)
    if found is None:
        return None
    subject, text, unit = found["subject"], found["number"], found["unit"]
    number = float(text.replace(",", ""))
    if unit in _BYTES:
        return Point(contestant, subject, number * _BYTES[unit], f"{text} {unit}", "size of a message")
    return Point(contestant, subject, number, text, unit)


def points(contestants: Iterable[str]) -> list[Point]:
    """Those that belong to a series.

    A number that a subject has alone is a part of its name ("2 replicas"), unless it is in the series of another. So
    is zero, which has no place on a logarithmic scale.
    """
    found = [at for contestant in contestants if (at := point(contestant)) and at.number > 0]
    numbers: dict[tuple[str, str], set[float]] = defaultdict(set)
    for at in found:
        numbers[at.subject, at.unit].add(at.number)
    units = {unit for (_, unit), known in numbers.items() if len(known) > 1}
    return [at for at in found if at.unit in units]
