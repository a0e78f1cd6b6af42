"""The links of the cluster bus that bring to one node what is published on the others."""

from enum import Enum, auto
from typing import Any

_NO_OTHER = frozenset({b"myself", b"handshake"})
# Of a node that the others have given up: nobody waits for what it publishes.
_GIVEN_UP = frozenset({b"fail", b"noaddr"})
# Of one that the node that is asked does not hear.
_UNHEARD = b"fail?"


class _NoLink(Enum):
    JOINING = auto()
    UNHEARD = auto()
    GIVEN_UP = auto()


_Link = int | _NoLink
"""That from a node, by its time of birth; 0: nobody tells it."""


class BusLinks:
    """Those into one node, as it tells by CLUSTER LINKS (Redis 7 and later) and CLUSTER NODES.

    What was on its way over a link that broke is lost, and so is what is published until there is a new one. Neither
    end says so; but the new link has another time of birth.
    """

    def __init__(self) -> None:
        self._links: dict[bytes, _Link] = {}
        self._missed = False

    def look(self, nodes: Any, links: Any) -> dict[bytes, str]:
        """Take note of what has changed since the last look; the nodes that are `unheard`.

        A reply that is an error says nothing.
        """
        away, made_at = unheard(nodes, links), _made_at(links)
        before = self._links
        now: dict[bytes, _Link] = {} if _lines(nodes) else {**before, **made_at}
        for name, _, flags in _others(nodes):
            if flags & _GIVEN_UP:
                now[name] = _NoLink.GIVEN_UP
            elif name in away and before and name not in before:
                now[name] = _NoLink.JOINING
            elif name in away:
                now[name] = _NoLink.UNHEARD
            else:
                known = before.get(name)
                now[name] = made_at.get(name, known if isinstance(known, int) else 0)
        self._missed |= any(_loses(link, now.get(name)) for name, link in before.items())
        self._links = now
        # One that was not there has just joined, and nobody is used to publish there; unless it is away at the next
        # look too. At the first look there is no such node: one that is away may have been there for years.
        return {name: where for name, where in away.items() if now.get(name) is not _NoLink.JOINING}

    def missed(self) -> bool:
        """Whether something may not have come that never will; only once of each time."""
        missed, self._missed = self._missed, False
        return missed


def unheard(nodes: Any, links: Any = None) -> dict[bytes, str]:
    """The nodes that the one that was asked hears nothing from though they have not been given up, and where they are.

    By CLUSTER NODES, and by CLUSTER LINKS where there is a list of them.
    """
    linked = _made_at(links)
    return {
        name: line[1].partition(b"@")[0].decode(errors="replace")
        for name, line, flags in _others(nodes)
        if not flags & _GIVEN_UP
        and (_UNHEARD in flags or line[7] != b"connected" or (name not in linked and isinstance(links, list)))
    }


def given_up(nodes: Any) -> frozenset[tuple[str, int]]:
    """Where the nodes are that have been given up, or are about to be: host and port."""
    found = [line[1].partition(b"@")[0] for _, line, flags in _others(nodes) if flags & {*_GIVEN_UP, _UNHEARD}]
    places = (place.decode(errors="replace").rpartition(":") for place in found)
    return frozenset((host, int(port)) for host, _, port in places if port.isdecimal())


def heard(nodes: Any) -> set[bytes]:
    """The nodes in a reply to CLUSTER NODES that the one that was asked hears, and itself."""
    away = unheard(nodes).keys() | {name for name, _, flags in _others(nodes) if flags & _GIVEN_UP}
    return {name for name, *_ in _lines(nodes)} - away


def _loses(was: _Link, now: _Link | None) -> bool:
    """Whether something may have been lost on the way to the new state of a link; None: its node was forgotten."""
    if was is _NoLink.JOINING:
        return False
    if was is _NoLink.UNHEARD:
        return now is not was
    if not isinstance(now, int):
        # One that is away is told of when it is back, and one that was forgotten was sent away by the user. But who
        # is given up may never be back, and has not handed on all that it had taken.
        return now is _NoLink.GIVEN_UP and now is not was
    return not isinstance(was, int) or (was != now and bool(was) and bool(now))


def _others(nodes: Any) -> list[tuple[bytes, list[bytes], frozenset[bytes]]]:
    """Name, line and flags of each node that could be heard."""
    found = ((line[0], line, frozenset(line[2].split(b","))) for line in _lines(nodes))
    return [node for node in found if not node[2] & _NO_OTHER]


def _lines(nodes: Any) -> list[list[bytes]]:
    if isinstance(nodes, str):  # by RESP3
        nodes = nodes.encode()
    return [line.split() for line in nodes.splitlines()] if isinstance(nodes, bytes) else []


def _made_at(links: Any) -> dict[bytes, int]:
    members = map(_members, links if isinstance(links, list) else ())
    return {link[b"node"]: link[b"create-time"] for link in members if link[b"direction"] == b"from"}


def _members(link: Any) -> dict[bytes, Any]:
    return link if isinstance(link, dict) else dict(zip(link[::2], link[1::2], strict=True))
