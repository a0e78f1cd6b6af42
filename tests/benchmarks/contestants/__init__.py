"""Who is measured. A new contestant is an entry here and, where it needs one, a program beside.

Each peer does what the loop does: it parses a message, and stores what its record has of it with one SET.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from . import node_peers
from .contestant import Contestant, Started

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ASYNCIO", "BY_WORD", "CEILING", "FASTSTREAM", "IOREDIS", "LOOP", "NODE_REDIS", "OURS", "OURS_BUSY",
    "OURS_EXPIRY", "OURS_FULL", "OURS_STREAM", "OURS_TWO", "OURS_VALIDATE", "PIPELINED", "SCRIPT_ALONE",
    "Contestant", "Started",
]  # fmt: skip


def _script(name: str) -> tuple[str, ...]:
    return (sys.executable, str(Path(__file__).with_name(name)))


def _faststream_missing() -> str | None:
    return None if find_spec("faststream") else "faststream is not installed: `make bench` does that"


# Flat out, the loop is cut off by the server (`flood` shows it). So that its own capacity is measured, it is fed
# as fast as it takes: 3 MiB and one slice of the publisher are below 4 MB of output buffer, and it never rests.
_AS_IT_TAKES = 3 << 20

LOOP = Contestant(name="loop", command=_script("loop.py"), verbatim=False, hold_bytes=_AS_IT_TAKES)

# These wait for their SETs before they read on, as the loop does, and would be cut off like it.
ASYNCIO = Contestant(name="redis-py asyncio", command=_script("aio_loop.py"), verbatim=False, hold_bytes=_AS_IT_TAKES)
PIPELINED = Contestant(
    name="redis-py pipelined", command=_script("aio_pipelined.py"), verbatim=False, hold_bytes=_AS_IT_TAKES
)
FASTSTREAM = Contestant(
    name="FastStream",
    command=_script("fast_stream.py"),
    verbatim=False,
    hold_bytes=_AS_IT_TAKES,
    missing=_faststream_missing,
)

# Both read on while their SETs are under way, but a turn of their event loop takes in little of what comes: of a burst
# as long as that of `flood` they would be cut off too, and a shorter one comes near to it. Held, they are no slower.
IOREDIS = Contestant(
    name="ioredis",
    command=node_peers.command("ioredis.mjs"),
    verbatim=False,
    hold_bytes=_AS_IT_TAKES,
    missing=node_peers.missing("ioredis"),
)
NODE_REDIS = Contestant(
    name="node-redis",
    command=node_peers.command("node-redis.mjs"),
    verbatim=False,
    hold_bytes=_AS_IT_TAKES,
    missing=node_peers.missing("redis"),
)

# Nobody holds anything back for the service, however it is set.
OURS = Contestant(
    name="kv-updater",
    command=(sys.executable, "-m", "entrypoints.cli", "run"),
    verbatim=True,
    hold_bytes=0,
)
OURS_VALIDATE = replace(OURS, name="kv-updater, validate", options={"validate": "true"})
OURS_EXPIRY = replace(OURS, name="kv-updater, expiry", options={"expire_at_valid": "true"})
OURS_FULL = replace(
    OURS,
    name="kv-updater, everything on",
    options={
        "validate": "true",
        "expire_at_valid": "true",
        "dead_letter_stream": "dead-letters",
        "persisted_channel": "persisted",
        "http_port": "0",  # a free one: probes, and metrics that are kept
    },
)
OURS_BUSY = replace(OURS, name="kv-updater, busy poll", options={"busy_poll": "1ms"})
OURS_STREAM = replace(OURS, name="kv-updater, stream", transport="stream")
OURS_TWO = replace(OURS, name="kv-updater, two replicas", processes=2)

# Stores nothing, so it has no state that could be right: what counts is how fast the publisher gets rid of it all.
CEILING = Contestant(name="drain only", command=_script("drain.py"), verbatim=False, hold_bytes=0)

# Does nothing but to compare before it writes: what is slower than this, one message at a time, is the service's work.
SCRIPT_ALONE = Contestant(
    name="script alone", command=_script("script_alone.py"), verbatim=True, hold_bytes=_AS_IT_TAKES
)

BY_WORD: Mapping[str, Contestant] = {
    "loop": LOOP,
    "asyncio": ASYNCIO,
    "pipelined": PIPELINED,
    "faststream": FASTSTREAM,
    "ioredis": IOREDIS,
    "node-redis": NODE_REDIS,
    "kv-updater": OURS,
    "validate": OURS_VALIDATE,
    "expiry": OURS_EXPIRY,
    "full": OURS_FULL,
    "busy": OURS_BUSY,
    "stream": OURS_STREAM,
    "two": OURS_TWO,
    "drain": CEILING,
    "script": SCRIPT_ALONE,
}
"""By the words of the command line."""
