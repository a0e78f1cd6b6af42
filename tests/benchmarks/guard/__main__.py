"""The command: `python -m tests.benchmarks.guard`. Exit code 0 when every bound is kept, 1 when one is missed."""

from __future__ import annotations

import platform
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.failure import MeasurementError
from tests.benchmarks.session import QUICK, Session

from . import memory, opcodes, ratios
from .bounds import BLOCKS_HELD, BYTES_HELD, DIFFERENT, FEW
from .bounds import opcodes as opcodes_of
from .verdicts import Checked, table

if TYPE_CHECKING:
    from collections.abc import Iterator

_FEW_KEYS = 100


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="kv-updater-guard-") as folder:
        checked = list(_measured(Session(Path(folder), QUICK, _tell)))
    missed = sum(not one.ok for one in checked)
    print(f"regression guard, {platform.python_implementation()} {platform.python_version()}")
    print(table(checked))
    print(f"{missed} of {len(checked)} bounds are missed" if missed else "every bound is kept")
    return 1 if missed else 0


def _measured(session: Session) -> Iterator[Checked]:
    """What is steady first: it needs no server."""
    for kind, keys in ((FEW, _FEW_KEYS), (DIFFERENT, None)):
        yield Checked(opcodes_of(kind), opcodes.per_message(keys))
    held = memory.per_pending_message()
    yield Checked(BLOCKS_HELD, held.blocks)
    yield Checked(BYTES_HELD, held.bytes)
    for kind in (FEW, DIFFERENT):
        yield from ratios.measured(session, kind)


def _tell(what: str) -> None:
    if sys.stderr.isatty():
        print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    if sys.platform != "linux":
        sys.exit("the guard reads /proc: it needs Linux")
    try:
        sys.exit(main())
    except MeasurementError as error:
        sys.exit(f"not measured: {error}")
