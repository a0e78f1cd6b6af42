"""What serves records, as Prometheus sees it."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from application.feed import Feed
from application.readiness import Readiness
from application.tally import Tally

_PREFIX = "kv_updater_"


class ReadingMetrics(Collector):
    """Reads what others count when it is asked, so that nothing is counted twice."""

    def __init__(self, *, feed: Feed, tally: Tally, readiness: Readiness) -> None:
        self._feed = feed
        self._tally = tally
        self._readiness = readiness
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """The exposition format, version 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        feed, tally = self._feed, self._tally
        gauges = (
            ("ready", "Whether changes come through and records can be read.", self._readiness.why_not is None),
            ("records", "Types that have a record.", len(feed)),
            ("event_readers", "Connections that get events.", feed.readers),
            ("probe_round_trip_seconds", "Round trip of the last probe.", tally.probe_seconds or 0.0),
        )
        for name, text, value in gauges:
            yield GaugeMetricFamily(_PREFIX + name, text, value=float(value))
        counters = (
            ("record_changes", "Changes of records that readers were told of.", feed.shown),
            ("gaps", "Times that changes may have been missed, so that all records were read anew.", tally.gaps),
            ("gap_seconds", "How long that was together.", tally.gap_seconds),
        )
        for name, text, value in counters:
            yield CounterMetricFamily(_PREFIX + name, text, value=float(value))
        errors = CounterMetricFamily(_PREFIX + "store_errors", "Calls that the store has refused.", labels=["kind"])
        for kind, count in tally.store_errors.items():
            errors.add_metric([kind], count)
        yield errors
