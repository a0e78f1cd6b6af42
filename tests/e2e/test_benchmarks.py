"""The benchmarks run as a command, and whoever they compare with leaves the state that they are asked for."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks read /proc")


def _measured(tmp_path: Path, *arguments: str) -> tuple[str, dict[str, Any]]:
    """The tables and the JSON of one quick round that could be measured throughout."""
    path = tmp_path / "results.json"
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--rounds", "1", "--json", str(path), *arguments]
    run = subprocess.run(command, cwd=_ROOT, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout, json.loads(path.read_text())


def test_one_quick_round_ends_with_a_table_and_the_same_as_json(tmp_path: Path) -> None:
    table, document = _measured(tmp_path, "--only", "few-keys", "--contestants", "loop,kv-updater")

    rows = [line.split() for line in table.splitlines() if line.startswith("  ")]
    samples = {sample["contestant"]: sample for sample in document["samples"]}
    assert list(samples) == ["loop", "kv-updater"]
    for name, sample in samples.items():
        assert sample["failure"] is None
        assert sample["figures"]["rate"] > 0
        assert sample["figures"]["wrong_keys"] == 0
        assert [name, f"{sample['figures']['messages']:,.0f}", f"{sample['figures']['rate']:,.0f}"] in (
            row[:3] for row in rows
        )
    assert ["kv-updater", "/", "loop"] in (row[:3] for row in rows)
    assert document["machine"]["quick"] is True
    assert {bar["scenario"] for bar in document["bars"]} == {"few-keys"}
    assert "ioredis" not in table.partition("few-keys:")[2]


@pytest.mark.parametrize("wrong", [("--only", "fastest"), ("--contestants", "somebody")])
def test_what_is_not_there_cannot_be_chosen(tmp_path: Path, wrong: tuple[str, str]) -> None:
    command = [sys.executable, "-m", "tests.benchmarks", *wrong]
    run = subprocess.run(command, cwd=_ROOT, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 2
    assert f"unknown: {wrong[1]}; there are " in run.stderr


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("--json", "/nowhere/result.json"), "/nowhere/result.json: No such file or directory"),
        (("--rounds", "some"), "argument --rounds: some: not a number from 1 on"),
        (("--only", "few-keys,"), "argument --only: unknown: an empty name; there are "),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_measured(wrong: tuple[str, str], told: str) -> None:
    command = [sys.executable, "-m", "tests.benchmarks", *wrong]
    run = subprocess.run(command, cwd=_ROOT, capture_output=True, encoding="utf-8", check=False)

    assert run.returncode == 2
    assert told in run.stderr.splitlines()[-1]
    assert len(run.stderr.splitlines()) == 2


def test_a_run_that_is_interrupted_reports_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--rounds", "99", "--json", str(path)]
    command += ["--only", "few-keys", "--contestants", "drain"]
    watched, terminal = pty.openpty()
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=terminal) as run:
        os.close(terminal)
        shown = b""
        while not re.search(rb"round ([2-9]|[1-9]\d) of 99", shown):
            shown += os.read(watched, 4096)
        run.terminate()
        assert run.stdout is not None
        table = run.stdout.read().decode()
    os.close(watched)

    assert run.returncode == 128 + signal.SIGTERM
    assert "interrupted in round " in table
    assert json.loads(path.read_text())["samples"][0]["round"] == 1


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", ["few-keys", "all-different", "stream"])
def test_every_contestant_that_can_run_here_ends_with_the_right_state(tmp_path: Path, scenario: str) -> None:
    table, document = _measured(tmp_path, "--only", scenario)

    ran = [sample for sample in document["samples"] if not (sample["note"] or "").startswith("not measured: ")]
    assert "kv-updater" in {sample["contestant"] for sample in ran}
    for sample in ran:
        if sample["contestant"] != "drain only":
            assert (sample["figures"]["wrong_keys"], sample["figures"]["cut_offs"]) == (0, 0), table


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("scenario", "points"), [("sizes", 4), ("channels", 4), ("observed", 2), ("share", 1)])
def test_the_state_is_right_at_every_point_of_a_series(tmp_path: Path, scenario: str, points: int) -> None:
    table, document = _measured(tmp_path, "--only", scenario, "--contestants", "kv-updater,full")

    assert len(document["samples"]) == points
    for sample in document["samples"]:
        assert (sample["figures"]["wrong_keys"], sample["figures"]["cut_offs"]) == (0, 0), table


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", ["steady", "keys"])
def test_by_the_clock_all_comes_or_the_publisher_was_late(tmp_path: Path, scenario: str) -> None:
    """On a busy machine it is, and then that is what is said."""
    path = tmp_path / "results.json"
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--rounds", "1", "--json", str(path)]
    command += ["--only", scenario, "--contestants", "kv-updater"]
    run = subprocess.run(command, cwd=_ROOT, capture_output=True, encoding="utf-8", check=False)

    for sample in json.loads(path.read_text())["samples"]:
        assert sample["figures"]["wrong_keys"] == 0, run.stdout
        assert sample["failure"] is None or sample["failure"].startswith("the publisher was late by "), run.stdout
