"""How far the benchmark is, on standard error; only where a person watches.

A process of its own draws: a thread that drew would hold up the clock that latency is measured by.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from .estimate import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

_ENDING = 5.0


class Progress:
    """Silent unless standard error is a terminal. A step is one scenario in one round."""

    def __init__(self, rounds: int, scenarios: Sequence[str]) -> None:
        self._estimate = Estimate(rounds, scenarios)
        self._rounds = rounds
        self._prefix = ""
        self._drawing: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            command = (sys.executable, "-m", "tests.benchmarks.progress_bar", str(self._estimate.steps))
            self._drawing = subprocess.Popen(command, stdin=subprocess.PIPE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The terminal is as it was: what draws removes its line once nothing can come any more."""
        if self._drawing is not None and self._drawing.stdin is not None:
            with suppress(OSError):
                self._drawing.stdin.close()
            try:
                self._drawing.wait(_ENDING)
            except subprocess.TimeoutExpired:
                self._drawing.kill()
                self._drawing.wait()

    @contextmanager
    def step(self, round_: int, scenario: str) -> Iterator[None]:
        self._prefix = f"round {round_} of {self._rounds}: "
        self.tell(scenario)
        begun = time.monotonic()
        yield
        self._estimate.took(scenario, time.monotonic() - begun)

    def tell(self, what: str) -> None:
        """What is being measured now."""
        if self._drawing is None or self._drawing.stdin is None:
            return
        state = {"done": self._estimate.done, "left": self._estimate.left(), "what": self._prefix + what}
        # Who draws may be gone; that is no reason not to measure.
        with suppress(OSError):
            self._drawing.stdin.write(json.dumps(state).encode() + b"\n")
            self._drawing.stdin.flush()
