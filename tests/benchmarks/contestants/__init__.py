"""Who is measured. A new contestant is an entry here and, where it needs one, a program beside."""

from __future__ import annotations

import sys
from pathlib import Path

from .contestant import Contestant, Started

__all__ = ["LOOP", "OURS", "Contestant", "Started"]

# Flat out, the loop is cut off by the server (`flood` shows it). So that its own capacity is measured, it is fed
# as fast as it takes: 3 MiB and one slice of the publisher are below 4 MB of output buffer, and it never rests.
LOOP = Contestant(
    name="loop",
    command=(sys.executable, str(Path(__file__).with_name("loop.py"))),
    verbatim=False,
    hold_bytes=3 << 20,
)
OURS = Contestant(
    name="kv-updater",
    command=(sys.executable, "-m", "entrypoints.cli", "run"),
    verbatim=True,
    hold_bytes=0,
)
