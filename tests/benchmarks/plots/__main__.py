"""The command: draws the pictures of a result that was saved with --json."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import MISSING, can_draw, saved, write


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.plots", description="The pictures of a saved result."
    )
    parser.add_argument("result", type=Path, metavar="RESULT.json", help="written with --json")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the pictures go; made if it is not there")
    options = parser.parse_args()
    if not can_draw():
        sys.exit(MISSING)
    try:
        result = saved.read(options.result)
    except (OSError, saved.NotAResult) as error:
        sys.exit(f"not drawn: {error}")
    for path in write(options.folder, result.facts, result.scale, result.results):
        print(path)


if __name__ == "__main__":
    main()
