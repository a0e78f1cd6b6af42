"""What is looked at: where the settings lead, and what the service is to do there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from adapters.redis.connecting import Connector

UNNAMED = "the account"
"""A user without a password, which may be a password that lacks the colon before it: so it is not shown."""


@dataclass(frozen=True)
class Way:
    """To one server. Where `port` is 0, `host` is the path of a Unix socket."""

    host: str
    port: int
    user: str
    tls: bool
    connector: Connector


@dataclass(frozen=True)
class Site:
    """What one URL leads to, by the servers that it names: the one, sentinels of a `service`, or nodes of a cluster.

    `setting` is that of the URL; `name` tells the site from the other, if there is another.
    """

    kind: Literal["server", "sentinel", "cluster"]
    name: str
    setting: str
    messages: bool
    records: bool
    named: Sequence[Way]
    service: str
    way_to: Callable[[str, int], Way]


@dataclass(frozen=True)
class Work:
    """What the service is set to do. `reads`: it serves records, and writes none. `together`: a commit acknowledges
    stream entries, for one server has both."""

    reads: bool
    transport: Literal["pubsub", "sharded_pubsub", "stream"]
    channels: Sequence[str]
    group: str
    entry_ids_key: str
    probes: bool
    key_prefix: str
    reads_back: bool
    persisted_channel: str | None
    dead_letter_stream: str | None
    expires: bool
    together: bool
