"""What everything else stands on: the settings, time, the log, the counters, and the domain's rules."""

import random
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial

from loguru import logger

from adapters.clock import SystemClock
from adapters.observability.loguru_observer import LoguruObserver
from adapters.redis.hash_slots import in_slot
from application.backoff import Backoff
from application.loss_counter import LossCounter
from application.proofs import SUBSCRIPTION
from application.readiness import Readiness
from application.store_health import STORE
from application.tally import Tally
from domain.instants import InstantReader
from domain.ordering import Arrival, Newest, Ordering
from domain.stored_record import StoredRecord, read_record
from domain.validation import ValidationRules, Validator
from entrypoints.container.injection import containers, providers
from entrypoints.settings import Settings


def _rules(settings: Settings) -> ValidationRules:
    keys = [settings.dead_letter_stream] if settings.dead_letter_stream else []
    tagged = []
    if settings.transport == "stream":
        keys += [settings.entry_ids_key, *settings.channel]
        tagged = [in_slot(settings.entry_ids_key, 0).partition("{")[0]]
    return ValidationRules(
        max_message_bytes=settings.max_message_bytes,
        allowed_types=settings.allowed_types,
        reserved_types=_types_of(settings, keys),
        reserved_prefixes=_types_of(settings, tagged),
        strict_timestamps=settings.strict_timestamps,
        expire_at_valid=settings.expire_at_valid,
        expiry_grace=timedelta(seconds=settings.expiry_grace),
    )


def _types_of(settings: Settings, keys: Iterable[str]) -> list[str]:
    prefix = settings.key_prefix
    return [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]


def _ordering(settings: Settings) -> Ordering:
    return Arrival() if settings.ordering == "arrival" else Newest(timedelta(seconds=settings.max_clock_skew))


def _record_reader(instants: InstantReader) -> Callable[[bytes, bytes | None], StoredRecord | None]:
    return partial(read_record, instants=instants)


class Foundations(containers.DeclarativeContainer):
    """Nothing here knows of a server."""

    settings = providers.Dependency(instance_of=Settings)
    given = settings.provided

    clock = providers.Singleton(SystemClock)
    tally = providers.Singleton(Tally)
    observer = providers.Singleton(
        LoguruObserver,
        logger=providers.Callable(lambda: logger),  # as an object it would be copied, and not hear of its set-up
        names_records=providers.Callable(lambda settings: settings.log_level == "DEBUG", settings),
    )
    loss_counter = providers.Singleton(LossCounter, observer, tally)
    readiness = providers.Singleton(Readiness, observer, SUBSCRIPTION, STORE)
    backoff = providers.Factory(Backoff, jitter=random.random)

    instants = providers.Singleton(InstantReader, given.timestamp_formats)
    ordering = providers.Singleton(_ordering, settings)
    validator = providers.Singleton(Validator, providers.Callable(_rules, settings), instants)
    record_reader = providers.Callable(_record_reader, instants)
