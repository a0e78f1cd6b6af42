"""What keeps the records, as Prometheus sees it."""

from collections.abc import Mapping

from prometheus_client.registry import Collector

from adapters.observability.exposition import (
    Metrics,
    build,
    counter,
    counter_by,
    gauge,
    gauge_by,
    histogram,
    store_errors,
)
from application.kv_updater import KVUpdater
from application.proofs import SUBSCRIPTION
from application.readiness import Readiness
from application.store_health import STORE
from application.subscription import Subscription
from application.validity import Validity
from domain.errors import Reason


class UpdaterMetrics(Collector):
    """`validity` is None where the types are not bounded: each would be a series of its own.

    received = rejected + stale + conflated + expired + committed + unchanged + unstorable + pending, on every scrape.
    """

    def __init__(
        self,
        *,
        updater: KVUpdater,
        subscription: Subscription,
        readiness: Readiness,
        validity: Validity | None,
        version: str,
    ) -> None:
        self._updater = updater
        self._subscription = subscription
        self._readiness = readiness
        self._validity = validity
        self._version = version

    def collect(self) -> Metrics:
        yield build(self._version)
        yield from self._fates()
        yield from self._events()
        yield from self._levels()
        tally = self._updater.tally
        yield histogram("commit_seconds", "Time until the store has answered a commit.", tally.commit_seconds)
        yield histogram("batch_keys", "Keys in a commit.", tally.batch_keys)
        text = "Time from when a message was received until its record was stored."
        yield histogram("message_to_commit_seconds", text, tally.message_to_commit_seconds)

    def _fates(self) -> Metrics:
        tally = self._updater.tally
        for name, text, value in (
            ("messages_received", "Messages that came.", tally.received),
            ("messages_stale", "Messages older than what was stored.", tally.stale),
            ("messages_conflated", "Messages that gave way to a newer one before the commit.", tally.conflated),
            ("messages_expired", "Messages that were not valid any more.", tally.expired),
            ("records_committed", "Messages that became records.", tally.committed),
            ("records_unchanged", "Messages that said what was stored already.", tally.unchanged),
        ):
            yield counter(name, text, value)
        text = "Messages that broke a rule."
        yield counter_by("reason", "messages_rejected", text, _by_reason(tally.rejected, of_accepted=False))
        text = "Messages that were accepted but could not be stored."
        yield counter_by("reason", "messages_unstorable", text, _by_reason(tally.unstorable, of_accepted=True))
        yield gauge("pending_keys", "Messages accepted and not yet settled.", self._updater.pending)

    def _events(self) -> Metrics:
        tally = self._updater.tally
        for name, text, value in (
            ("messages_unordered", "Messages without a time that is understood.", tally.unordered),
            ("messages_future_dated", "Messages dated in the future.", tally.future_dated),
            ("commit_conflicts", "Writes that found something else than expected.", tally.conflicts),
            ("validation_failures", "Records that read back as something else.", tally.validation_failures),
            ("dead_letters", "Messages kept as dead letters.", tally.dead_letters),
            ("dead_letters_dropped", "Dead letters that could not be kept.", tally.dead_letters_dropped),
            ("gaps", "Times that messages may have been missed.", tally.gaps),
            ("gap_seconds", "How long that was together, at least.", tally.gap_seconds),
            ("entry_losses", "Times that stream entries were gone before they were settled.", tally.entry_losses),
            ("entries_lost", "How many that were together, at least.", tally.entries_lost),
        ):
            yield counter(name, text, value)
        yield store_errors(tally)
        reconnects = {role: tally.reconnects[role] for role in (SUBSCRIPTION, STORE)}
        yield counter_by("role", "reconnects", "Times that what was lost was had again.", reconnects)

    def _levels(self) -> Metrics:
        subscription = self._subscription
        proved = self._readiness.why_not_of(SUBSCRIPTION) is None
        for name, text, value in (
            ("ready", "Whether messages come through and records can be written.", self._readiness.why_not is None),
            ("subscription_up", "Whether every channel is subscribed.", subscription.confirmed),
            ("subscription_proved", "Whether nothing says that messages may be missing just now.", proved),
            ("backlog_bytes", "Received and not yet parsed.", subscription.backlog_bytes),
            ("output_buffer_bytes", "What the server could not send us.", subscription.output_buffer_bytes),
        ):
            yield gauge(name, text, value)
        if (seconds := self._updater.tally.probe_seconds) is not None:
            yield gauge("probe_round_trip_seconds", "Round trip of the last probe.", seconds)
        if self._validity is not None:
            text = "Unix time until which the record of a type is valid."
            yield gauge_by("type", "record_valid_until_seconds", text, self._validity.until())


def _by_reason(counts: Mapping[Reason, int], *, of_accepted: bool) -> Mapping[str, float]:
    # Series that are there from the beginning: to Prometheus, one that begins at 1 has not increased.
    return {str(reason): counts.get(reason, 0) for reason in Reason if reason.of_accepted is of_accepted}
