"""The bar: what it shows on a terminal, that it shows nothing elsewhere, and that it leaves nothing behind."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.benchmarks.estimate import Estimate

_ROOT = Path(__file__).resolve().parents[3]
_MEASURE = """
import signal, sys, time
from tests.benchmarks.progress import Progress
signal.signal(signal.SIGINT, lambda received, _: sys.exit(128 + received))
with Progress(2, ["few-keys", "flood"]) as progress:
    for number in (1, 2):
        for scenario in ("few-keys", "flood"):
            with progress.step(number, scenario):
                progress.tell(f"{scenario}: loop [1]")
                time.sleep(SECONDS)
print("measured")
"""
_HIDE, _SHOW, _ERASE = "\x1b[?25l", "\x1b[?25h", "\x1b[2K"


@contextmanager
def _at_a_terminal(seconds: float) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The benchmark's process, in a session of its own, and the terminal's other end."""
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _MEASURE.replace("SECONDS", str(seconds))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal,
        cwd=_ROOT,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
        start_new_session=True,
    )
    os.close(terminal)
    try:
        yield process, master
    finally:
        process.kill()
        process.communicate()
        os.close(master)


def _until(master: int, text: str | None) -> str:
    """What was shown until this text was, or until nobody is at the terminal any more."""
    shown = b""
    while text is None or text.encode() not in shown:
        try:
            chunk = os.read(master, 4096)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    return shown.decode()


def test_the_bar_says_how_far_it_is_what_is_measured_and_how_long_it_takes() -> None:
    with _at_a_terminal(1.1) as (process, master):
        shown = _until(master, None)
        assert process.wait(20) == 0
    assert "round 1 of 2: few-keys: loop [1]" in shown
    assert re.search(r"3 of 4 0:0\d, about 0:0\d left round 2 of 2: flood: loop \[1\]", shown)
    assert shown.rstrip().endswith(_ERASE)
    assert shown.rindex(_SHOW) > shown.rindex(_HIDE)


def test_after_ctrl_c_the_terminal_is_as_it_was() -> None:
    with _at_a_terminal(60) as (process, master):
        shown = _until(master, "loop [1]")
        os.killpg(process.pid, signal.SIGINT)
        shown += _until(master, None)
        assert process.wait(20) == 130
    assert shown.rstrip().endswith(_ERASE)
    assert shown.rindex(_SHOW) > shown.rindex(_HIDE)
    assert "Traceback" not in shown


def test_after_a_kill_too() -> None:
    with _at_a_terminal(60) as (process, master):
        shown = _until(master, "loop [1]")
        process.kill()
        shown += _until(master, None)
    assert shown.rindex(_SHOW) > shown.rindex(_HIDE)


def test_where_nobody_watches_nothing_is_written() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _MEASURE.replace("SECONDS", "0")],
        cwd=_ROOT,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"measured\n", b"")


def test_what_is_left_is_what_each_scenario_took_last() -> None:
    now = 0.0
    estimate = Estimate(2, ["few-keys", "flood"], clock=lambda: now)
    assert estimate.left() is None
    now = 10.0
    estimate.took("few-keys", 10.0)
    assert estimate.left() == pytest.approx(30)  # nothing is known of the flood: as long as the others
    now = 110.0
    estimate.took("flood", 100.0)
    assert (estimate.steps, estimate.done, estimate.left()) == (4, 2, pytest.approx(110))
    now = 115.0
    assert estimate.left() == pytest.approx(105)
    now = 400.0
    assert estimate.left() == 0
