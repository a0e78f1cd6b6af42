"""How a right is tried to no effect: the names are new ones, the group is none, or the arguments are wrong."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex

from adapters.redis.checkup.sites import Site, Work
from adapters.redis.commands import Argument
from adapters.redis.commit_script import CHECK_KEY
from adapters.redis.pubsub_probe import PREFIX

_GLOB = re.compile(r"[*?\[\]\\]")


@dataclass(frozen=True)
class Trial:
    """A command; `name` says for a person what is tried. `asks`: its reply is 1 where the account may, 0 if not."""

    name: str
    command: tuple[Argument, ...]
    asks: bool = False


@dataclass(frozen=True)
class Need:
    """`rule` is what allows all of the trials, as docs/security.md has it: so it is appended to an account.

    `writes`: without it no record is written.
    """

    rule: str
    trials: Sequence[Trial]
    writes: bool = False


class Names:
    """Those of the service at a site, and some that nobody else has: under `nobody` there is nothing, anywhere."""

    probes = f"{PREFIX.decode()}*"

    def __init__(self, site: Site, work: Work) -> None:
        clustered = site.kind == "cluster"
        self.nobody = token_hex(8)
        self.group = f"{CHECK_KEY}:{self.nobody}"
        self.key = f"{work.key_prefix}{CHECK_KEY}:{self.nobody}"
        self.probe = f"{PREFIX.decode()}{self.nobody}"
        self.records = f"{escaped(work.key_prefix)}*"
        # On a cluster there is one for each slot.
        self.entry_ids = f"{work.entry_ids_key}:{{0}}" if clustered else work.entry_ids_key
        self.all_entry_ids = f"{escaped(work.entry_ids_key)}{':*' if clustered else ''}"


def trial(verb: str, *arguments: Argument, on: str) -> Trial:
    return Trial(f"{verb} {on}", (*verb.split(" "), *arguments))


def escaped(name: str) -> str:
    """As a pattern that matches nothing else."""
    return _GLOB.sub(r"\\\g<0>", name)
