"""The chart, rendered once for all tests of a process."""

import pytest

from tests.deploy.chart import FULL, Manifest, parsed, rendered, text_rendered
from tests.deploy.tools import output_of, tool


@pytest.fixture(scope="session")
def default_text() -> str:
    """With the chart's own values, as Helm prints it."""
    return text_rendered({})


@pytest.fixture(scope="session")
def default(default_text: str) -> list[Manifest]:
    """With the chart's own values."""
    return list(parsed(default_text))


@pytest.fixture(scope="session")
def full() -> list[Manifest]:
    """With everything turned on."""
    return rendered({}, "--values", str(FULL))


@pytest.fixture(scope="session")
def kustomized() -> list[Manifest]:
    """The plain manifests, as `kubectl apply -k` takes them."""
    return list(parsed(output_of(tool("kubectl"), "kustomize", "deploy/kubernetes")))
