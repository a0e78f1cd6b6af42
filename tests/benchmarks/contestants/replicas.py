"""Several processes that are measured as one: what they use is added up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.processes import await_quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.processes import Child


class Replicas:
    """What is asked of a `Child`, asked of each; one that ended is an error of all."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children

    def require_alive(self) -> None:
        for child in self._children:
            child.require_alive()

    def wait_end(self) -> None:
        """Of one: which of them is ending is not known, and the others do not."""
        self._children[0].wait_end()

    def cpu_seconds(self) -> float:
        return sum(child.cpu_seconds() for child in self._children)

    def memory_mib(self) -> float:
        return sum(child.memory_mib() for child in self._children)

    def peak_memory_mib(self) -> float:
        """The sum of their peaks, which need not be of the same moment."""
        return sum(child.peak_memory_mib() for child in self._children)

    def wait_quiet(self, *, window: float, share: float, timeout: float) -> bool:
        return await_quiet(self.cpu_seconds, window=window, share=share, timeout=timeout)
