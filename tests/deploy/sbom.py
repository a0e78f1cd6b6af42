"""What the image holds besides its base, as CycloneDX. `make sbom` writes it to dist."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.deploy.tools import ROOT, tool

_PYTHON = (sys.executable, "-m")
_PIP = (*_PYTHON, "pip", "--quiet", "--disable-pip-version-check", "--python")
_NAME = "kv-updater"


def write_sbom(target: Path) -> None:
    """Install what the Dockerfile installs, and list it. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        place, wheels, listed = (str(Path(folder) / name) for name in ("image", "wheels", "listed.json"))
        python, lock = f"{place}/bin/python", "deploy/image/requirements.txt"
        for command in (
            (*_PYTHON, "venv", "--without-pip", place),
            (*_PIP, python, "install", "--no-deps", "--require-hashes", "-r", lock),
            (*_PYTHON, "hatchling", "build", "-t", "wheel", "-d", wheels),
        ):
            _run(*command)
        (wheel,) = Path(wheels).iterdir()
        _run(*_PIP, python, "install", "--no-deps", str(wheel))
        # Where it was installed from is a path of this machine.
        (origin,) = Path(place).glob("lib/*/site-packages/kv_updater-*.dist-info/direct_url.json")
        origin.unlink()
        _run(tool("cyclonedx-py"), "environment", "--output-reproducible", "--of", "JSON", "-o", listed, python)
        sbom = json.loads(Path(listed).read_text("utf-8"))
    (subject,) = (each for each in sbom["components"] if each["name"] == _NAME)
    sbom["components"].remove(subject)
    sbom["metadata"]["component"] = {**subject, "type": "application"}
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(sbom, indent=2) + "\n", "utf-8")


def _run(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


if __name__ == "__main__":
    write_sbom(ROOT / "dist" / f"{_NAME}.cdx.json")
