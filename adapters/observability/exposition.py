"""The text that Prometheus scrapes, made of what others count when it is asked for: nothing is counted twice."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from application.histogram import Histogram
from application.ports import Clock
from application.tally import Tally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "kv_updater_"
_SHOWN_FOR = 0.5  # seconds
# Of what a server or a network does now and then; any other error reply is a series from its first time on.
_USUAL_STORE_ERRORS = (
    *("connection", "timeout", "late", "loading", "readonly", "masterdown", "clusterdown", "noreplicas"),
    *("oom", "misconf", "busy", "login", "noauth", "wrongpass", "noperm"),
)


class Exposition:
    """The exposition format, version 0.0.4, of one collector and of the process."""

    def __init__(self, collector: Collector, *, clock: Clock) -> None:
        self._clock = clock
        self._text = b""
        self._made_at: float | None = None
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(collector)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """All that was true at one moment, half a second ago at most: to make it costs as much as many messages."""
        now = self._clock.monotonic()
        if self._made_at is None or now - self._made_at > _SHOWN_FOR:
            self._text, self._made_at = generate_latest(self._registry), now
        return self._text


def gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, text, value=float(value))


def counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(_PREFIX + name, text, value=float(value))


def counter_by(label: str, name: str, text: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(_PREFIX + name, text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def store_errors(tally: Tally) -> Metric:
    # Series that are there from the beginning: to Prometheus, one that begins at 1 has not increased.
    counts = dict.fromkeys(_USUAL_STORE_ERRORS, 0) | tally.store_errors
    return counter_by("kind", "store_errors", "Calls that the store has refused or not answered.", counts)


def gauge_by(label: str, name: str, text: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(_PREFIX + name, text, labels=[label])
    for value, level in values.items():
        family.add_metric([value], level)
    return family


def histogram(name: str, text: str, values: Histogram) -> Metric:
    buckets = [(floatToGoString(bound), count) for bound, count in values.cumulated()]  # type: ignore[no-untyped-call]
    return HistogramMetricFamily(_PREFIX + name, text, buckets=buckets, sum_value=values.sum)


def build(version: str) -> Metric:
    family = GaugeMetricFamily(_PREFIX + "build_info", "1, with the version that runs.", labels=["version"])
    family.add_metric([version], 1)
    return family


Metrics = Iterator[Metric]
