"""Reads back what --json wrote: what is drawn from it is what would have been drawn at once."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from tests.benchmarks.figures import Results, Sample

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MEMBERS = frozenset(field.name for field in fields(Sample))


class NotAResult(ValueError):
    """The file holds something else."""


@dataclass(frozen=True)
class Saved:
    """What the pictures are made of."""

    facts: Mapping[str, Any]  # of the machine
    scale: Mapping[str, Any]
    results: Results


def read(path: Path) -> Saved:
    """A sample may have members that this version does not know: a later one wrote them."""
    try:
        document = json.loads(path.read_text("utf-8"))
        samples = [
            Sample(**{name: value for name, value in sample.items() if name in _MEMBERS})
            for sample in document["samples"]
        ]
        return Saved(document["machine"], document["scale"], Results(samples))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotAResult(f"{path} is no result of the benchmarks: {error!r}") from error
