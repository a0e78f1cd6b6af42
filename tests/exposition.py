"""What the updater and the API server show to Prometheus, by their own code and without a server."""

from dataclasses import dataclass
from functools import cache

from prometheus_client.parser import text_string_to_metric_families

from adapters.observability.exposition import Exposition
from entrypoints.container.observed import ObservedContainer
from entrypoints.container.reading import ReadingContainer
from entrypoints.settings import Settings, load_settings


@dataclass(frozen=True)
class Metric:
    """A name as it stands in the exposition: of a histogram without its suffixes."""

    name: str
    kind: str
    labels: frozenset[str]
    series: frozenset[str]
    """The names of its samples."""


@cache
def of_updater() -> dict[str, Metric]:
    """By name, with all that it can show."""
    container = ObservedContainer(settings=_settings(http_port="0", allowed_types="a"))
    tally, validity = container.tally(), container.validity()
    tally.probe_seconds = 0.001
    validity._until["a"] = 1.0
    return _read(container.metrics())


@cache
def of_api_server() -> dict[str, Metric]:
    """By name, with all that it can show."""
    container = ReadingContainer(settings=_settings())
    tally = container.tally()
    tally.probe_seconds = 0.001
    return _read(container.metrics())


def series() -> dict[str, frozenset[str]]:
    """The labels of every sample of either, by its name; a bucket has `le` too."""
    found: dict[str, frozenset[str]] = {}
    for metric in (*of_updater().values(), *of_api_server().values()):
        for name in metric.series:
            found[name] = found.get(name, frozenset()) | metric.labels | ({"le"} if name.endswith("_bucket") else set())
    return found


def _settings(**options: str) -> Settings:
    return load_settings({"redis_url": "redis://127.0.0.1:1", **options}).settings


def _read(exposition: Exposition) -> dict[str, Metric]:
    metrics = {}
    for family in text_string_to_metric_families(exposition.text().decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        names = frozenset(sample.name for sample in family.samples)
        metrics[name] = Metric(name, family.type, frozenset(labels), names)
    return metrics
