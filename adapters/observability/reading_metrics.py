"""What serves records, as Prometheus sees it."""

from prometheus_client.registry import Collector

from adapters.observability.exposition import Metrics, build, counter, gauge, store_errors
from application.feed import Feed
from application.readiness import Readiness
from application.tally import Tally


class ReadingMetrics(Collector):
    """Of a mirror, and of those who read it."""

    def __init__(self, *, feed: Feed, tally: Tally, readiness: Readiness, version: str) -> None:
        self._feed = feed
        self._tally = tally
        self._readiness = readiness
        self._version = version

    def collect(self) -> Metrics:
        feed, tally = self._feed, self._tally
        yield build(self._version)
        for name, text, value in (
            ("ready", "Whether changes come through and records can be read.", self._readiness.why_not is None),
            ("records", "Types that have a record.", len(feed)),
            ("event_readers", "Connections that get events.", feed.readers),
        ):
            yield gauge(name, text, value)
        if tally.probe_seconds is not None:
            yield gauge("probe_round_trip_seconds", "Round trip of the last probe.", tally.probe_seconds)
        for name, text, total in (
            ("record_changes", "Changes of records that readers were told of.", feed.shown),
            ("gaps", "Times that changes may have been missed, so that all records were read anew.", tally.gaps),
            ("gap_seconds", "How long that was together.", tally.gap_seconds),
        ):
            yield counter(name, text, total)
        yield store_errors(tally)
