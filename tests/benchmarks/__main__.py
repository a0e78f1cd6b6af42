"""The command: `python -m tests.benchmarks --help`.

Exit code 0 when everything could be measured, missed bars or not; 1 when a measurement failed or, with
--strict, a bar is missed or could not be measured; 2 for wrong usage. A signal ends it: what was measured by then is
reported.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from . import machine, plots, report
from .bars import judged
from .contestants import BY_WORD
from .failure import MeasurementError
from .figures import Results
from .progress import Progress
from .scenarios import ALL
from .session import FULL, QUICK, Session

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from .contestants import Contestant


def main() -> int:
    options = _options()
    received = _end_cleanly_on_signals()
    scenarios = [ALL[name] for name in options.only]
    results = Results()
    ended: str | int | None = None
    with (
        tempfile.TemporaryDirectory(prefix="kv-updater-benchmarks-") as folder,
        Progress(options.rounds, options.only) as progress,
    ):
        workspace = Path(folder)
        session = Session(workspace, QUICK if options.quick else FULL, progress.tell, contestants=options.contestants)
        facts = {**machine.facts(workspace), "rounds": options.rounds, "quick": options.quick}
        try:
            for session.round in range(1, options.rounds + 1):
                for scenario in scenarios:
                    with progress.step(session.round, scenario.name):
                        results.add(scenario.measure(scenario.name, session))
                    if received:
                        sys.exit(128 + received[0])
        except SystemExit as end:
            if not results.samples:
                raise
            ended = end.code
            facts["interrupted"] = f"in round {session.round}, at {scenario.name}"
    facts["load_at_end"] = [round(load, 2) for load in os.getloadavg()]
    verdicts = judged(results, options.only)
    sys.stdout.write(report.text(facts, scenarios, session.scale, results, verdicts) + "\n")
    if options.json:
        report.write_json(options.json, facts, session.scale, results, verdicts)
    if options.plots:
        plots.write(options.plots, facts, vars(session.scale), results)
    if isinstance(ended, int):
        return ended
    missed = options.strict and not all(verdict.ok for verdict in verdicts)
    return 1 if missed or results.failures() else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        usage="%(prog)s [OPTIONS]; --help lists them",
        description="KV-Updater against the loop.",
    )
    parser.add_argument(
        "--only", type=partial(_names, ALL), default=list(ALL), metavar="NAMES", help=f"scenarios: {', '.join(ALL)}"
    )
    parser.add_argument(
        "--contestants", type=_contestants, metavar="NAMES", help=f"instead of all: {', '.join(BY_WORD)}"
    )
    parser.add_argument("--rounds", type=_positive, default=5, help="default 5")
    parser.add_argument("--quick", action="store_true", help="small counts: a smoke test, no figures that count")
    parser.add_argument("--json", type=Path, metavar="PATH", help="all samples and facts, for programs")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="write pictures there, as SVG")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a bar is missed")
    options = parser.parse_args()
    if options.plots and not plots.can_draw():
        parser.error(plots.MISSING)  # now, not after an hour of measuring
    try:
        if options.json:
            options.json.open("a").close()
        if options.plots:
            options.plots.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")
    return options


def _names(known: Collection[str], text: str) -> list[str]:
    names = list(dict.fromkeys(map(str.strip, text.split(","))))
    unknown = [name for name in names if name not in known]
    if unknown:
        told = ", ".join(name or "an empty name" for name in unknown)
        raise argparse.ArgumentTypeError(f"unknown: {told}; there are {', '.join(known)}")
    return names


def _contestants(text: str) -> frozenset[Contestant]:
    return frozenset(BY_WORD[word] for word in _names(BY_WORD, text))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: not a number from 1 on")
    return int(text)


def _end_cleanly_on_signals() -> Sequence[int]:
    """Turns them into SystemExit, so that every context manager kills its process; those that have come.

    An exception that is raised in a finalizer is lost: whoever waits for the end must look here too.
    """
    received: list[int] = []

    def end(number: int, _: object) -> None:
        received.append(number)
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, end)
    return received


if __name__ == "__main__":
    if sys.platform != "linux":
        sys.exit("the benchmarks read /proc: they need Linux")
    try:
        sys.exit(main())
    except MeasurementError as error:
        sys.exit(f"not measured: {error}")
