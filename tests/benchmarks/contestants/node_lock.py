"""The peers of Node.js, by what requirements.txt beside them pins: `node_lock install`, and `node_lock write`, which
pins anew.

npm knows locks of its own alone. They are made for it where it works, and kept nowhere, for they have room for the
address of an index. A line is `FOLDER==VERSION --hash=INTEGRITY`; the folder is that under node_modules.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("node")
REQUIREMENTS = FOLDER / "requirements.txt"
LINE = re.compile(r"(\S+)==([\w.-]+) --hash=(sha512-[\w+/]+=*)")
_PREFIX = "node_modules/"


def install() -> None:
    """Into `node_modules`, each package with the hash that is asked for, or not at all."""
    packages: dict[str, Any] = {"": {"dependencies": {}}}
    for line in REQUIREMENTS.read_text("utf-8").splitlines():
        folder, version, integrity = _fields(line)
        packages[_PREFIX + folder] = {"version": version, "integrity": integrity, "dependencies": {}}
        # What nobody asks for would not be installed: a package is asked for by whoever has it in its folder.
        within, _, name = f"/{_PREFIX}{folder}".rpartition(f"/{_PREFIX}")
        packages[within.lstrip("/")]["dependencies"][name] = version
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "package.json").write_text(json.dumps(packages[""]), "utf-8")
        lock = {"lockfileVersion": 3, "requires": True, "packages": packages}
        (Path(place) / "package-lock.json").write_text(json.dumps(lock), "utf-8")
        _npm(place, "ci", "--ignore-scripts")
        if (FOLDER / "node_modules").exists():
            shutil.rmtree(FOLDER / "node_modules")
        shutil.move(Path(place) / "node_modules", FOLDER / "node_modules")


def write() -> None:
    """Write the requirements of the newest versions that package.json lets in."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copy(FOLDER / "package.json", place)
        _npm(place, "install", "--package-lock-only")
        packages = json.loads((Path(place) / "package-lock.json").read_text("utf-8"))["packages"]
    lines = (
        f"{name.removeprefix(_PREFIX)}=={package['version']} --hash={package['integrity']}\n"
        for name, package in packages.items()
        if name
    )
    REQUIREMENTS.write_text("".join(lines), "utf-8")


def _fields(line: str) -> tuple[str, ...]:
    match = LINE.fullmatch(line)
    assert match, line
    return match.groups()


def _npm(place: str, *command: str) -> None:
    subprocess.run(["npm", *command, "--no-audit", "--no-fund", "--silent"], cwd=place, check=True)


if __name__ == "__main__":
    if shutil.which("npm") is None:
        print("The peers of Node.js are left as they are: npm is not there.")
    else:
        try:
            {"install": install, "write": write}[sys.argv[1]]()
        except subprocess.CalledProcessError as error:
            sys.exit(f"npm ended with {error.returncode}")
