"""A result that was saved is read back as it was, and the commands say what is missing in one line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import plots, report
from tests.benchmarks.bars import judged
from tests.benchmarks.contestants import IOREDIS, LOOP, OURS
from tests.benchmarks.figures import Results
from tests.benchmarks.plots import saved
from tests.benchmarks.session import QUICK
from tests.unit.benchmarks.sample_results import FACTS, bursts, sample

_ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def result(tmp_path: Path) -> Path:
    path = tmp_path / "result.json"
    report.write_json(path, FACTS, QUICK, bursts(), [])
    return path


def test_what_was_saved_is_read_back(result: Path) -> None:
    read = saved.read(result)
    assert read.results == bursts()
    assert read.facts == FACTS
    assert read.scale == vars(QUICK)


def test_what_a_later_version_adds_is_no_hindrance(result: Path) -> None:
    document = json.loads(result.read_text())
    for saved_one in document["samples"]:
        saved_one["instructions"] = 1
    result.write_text(json.dumps(document))
    assert saved.read(result).results == bursts()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"samples": [1], "machine": {}, "scale": {}}', '{"samples": [{}]}'])
def test_another_file_is_refused(result: Path, text: str) -> None:
    result.write_text(text)
    with pytest.raises(saved.NotAResult):
        saved.read(result)


def test_the_saved_result_makes_the_same_pictures(result: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is in the dependency group bench alone")
    at_once = plots.write(tmp_path / "at-once", FACTS, vars(QUICK), bursts())
    ended = _run("tests.benchmarks.plots", str(result), str(tmp_path / "later"))
    assert ended.returncode == 0, ended.stderr
    assert [Path(line).read_bytes() for line in ended.stdout.splitlines()] == [path.read_bytes() for path in at_once]


@pytest.mark.parametrize(
    "command",
    [("tests.benchmarks", "--plots", "pictures"), ("tests.benchmarks.plots", "result.json", "pictures")],
    ids=["measure", "draw"],
)
def test_without_matplotlib_one_line_says_so(command: tuple[str, ...], tmp_path: Path) -> None:
    """Before anything is measured."""
    without = "import sys, runpy; sys.modules['matplotlib'] = None; sys.argv = sys.argv[1:]; "
    run = f"{without} runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=False)"
    ended = subprocess.run(
        [sys.executable, "-c", run, *command], cwd=_ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode != 0
    assert ended.stderr.splitlines()[-1].endswith(plots.MISSING)
    assert "Traceback" not in ended.stderr
    assert not (_ROOT / "pictures").exists()


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=_ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_bar_whose_contestant_cannot_run_here_is_not_kept() -> None:
    results = Results()
    results.add([sample("all-different", OURS.name, 1, rate=9.0)])
    results.add([sample("all-different", IOREDIS.name, 1, note="not measured: node is not there")])

    (verdict,) = [verdict for verdict in judged(results, ["all-different"]) if verdict.bar.against == IOREDIS.name]

    assert (verdict.value, verdict.ok) == (None, False)
    assert not [verdict for verdict in judged(results, ["all-different"]) if verdict.bar.against == LOOP.name]
