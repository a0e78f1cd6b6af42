"""The plain manifests are the chart's, without what only Helm reads. `make manifests` writes them anew."""

import re

from tests.deploy.chart import text_rendered
from tests.deploy.tools import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
_NAMES = ("deployments", "networkpolicy", "poddisruptionbudgets", "serviceaccount", "services")
_HEAD = "# Made from the chart by `make manifests`: change it there, or with an overlay of your own.\n"
# Kustomize names the settings by their content, so it needs no checksum for the pods to start anew.
_ONLY_HELMS = re.compile(
    r"^(# Source: .*| +helm\.sh/chart: .*| +app\.kubernetes\.io/managed-by: .*| +annotations:\n +checksum/.*)\n",
    re.MULTILINE,
)


def plain(rendered: str) -> dict[str, str]:
    """The text of each file that is made, by its name, from what Helm prints."""
    documents = re.split(r"^---\n", rendered, flags=re.MULTILINE)
    return {f"{name}.yaml": _HEAD + _plain(name, documents) for name in _NAMES}


def _plain(name: str, documents: list[str]) -> str:
    source = re.compile(rf"# Source: .*/templates/{name}\.yaml\n")
    return "---\n".join(_ONLY_HELMS.sub("", each).strip() + "\n" for each in documents if source.match(each))


if __name__ == "__main__":
    for name, text in plain(text_rendered({})).items():
        (FOLDER / name).write_text(text, "utf-8")
