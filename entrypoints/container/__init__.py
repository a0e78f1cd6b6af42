"""The composition root: the only place that knows which adapter serves which port."""

from application.acknowledgements import Acknowledgements
from application.committer import Committer
from application.conflicts import Conflicts
from application.dead_letter_queue import DeadLetterQueue
from application.intake import Intake
from application.known_records import KnownRecords
from application.kv_updater import KVUpdater
from application.pending_updates import PendingUpdates
from application.ports import Clock, Observer, Traces
from application.read_back import ReadBack
from application.refusals import Refusals
from entrypoints import __version__
from entrypoints.container import liveness
from entrypoints.container.extras import otel_traces
from entrypoints.container.foundations import Foundations
from entrypoints.container.injection import providers
from entrypoints.container.stores import Stores
from entrypoints.container.transports import Transports

_KNOWN_RECORDS_BYTES = 64 * 1024 * 1024
# Stream entries taken and not yet settled, at most.
_MAX_OUTSTANDING = 100_000


def _traces(clock: Clock, observer: Observer) -> Traces:
    # Most go without, and it takes long to import.
    return otel_traces()(clock=clock, observer=observer, version=__version__)


class Container(Transports, Stores):
    """Made with `settings`; to make things opens nothing."""

    acknowledgements = providers.Singleton(
        Acknowledgements,
        subscriber=Transports.subscriber,
        backoff=Foundations.backoff,
        clock=Foundations.clock,
        observer=Foundations.observer,
        max_outstanding=_MAX_OUTSTANDING,
    )
    dead_letter_queue = providers.Selector(
        providers.Callable(lambda settings: "on" if settings.dead_letter_stream else "off", Foundations.settings),
        on=providers.Singleton(
            DeadLetterQueue,
            dead_letters=Stores.dead_letters,
            backoff=Foundations.backoff,
            clock=Foundations.clock,
            observer=Foundations.observer,
            tally=Foundations.tally,
            acknowledgements=acknowledgements,
            max_letters=Foundations.given.dead_letter_maxlen,
            max_payload_bytes=Foundations.given.max_message_bytes,
        ),
        off=providers.Object(None),
    )
    refusals = providers.Singleton(
        Refusals, Foundations.tally, Foundations.observer, dead_letter_queue, acknowledgements
    )
    pending_updates = providers.Singleton(
        PendingUpdates, Foundations.ordering, Foundations.given.max_pending_keys, Foundations.given.max_pending_bytes
    )
    subscription = liveness.subscription(Foundations.readiness)
    store_health = liveness.store_health(Foundations.readiness, Stores.store.provided.check)
    known_records = providers.Singleton(KnownRecords, _KNOWN_RECORDS_BYTES)
    read_back = providers.Selector(
        providers.Callable(lambda settings: "on" if settings.validate_commits else "off", Foundations.settings),
        on=providers.Singleton(
            ReadBack,
            store=Stores.store,
            ordering=Foundations.ordering,
            read_record=Foundations.record_reader,
            known=known_records,
            clock=Foundations.clock,
            observer=Foundations.observer,
            tally=Foundations.tally,
        ),
        off=providers.Object(None),
    )
    traces = providers.Selector(
        providers.Callable(lambda settings: "on" if settings.tracing else "off", Foundations.settings),
        on=providers.Singleton(_traces, clock=Foundations.clock, observer=Foundations.observer),
        off=providers.Object(None),
    )
    conflicts = providers.Singleton(
        Conflicts,
        ordering=Foundations.ordering,
        read_record=Foundations.record_reader,
        known=known_records,
        clock=Foundations.clock,
        tally=Foundations.tally,
    )
    committer = providers.Singleton(
        Committer,
        store=Stores.store,
        ordering=Foundations.ordering,
        known=known_records,
        conflicts=conflicts,
        read_back=read_back,
        traces=traces,
        refusals=refusals,
        acknowledgements=acknowledgements,
        clock=Foundations.clock,
        observer=Foundations.observer,
        tally=Foundations.tally,
    )
    intake = providers.Singleton(
        Intake,
        validator=Foundations.validator,
        ordering=Foundations.ordering,
        pending_updates=pending_updates,
        refusals=refusals,
        dates_each=Foundations.given.tracing,
        acknowledgements=acknowledgements,
        clock=Foundations.clock,
        observer=Foundations.observer,
        tally=Foundations.tally,
    )
    updater = providers.Singleton(
        KVUpdater,
        subscription=subscription,
        intake=intake,
        pending_updates=pending_updates,
        committer=committer,
        acknowledgements=acknowledgements,
        dead_letter_queue=dead_letter_queue,
        store_health=store_health,
        clock=Foundations.clock,
        tally=Foundations.tally,
        max_batch=Foundations.given.max_batch,
    )
