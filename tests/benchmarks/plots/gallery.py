"""Which pictures there are, and of which scenarios each is made."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tests.benchmarks.figures import CPU, PEAK, RATE, SERVER_CPU

from . import bars, capacity, dots, lines, percentiles, scaling
from .canvas import caption, styled
from .palette import THEMES
from .rows import title
from .series import points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.benchmarks.figures import Results

    from .canvas import Sheet
    from .palette import Theme

_BARS = {
    "throughput": capacity.Kind(
        "Throughput",
        "messages a second until every key is right; more is better",
        "messages a second",
        (RATE.name,),
        "/s",
        0,
        most=True,
        log=True,
    ),
    "cpu": capacity.Kind(
        "CPU per message",
        "client + server, in microseconds; less is better",
        "µs of CPU a message",
        (CPU.name, SERVER_CPU.name),
        " µs",
        1,
        most=False,
        log=False,
    ),
    "memory": capacity.Kind(
        "Peak memory",
        "of the client's process, in MiB; less is better",
        "MiB",
        (PEAK.name,),
        " MiB",
        0,
        most=False,
        log=True,
    ),
}


def draw_all(folder: Path, facts: Mapping[str, Any], scale: Mapping[str, Any], results: Results) -> list[Path]:
    written = []
    with styled():
        for name, draw in _pictures(facts, scale, results):
            for theme in THEMES:
                path = folder / f"{name}-{theme.name}.svg"
                draw(theme).save(path)
                written.append(path)
    return written


def _pictures(
    facts: Mapping[str, Any], scale: Mapping[str, Any], results: Results
) -> Iterator[tuple[str, Callable[[Theme], Sheet]]]:
    scenarios = list(dict.fromkeys(sample.scenario for sample in results.samples))
    spread = caption(facts, "; the thin lines span all rounds")
    for name, kind in _BARS.items():
        note = caption(facts, "") if len(kind.figures) > 1 else spread
        found = [
            panel
            for scenario in scenarios
            if (panel := capacity.panel(results, scenario, title(scenario, scale), _single(results, scenario), kind))
        ]
        if found:
            yield name, partial(bars.draw, kind=kind, panels=found, caption=note)
    latencies = [
        panel for scenario in scenarios for panel in percentiles.panels(results, scenario, title(scenario, scale))
    ]
    if latencies:
        yield "latency", partial(dots.draw, panels=latencies, caption=spread)
    for scenario in scenarios:
        if scaled := scaling.panels(results, scenario):
            name, missing = scenario.removeprefix("scaling-"), scaling.remarks(results, scenario)
            subtitle = title(scenario, scale) or "what a figure becomes as a number grows"
            draw = partial(lines.draw, title=f"Scaling: {name}", subtitle=subtitle)
            yield f"scaling-{name}", partial(draw, panels=scaled, caption=spread, remarks=missing)


def _single(results: Results, scenario: str) -> list[str]:
    """Without those of a series: lines show them."""
    contestants = results.contestants(scenario)
    series = {at.contestant for at in points(contestants)}
    return [contestant for contestant in contestants if contestant not in series]
