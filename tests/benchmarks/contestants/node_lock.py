"""Writes the lock of the peers of Node.js anew, pinned by hash and without any address: `make lock`."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

_FOLDER = Path(__file__).with_name("node")
_WITHOUT_ADDRESSES = ("--package-lock-only", "--omit-lockfile-registry-resolved", "--silent")

if __name__ == "__main__":
    if shutil.which("npm") is None:
        print("The lock of the peers of Node.js is left as it is: npm is not there.")
        sys.exit()
    subprocess.run(["npm", "install", *_WITHOUT_ADDRESSES], cwd=_FOLDER, check=True)
    path = _FOLDER / "package-lock.json"
    lock = json.loads(path.read_text())
    for package in lock["packages"].values():
        package.pop("funding", None)  # where to give money: an address too
    path.write_text(json.dumps(lock, indent=2) + "\n")
