"""The plain manifests are the chart's, without what only Helm reads. `make manifests` writes them anew."""

import re

from tests.deploy.chart import CHART
from tests.deploy.tools import ROOT, output_of, tool

FOLDER = ROOT / "deploy" / "kubernetes"
_NAMES = ("api", "networkpolicy", "serviceaccount", "updater")
_HEAD = "# Made from the chart by `make manifests`: change it there, or with an overlay of your own.\n"
# Kustomize names the settings by their content, so it needs no checksum for the pods to start anew.
_ONLY_HELMS = re.compile(
    r"^(# Source: .*| +helm\.sh/chart: .*| +app\.kubernetes\.io/managed-by: .*| +annotations:\n +checksum/.*)\n",
    re.MULTILINE,
)


def plain() -> dict[str, str]:
    """The text of each file that is made, by its name."""
    return {f"{name}.yaml": _HEAD + _plain(name) for name in _NAMES}


def _plain(name: str) -> str:
    command = ("template", "kv-updater", str(CHART), "--show-only", f"templates/{name}.yaml")
    text = _ONLY_HELMS.sub("", output_of(tool("helm"), *command))
    return re.sub(r"\n+---\n+", "\n---\n", text.strip()) + "\n"


if __name__ == "__main__":
    for name, text in plain().items():
        (FOLDER / name).write_text(text, "utf-8")
