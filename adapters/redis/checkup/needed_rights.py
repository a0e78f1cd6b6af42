"""What an account must be allowed for what the service is set to do, as docs/security.md has it."""

from collections.abc import Mapping
from typing import Any

import hiredis

from adapters.redis.checkup.message_rights import of_channels, of_shard_channels, of_streams, split_patterns
from adapters.redis.checkup.record_rights import of_commits, of_reading, useful_for_ids
from adapters.redis.checkup.sites import Site, Work
from adapters.redis.checkup.trials import Names, Need, Trial
from adapters.redis.commands import Argument
from adapters.redis.error_replies import unavailable
from adapters.redis.stream_replies import rows_of


class NeededRights:
    """Of the service at one site."""

    forbids_writes = False
    """Whether the account was found to lack what no record is written without."""

    def __init__(self, site: Site, work: Work) -> None:
        self._site, self._work = site, work
        self._names = Names(site, work)
        self._clustered = site.kind == "cluster"
        streams = work.transport == "stream"
        self._settled = work.channels if streams and work.together and site.messages and site.records else ()

    def needs(self) -> list[Need]:
        """What it cannot do without."""
        needs = self._of_messages() if self._site.messages else []
        if self._site.records:
            work = self._work
            needs += of_reading(self._names) if work.reads else of_commits(self._names, work, self._settled)
        if self._clustered:
            needs.append(Need("+cluster|slots +asking", [_named("CLUSTER", "SLOTS"), _named("ASKING")]))
        return needs

    def useful(self) -> list[Trial]:
        """What it can do without, by the names of the rights. CONFIG GET is none: it is better not given."""
        commands: list[tuple[Argument, ...]] = [("ROLE",)]
        if self._site.messages and self._work.transport != "stream":
            commands += [(verb, self._names.nobody) for verb in self._ends()]
            commands += [("CLIENT", "ID"), ("CLIENT", "LIST", "ID", 0)]
        if self._site.messages and self._work.transport == "pubsub" and self._clustered:
            commands += [("CLUSTER", "LINKS"), ("CLUSTER", "NODES")]
        if self._site.records and self._work.transport == "stream" and self._work.expires:
            commands += useful_for_ids(self._names)
        return [_named(*command) for command in commands]

    def waived(self, replies: Mapping[Trial, Any]) -> set[str]:
        """The names of what is not needed as things are: to make a group that is there, or that another node has."""
        asked = [(trial, reply) for trial, reply in replies.items() if trial.command[:2] == ("XINFO", "GROUPS")]
        return {trial.name.replace("XINFO GROUPS", "XGROUP CREATE") for trial, reply in asked if self._has_group(reply)}

    def _of_messages(self) -> list[Need]:
        work, names = self._work, self._names
        if work.transport == "stream":
            return of_streams(names, work.channels, settles=not self._settled)
        of = of_channels if work.transport == "pubsub" else of_shard_channels
        return of(names, work.channels, probes=work.probes)

    def _has_group(self, groups: Any) -> bool:
        if isinstance(groups, hiredis.ReplyError):
            return unavailable(groups).kind in ("moved", "ask")
        return any(row[b"name"] == self._work.group.encode() for row in rows_of(groups))

    def _ends(self) -> list[str]:
        if self._work.transport == "sharded_pubsub":
            return ["SUNSUBSCRIBE"]
        named, patterns = split_patterns(self._work.channels)
        used = {"UNSUBSCRIBE": named or self._work.probes, "PUNSUBSCRIBE": patterns}
        return [verb for verb, channels in used.items() if channels]


def _named(*command: Argument) -> Trial:
    """By the right: the first word, and of a command with subcommands the second."""
    words = command[: 2 if command[0] in ("CLIENT", "CLUSTER") else 1]
    return Trial(" ".join(map(str, words)), command)
