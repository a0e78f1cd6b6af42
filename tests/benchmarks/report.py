"""The results for people (aligned tables, plain text) and for programs (JSON)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .contestants import OURS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from .bars import Verdict
    from .figures import Results
    from .scenarios.scenario import Scenario
    from .session import Scale

_NONE = "-"


def text(
    facts: Mapping[str, Any],
    scenarios: Sequence[Scenario],
    scale: Scale,
    results: Results,
    verdicts: Sequence[Verdict],
) -> str:
    lines = [*_head(facts), ""]
    for scenario in scenarios:
        lines += [f"{scenario.name}: {scenario.title(scale)}"]
        lines += aligned([_headings(scenario), *_rows(scenario, results), *_ratios(scenario, results)])
        lines += _remarks(scenario, results)
        lines += [""]
    lines += ["bars"]
    lines += aligned([_verdict(verdict) for verdict in verdicts])
    return "\n".join(lines)


def write_json(
    path: Path, facts: Mapping[str, Any], scale: Scale, results: Results, verdicts: Iterable[Verdict]
) -> None:
    document = {
        "machine": facts,
        "scale": vars(scale),
        "samples": [vars(sample) for sample in results.samples],
        "bars": [
            {
                "scenario": verdict.bar.scenario,
                "bar": verdict.bar.text,
                "figure": verdict.bar.figure.name,
                "limit": _limit(verdict),
                "value": verdict.value,
                "ok": verdict.ok,
            }
            for verdict in verdicts
        ],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")


def _head(facts: Mapping[str, Any]) -> Iterator[str]:
    libraries = ", ".join(f"{name} {version}" for name, version in facts["libraries"].items())
    yield f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_mib']:,} MiB, {facts['system']}"
    yield f"{facts['python']} (an addition takes {facts['addition_ns']} ns), {facts['server']}, {libraries}"
    yield f"load {facts['load_at_start']} at the start, {facts['load_at_end']} at the end"
    yield f"rounds: {facts['rounds']}; median (min-max), a ratio is the median of the rounds' ratios"
    if "interrupted" in facts:
        yield f"interrupted {facts['interrupted']}: what was measured by then"
    if facts["quick"]:
        yield "quick: small counts, these figures do not count"


def _headings(scenario: Scenario) -> list[str]:
    return ["", *(figure.heading for figure in scenario.figures)]


def _rows(scenario: Scenario, results: Results) -> Iterator[list[str]]:
    for contestant in results.contestants(scenario.name):
        row = [contestant]
        for figure in scenario.figures:
            spread = results.spread(scenario.name, contestant, figure.name)
            row.append(spread.text(figure.decimals) if spread else _NONE)
        yield row


def _ratios(scenario: Scenario, results: Results) -> Iterator[list[str]]:
    for baseline in scenario.baselines:
        row = [f"{OURS.name} / {baseline}"]
        for figure in scenario.figures:
            compared = figure in scenario.compared
            ratio = results.ratio(scenario.name, OURS.name, baseline, figure.name) if compared else None
            row.append(ratio.text(3 if ratio.median < 1 else 2) + " x" if ratio else "")
        if any(row[1:]):
            yield row


def _remarks(scenario: Scenario, results: Results) -> Iterator[str]:
    for sample in results.samples:
        if sample.scenario == scenario.name and (sample.failure or sample.note):
            kind = "FAILED" if sample.failure else "note:"
            yield f"  {kind} {sample.contestant}, round {sample.round}: {sample.failure or sample.note}"


def _verdict(verdict: Verdict) -> list[str]:
    value = "not measured" if verdict.value is None else f"{verdict.value:,.2f}"
    bar = verdict.bar
    word = "ok" if verdict.ok else "?" if verdict.value is None else "MISSED"
    return [bar.scenario, bar.text, value, _limit(verdict), word]


def _limit(verdict: Verdict) -> str:
    bar = verdict.bar
    sign = ">=" if bar.at_least else "<" if bar.below else "<="
    return f"{sign} {bar.limit:g}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        ("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip() for row in rows
    ]
