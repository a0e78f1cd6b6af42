"""What the Dockerfile says, and what the linter says of it."""

import json
import re
from pathlib import Path

import yaml

from entrypoints import __version__
from tests.deploy.image import context, dockerfile, environment, last_stage
from tests.deploy.tools import ROOT, output_of, tool


def _only(word: str) -> str:
    (text,) = (step.text for step in last_stage() if step.word == word)
    return text


def test_the_linter_finds_nothing() -> None:
    output_of(tool("hadolint"), "--no-color", "Dockerfile")


def test_the_base_is_one_and_pinned_by_its_digest() -> None:
    bases = [step.text.split(" AS ")[0] for step in dockerfile() if step.word == "FROM"]
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", bases[0])
    assert set(bases[1:]) == {"base"}


def test_it_runs_as_nobody_in_particular_and_without_a_shell() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", _only("USER"))
    assert json.loads(_only("ENTRYPOINT")) == ["/opt/kv-updater/bin/kv-updater"]
    assert json.loads(_only("CMD")) == ["run"]
    assert _only("STOPSIGNAL") == "SIGTERM"
    assert _only("EXPOSE") == "8000"
    assert environment()["PYTHONDONTWRITEBYTECODE"] == "1"


def test_what_is_installed_is_locked() -> None:
    for step in dockerfile():
        for command in step.text.split(" && ") if step.word == "RUN" else ():
            if " install " in command:
                assert "--require-hashes" in command or "--no-index" in command


def test_the_version_is_the_applications() -> None:
    assert f"VERSION={__version__}" in [step.text for step in last_stage() if step.word == "ARG"]
    kustomization = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "kustomization.yaml").read_text("utf-8"))
    assert [image["newTag"] for image in kustomization["images"]] == [__version__]


def test_the_context_holds_only_what_the_image_is_made_of(tmp_path: Path) -> None:
    names = {path.name for path in context(tmp_path).iterdir()}
    rooms = {"adapters", "application", "domain", "entrypoints", "kv_updater"}
    assert names == {"LICENSE", "README.md", "pyproject.toml", "deploy", *rooms}
