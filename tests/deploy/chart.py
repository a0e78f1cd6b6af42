"""The chart as it is rendered, and what is in it."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import yaml

from tests.deploy.tools import ROOT, output_of, tool

CHART = ROOT / "deploy" / "helm" / "kv-updater"
FULL = ROOT / "tests" / "deploy" / "full-values.yaml"

Manifest = dict[str, Any]

ELSEWHERE = {"secret.existing": "elsewhere"}
"""Values for what has nothing to do with the Secret: what the chart makes of one is slow to compute, on purpose."""


def rendered(values: dict[str, Any], *options: str) -> list[Manifest]:
    """The manifests for these values. Raises AssertionError, with Helm's words."""
    return list(parsed(text_rendered(values, *options)))


def text_rendered(values: dict[str, Any], *options: str) -> str:
    """The same as Helm prints it."""
    return output_of(*_command(values), *options)


def notes(values: dict[str, Any]) -> str:
    """What is said to the one who installs it with these values."""
    helm, _, *rest = _command(values)
    return output_of(helm, "install", "--dry-run=client", *rest).partition("\nNOTES:\n")[2]


def refusal(values: dict[str, Any]) -> str:
    """What Helm says where it does not take these values."""
    done = subprocess.run(_command(values), capture_output=True, text=True, check=False)
    assert done.returncode != 0, "these values are taken"
    return done.stderr


def _command(values: dict[str, Any]) -> list[str]:
    given = (f"--set-json={key}={json.dumps(value)}" for key, value in values.items())
    return [tool("helm"), "template", "kv-updater", str(CHART), *given]


def parsed(text: str) -> Iterator[Manifest]:
    return (document for document in yaml.safe_load_all(text) if document is not None)


def named(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    """By kind and name."""
    return {(each["kind"], each["metadata"]["name"]): each for each in manifests}


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """What the Deployments say of their pods, by component."""
    return {
        each["metadata"]["labels"]["app.kubernetes.io/component"]: each["spec"]["template"]
        for each in manifests
        if each["kind"] == "Deployment"
    }
