"""The peers of Node.js: whether they can run here, and which versions of them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FOLDER = Path(__file__).with_name("node")
_OLDEST = 20  # what ioredis 6 asks for
_PACKAGES = ("ioredis", "redis")


def command(script: str) -> tuple[str, ...]:
    return ("node", str(_FOLDER / script))


def missing(package: str) -> Callable[[], str | None]:
    """Why a peer that needs this package cannot run."""
    return partial(_missing, package)


def versions() -> Mapping[str, str]:
    """Of Node.js and of the packages, where they are there."""
    node = _node_version()
    found = {"node": node or "not there"}
    for package in _PACKAGES if node else ():
        if (description := _description(package)).exists():
            found[f"{package} (node)"] = json.loads(description.read_text())["version"]
    return found


def _missing(package: str) -> str | None:
    version = _node_version()
    if version is None:
        return "node is not there"
    if int(version.split(".")[0]) < _OLDEST:
        return f"node {version} is too old: {_OLDEST} is needed"
    return None if _description(package).exists() else f"{package} is not installed: `make bench` does that"


def _description(package: str) -> Path:
    return _FOLDER / "node_modules" / package / "package.json"


@lru_cache(maxsize=1)
def _node_version() -> str | None:
    if shutil.which("node") is None:
        return None
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    numbers = re.match(r"v([\d.]+)", told)
    return numbers[1] if numbers else None
