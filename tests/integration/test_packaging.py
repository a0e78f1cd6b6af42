"""What `pip install .` puts on a machine, and what the locks may hold."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.benchmarks.contestants.node_lock import LINE

ROOT = Path(__file__).parents[2]
LOCKS = (
    "requirements.txt",
    "requirements-dev.txt",
    "deploy/image/requirements.txt",
    "deploy/image/build-requirements.txt",
    "tests/benchmarks/requirements.txt",
)
NODE_LOCK = "tests/benchmarks/contestants/node/requirements.txt"


def test_the_wheel_holds_the_rooms_the_script_and_the_command(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("kv_updater-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = (archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert "kv-updater = entrypoints.cli:main" in entry_points
    assert "adapters/redis/commit.lua" in names
    assert "adapters/http/page/index.html" in names
    assert {"domain", "application", "adapters", "entrypoints", "kv_updater"} == {
        name.split("/")[0] for name in names if ".dist-info" not in name
    }


def test_locks_are_pinned_by_hash_and_hold_no_address() -> None:
    for name in LOCKS:
        lines = (ROOT / name).read_text("utf-8").splitlines()
        requirements = [line for line in lines if not line.startswith(" ")]
        assert all(re.fullmatch(r"[\w.-]+==[\w.]+( ; .+)? \\", line) for line in requirements)
        assert all(
            re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in lines if line.startswith(" ")
        )


def test_the_lock_of_node_is_pinned_by_hash_and_holds_no_address() -> None:
    lines = (ROOT / NODE_LOCK).read_text("utf-8").splitlines()
    assert any(line.startswith("ioredis==") for line in lines)
    assert all(LINE.fullmatch(line) for line in lines)


def test_what_the_benchmarks_add_has_the_versions_that_the_tests_have() -> None:
    development, benchmarks = (
        dict(re.findall(r"(?m)^(\S+)==(\S+)", (ROOT / name).read_text("utf-8")))
        for name in ("requirements-dev.txt", "tests/benchmarks/requirements.txt")
    )
    shared = development.keys() & benchmarks.keys()
    assert "redis" in shared
    assert {name: development[name] for name in shared} == {name: benchmarks[name] for name in shared}


def test_the_locks_hold_what_the_project_asks_for() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["embedded"]
    lock = (ROOT / "requirements.txt").read_text("utf-8").lower()
    for requirement in wanted:
        name = re.split(r"[\[<>=;]", requirement)[0].strip().lower()
        assert f"\n{name}==" in f"\n{lock}"
