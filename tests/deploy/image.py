"""The Dockerfile, read; and its steps carried out without Docker, on a copy of this machine in place of its base.

Each stage is an overlay of the root file system in a mount namespace of its own, so nothing of this machine is changed.
What only the true base could show is not shown: its Python, and that nothing is missing there.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.certificates import need
from tests.deploy.tools import ROOT

# Docker's own, after the Python of this machine in place of the image's.
_PATH = f"{sys.base_prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Step(NamedTuple):
    """One instruction; lines that are continued are one."""

    word: str
    text: str


def dockerfile() -> list[Step]:
    """All steps, in order."""
    lines = (line for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines() if not line.startswith("#"))
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Step(*line.split(" ", 1)) for line in whole.splitlines() if line]


def last_stage() -> list[Step]:
    """The steps of what becomes the image."""
    steps = dockerfile()
    return steps[max(number for number, step in enumerate(steps) if step.word == "FROM") :]


def environment() -> dict[str, str]:
    """The variables of the image."""
    pairs = [pair for step in last_stage() if step.word == "ENV" for pair in shlex.split(step.text)]
    return {name: value.replace("$PATH", _PATH) for name, value in (pair.split("=", 1) for pair in pairs)}


def context(folder: Path) -> Path:
    """What `docker build` would be given: the files that .dockerignore lets in."""
    wanted = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    for name in wanted:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return folder


class Stage:
    """The files of a stage: what its steps have changed of this machine's, under `changed`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("changed", "work", "root"):
            (folder / name).mkdir(parents=True)
        self.changed = folder / "changed"
        self.place = Path("/")
        # The image's Python goes by this name; that of a Debian machine does not.
        named = self.changed / f"{sys.base_prefix}/bin/python".lstrip("/")
        if not Path(sys.base_prefix, "bin", "python").exists():
            named.parent.mkdir(parents=True)
            named.symlink_to(f"python{sys.version_info.major}.{sys.version_info.minor}")

    def command(self, program: str, *, before: str = "", user: str = "0:0") -> list[str]:
        """A command line that runs this, in a shell's words, in the stage's file system, as process 1.

        `before` is what is mounted or changed first, under $ROOT.
        """
        layers = f"lowerdir=/,upperdir={self.changed},workdir={self._folder / 'work'}"
        script = f"""
            set -eu
            ROOT={self._folder / "root"}
            mount --make-rprivate /
            mount -t overlay overlay -o {layers} $ROOT
            mount --rbind /dev $ROOT/dev
            mount -t proc proc $ROOT/proc
            {before}
            exec setpriv --no-new-privs chroot --userspec={user} --groups= $ROOT {program}
        """
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script]

    def run(self, script: str, variables: dict[str, str]) -> None:
        """Carry out a RUN. Raises AssertionError, with what it printed."""
        inside = f"cd {self.place} && {script}"
        command = self.command(f"/bin/sh -c {shlex.quote(inside)}")
        # With the variables of this machine, for they may say where packages come from.
        done = subprocess.run(
            command,
            env={**os.environ, "PIP_BREAK_SYSTEM_PACKAGES": "1", **variables},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"RUN {script}\n{done.stdout}{done.stderr}"

    def copy(self, sources: list[Path], target: str) -> None:
        """Carry out a COPY: what is in a directory, not the directory itself."""
        into = self.changed / str(self.place / target).lstrip("/")
        for source in sources:
            if source.is_dir():
                shutil.copytree(source, into, symlinks=True, dirs_exist_ok=True)
            else:
                to = into / source.name if target.endswith("/") or target == "." else into
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, to)

    def enter(self, place: str) -> None:
        """Carry out a WORKDIR."""
        self.place = self.place / place
        (self.changed / str(self.place).lstrip("/")).mkdir(parents=True, exist_ok=True)


def build(folder: Path) -> Stage:
    """Carry out all steps that make files; the last stage."""
    able = os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0
    need(able, "the right to mount")
    given = context(folder / "context")
    stages: dict[str, Stage] = {}
    stage = Stage(folder / "none")
    variables: dict[str, str] = {}
    for step in dockerfile():
        match step.word:
            case "FROM":
                name = step.text.partition(" AS ")[2] or "image"
                variables = {"PATH": _PATH}
                stage = stages[name] = Stage(folder / name)
            case "ENV":
                variables |= dict(pair.split("=", 1) for pair in shlex.split(step.text))
                variables["PATH"] = variables["PATH"].replace("$PATH", _PATH)
            case "WORKDIR":
                stage.enter(step.text)
            case "COPY":
                *options, target = step.text.split()
                origin = given
                if options[0].startswith("--from="):
                    origin = stages[options.pop(0).removeprefix("--from=")].changed
                stage.copy([origin / source.lstrip("/") for source in options], target)
            case "RUN":
                stage.run(step.text, variables)
            case word:
                assert word in {"ARG", "LABEL", "USER", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"}, word
    return stages["image"]
