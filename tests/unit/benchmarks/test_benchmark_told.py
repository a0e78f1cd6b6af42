"""What the updater's log tells of gaps, and which cuts it is silent about."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.processes import Child
from tests.benchmarks.told import told, totals

_NINE = 1_795_856_400.0  # 2026-11-28T09:00:00Z


def gap(second: int, seconds: float, **more: Any) -> dict[str, Any]:
    message = "Gap: messages may have been missed; subscribed again"
    return {"time": f"2026-11-28T09:00:{second:02d}+00:00", "message": message, "seconds": seconds, **more}


ENTRIES = [
    {"time": "2026-11-28T09:00:00+00:00", "message": "Subscribed"},
    gap(5, 1.5),
    gap(9, 0.25, at_least=True),
    {"time": "2026-11-28T09:00:10+00:00", "message": "KV-Updater stopped", "received": 3, "gaps": 2},
    {"time": "2026-11-28T09:00:10+00:00", "message": "Message stale: older than what is stored (more like it)"},
]


def test_a_gap_has_a_length_and_an_end() -> None:
    heard = told(ENTRIES)
    assert [(gap.ended_at, gap.seconds) for gap in heard.gaps] == [(_NINE + 5, 1.5), (_NINE + 9, 0.25)]
    assert heard.longest == 1.5


def test_every_cut_needs_a_gap_of_its_own_that_has_a_length() -> None:
    assert [told(ENTRIES).silent(cuts) for cuts in (0, 1, 2, 3)] == [0, 0, 0, 1]
    assert told([gap(5, 0.0)]).silent(1) == 1
    assert told([]).silent(2) == 2
    assert told([]).longest == 0


def test_a_cut_at_a_known_moment_is_told_by_a_gap_around_it() -> None:
    heard = told(ENTRIES)
    assert heard.silent_at([_NINE + 3.6, _NINE + 4.9, _NINE + 8.8]) == 0
    assert heard.silent_at([_NINE + 3.4, _NINE + 5.1, _NINE + 8.5, _NINE + 4]) == 3


def test_the_totals_are_those_of_the_end() -> None:
    assert totals(ENTRIES)["gaps"] == 2
    assert totals(ENTRIES[:3]) == {}


def test_of_a_log_only_whole_lines_of_json_are_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(f'a warning of Python\n{json.dumps({"message": "Subscribed"})}\n{{"message": "Gap')
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        assert Child(process, log).log_entries() == [{"message": "Subscribed"}]
