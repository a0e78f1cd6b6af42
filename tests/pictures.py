"""Takes the pictures of the live page that the README shows: `python -m tests.pictures docs/pictures`."""

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.browser import chromium, visiting
from tests.service import started, until

_DESK: dict[str, Any] = {"viewport": {"width": 1200, "height": 560}}
_PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 780}, "device_scale_factor": 2, "is_mobile": True}
_PICTURES = {
    "page-light": _DESK | {"color_scheme": "light"},
    "page-dark": _DESK | {"color_scheme": "dark"},
    "page-phone": _PHONE | {"color_scheme": "light"},
}


def main(folder: Path) -> None:
    """Of the demo, as it is a while after its start."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        started("demo", "--http-port", "0", directory=Path(directory)) as demo,
        chromium() as browser,
    ):
        until(lambda: b"The page is at" in demo.raw_log, lambda: demo.raw_log)
        (address,) = re.findall(r"http://\S+:\d+", demo.raw_log.decode())
        for name, options in _PICTURES.items():
            with visiting(browser, address, **options) as visit:
                visit.page.get_by_text("overdue").first.wait_for()
                visit.page.locator("summary").first.click()
                visit.page.screenshot(path=folder / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
