"""The facts about the machine that a figure is worth nothing without."""

from __future__ import annotations

import os
import platform
import timeit
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .contestants import node_peers
from .servers import fresh_server

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIBRARIES = ("redis", "hiredis", "msgspec", "loguru", "dependency-injector", "pydantic-settings", "faststream")
_ADDITIONS = 1_000_000


def facts(workspace: Path) -> Mapping[str, Any]:
    with fresh_server() as server:
        server_version = server.version()
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "addition_ns": round(_addition_ns(), 1),
        "server": server_version,
        "libraries": {name: _version(name) for name in _LIBRARIES} | node_peers.versions(),
        "load_at_start": [round(load, 2) for load in os.getloadavg()],
    }


def _addition_ns() -> float:
    """Of two runs it tells how fast the interpreter was: a build that is not optimized takes half as long again."""
    return min(timeit.repeat("sum += 1", "sum = 0", number=_ADDITIONS, repeat=5)) / _ADDITIONS * 1e9


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"
