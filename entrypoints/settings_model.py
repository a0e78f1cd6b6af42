"""The table of settings: every key with its type, its default and one sentence of help."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from domain.globs import matcher
from entrypoints.redis_urls import RedisUrl, StoreUrl
from entrypoints.settings_sources import PREFIX, SettingsError
from entrypoints.settings_values import (
    Bytes,
    Count,
    Seconds,
    Text,
    Texts,
    TimeFormats,
    UpperCase,
)

# Each is a series of its own.
_MOST_WATCHED = 1000


class Settings(BaseSettings):
    """Checked settings; durations are float seconds, sizes int bytes, URLs secrets.

    Made of its arguments alone (`load_settings` reads the sources); raises pydantic's ValidationError.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    redis_url: RedisUrl = SecretStr("redis://localhost:6379/0")
    """Redis that messages come from: redis://, rediss:// (TLS), unix://, redis+sentinel://, redis+cluster://
    (rediss+ with TLS), embedded:// (starts a server) or memory:// (a dry run)."""
    store_url: StoreUrl | None = None
    """Redis that keeps the records and the dead letters, if it is another one."""
    transport: Literal["pubsub", "sharded_pubsub", "stream"] = "pubsub"
    """How messages arrive: pubsub, sharded_pubsub or stream."""
    channel: Annotated[Texts, Field(min_length=1)] = ("update",)
    """Channels or streams to read, with commas between; of pubsub one with *, ? or [ is a pattern."""
    consumer_group: Text = "kv-updater"
    """Consumer group in which streams are read; all updaters of the same records are in one."""
    consumer_name: Text | None = None
    """How its names in the consumer group begin: no other process may use it. Without it one is made of the host's
    name."""
    claim_after: Annotated[Seconds, Field(ge=0.1)] = 30.0
    """How long another consumer is silent until it is dead, and its unsettled entries are claimed; this is looked at
    from time to time, so it takes between once and about twice as long."""
    entry_ids_key: Text = "kv-updater:entry-ids"
    """Hash that keeps for each record the id of its stream entry, which decides ties; on a cluster one for each
    slot."""
    # An alias, as BaseModel has a method of this name.
    validate_commits: bool = Field(default=False, alias="validate")
    """Read every record back after its commit and compare; what is neither it nor newer is an ERROR."""
    ordering: Literal["newest", "arrival"] = "newest"
    """Which of two records stays: newest (by its time; of the same time, the last to come) or arrival (always the last
    to come)."""
    key_prefix: str = ""
    """Text put before the type of a message to make its key. Set it, or allowed_types, if the database is shared: any
    string under such a key is overwritten."""
    allowed_types: Texts = ()
    """Globs of the types that are accepted, with commas between; none means all. The others are rejected as
    forbidden_type."""
    persisted_channel: Text | None = None
    """Channel on which each committed record is published as an update message, in one step with its write."""
    dead_letter_stream: Text | None = None
    """Stream that keeps the messages that are rejected or cannot be stored, with the reason; without it none are
    kept."""
    dead_letter_maxlen: Count = 10_000
    """Number of entries the dead letter stream keeps, roughly, and of those that may wait to be written to it."""
    expire_at_valid: bool = False
    """Let a key expire at its record's valid, if that can be read. A message whose time has passed already is counted,
    and not stored."""
    expiry_grace: Seconds = 0.0
    """How long a key outlives its record's validity; only with expire_at_valid."""
    strict_timestamps: bool = False
    """Reject messages whose updated or valid is missing or not RFC 3339."""
    timestamp_formats: TimeFormats = ()
    """Further formats of timestamps, as strptime reads them: one, or a JSON list, for commas belong to the format."""
    max_clock_skew: Seconds = 300.0
    """How far a stored record may be dated ahead of the clock and still win."""
    max_message_bytes: Annotated[Bytes, Field(le=512 << 20)] = 1 << 20
    """The longest message that is accepted."""
    max_backlog_bytes: Annotated[Bytes, Field(ge=64 << 10)] = 256 << 20
    """How much is received and not yet parsed, at most; then nothing is read until half of it is parsed."""
    max_pending_keys: Count = 1_000_000
    """Number of keys accepted and not yet committed, at most; a message of one more is unstorable."""
    max_pending_bytes: Annotated[Bytes, Field(ge=64 << 10)] = 512 << 20
    """How many bytes of messages are accepted and not yet committed, at most; a message beyond that is unstorable. In
    memory each costs about 600 bytes more."""
    max_batch: Annotated[Count, Field(le=3000)] = 1000
    """Number of keys in one commit, at most; after one without an answer in time the next ones are smaller."""
    busy_poll: Annotated[Seconds, Field(le=0.01)] = 0.0
    """How long `run` looks for the next message, with a busy core, before it sleeps: one that comes in that time is
    stored sooner."""
    probe_interval: Seconds = 5.0
    """How often to prove that messages come through and the store takes writes; 0: of messages never, for an account
    that may not publish."""
    probe_timeout: Annotated[Seconds, Field(gt=0)] = 4.0
    """How long a silence after a probe must last to end the subscription."""
    shutdown_timeout: Annotated[Seconds, Field(gt=0)] = 10.0
    """How long to commit what is pending before the process ends; what is left then is told, and the exit code is 1."""
    http_host: Text = "127.0.0.1"
    """Address on which `serve` listens, and `run` with an `http_port`."""
    http_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Port on which `serve` listens, 8000 without it, and `run` for probes and metrics, if it is given; 0: a free
    one."""
    http_token: SecretStr | None = None
    """Token that whoever reads records over HTTP must show; probes and metrics stay open."""
    http_origins: Texts = ()
    """Origins, such as https://example.com, whose pages may read records over HTTP; with commas between."""
    tracing: bool = False
    """Continue the traces of messages that carry a traceparent, by OpenTelemetry; its variables OTEL_* say where to."""
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], UpperCase] = "INFO"
    """Lowest level that is logged: DEBUG, INFO, WARNING or ERROR."""
    log_format: Literal["text", "json"] = "text"
    """Form of the log: text or json."""

    def publishing_channel(self) -> str:
        """The first channel that is no pattern: the one to publish on. Raises SettingsError."""
        for entry in self.channel:
            if not set("*?[") & set(entry):
                return entry
        raise SettingsError("channel: to publish takes one that is not a pattern")

    @property
    def watches_validity(self) -> bool:
        """Whether until when records are valid is shown: only where their types are few and named, and metrics are."""
        types = self.allowed_types
        named = 0 < len(types) <= _MOST_WATCHED and not any(set("*?[") & set(each) for each in types)
        return named and self.http_port is not None

    @field_validator("store_url")
    @classmethod
    def _both_in_memory_or_none(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        redis_url = info.data.get("redis_url")
        if url and redis_url and _in_memory(url) != _in_memory(redis_url):
            raise ValueError("must be memory:// if redis_url is, and only then")
        return url

    @field_validator("channel")
    @classmethod
    def _no_patterns_but_of_pubsub(cls, channel: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        transport = info.data.get("transport")
        if transport in ("sharded_pubsub", "stream") and any(set("*?[") & set(entry) for entry in channel):
            raise ValueError(f"must not be a pattern where transport is {transport}")
        return channel

    @field_validator("http_token")
    @classmethod
    def _token(cls, token: SecretStr | None) -> SecretStr | None:
        # What a client can send as RFC 6750 has it.
        if token is not None and not re.fullmatch(r"[!-~]+", token.get_secret_value()):
            raise ValueError("printable ASCII characters without spaces, at least one")
        return token

    @field_validator("http_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch(r"https?://[^/\s*@]+", origin) for origin in origins):
            raise ValueError("must be origins such as https://example.com, with nothing behind")
        return origins

    @field_validator("transport")
    @classmethod
    def _pubsub_in_memory(cls, transport: str, info: ValidationInfo) -> str:
        redis_url = info.data.get("redis_url")
        if redis_url and _in_memory(redis_url) and transport != "pubsub":
            raise ValueError("must be pubsub where redis_url is memory://")
        return transport

    @field_validator("timestamp_formats")
    @classmethod
    def _none_where_strict(cls, formats: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if formats and info.data.get("strict_timestamps"):
            raise ValueError("must be empty where strict_timestamps is on, which takes RFC 3339 alone")
        return formats

    @field_validator("persisted_channel")
    @classmethod
    def _no_loop(cls, name: str | None, info: ValidationInfo) -> str | None:
        is_read = matcher(info.data.get("channel", ()))
        if name and is_read and is_read(name):
            raise ValueError("must not be read by channel, for that is a loop")
        return name

    @classmethod
    def settings_customise_sources(cls, *_: Any, **sources: Any) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments only: the others' merge tells neither a value's origin nor of unknown variables."""
        return (sources["init_settings"],)


def _in_memory(url: SecretStr) -> bool:
    return url.get_secret_value() == "memory://"
