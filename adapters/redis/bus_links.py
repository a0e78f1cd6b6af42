"""The links of the cluster bus that bring to one node what is published on the others."""

from typing import Any

# Of a node that the others have given up, or do not know yet: nobody waits for what it publishes.
_GIVEN_UP = frozenset({b"myself", b"fail", b"handshake", b"noaddr"})
# Of one that the node that is asked does not hear.
_UNHEARD = b"fail?"


class BusLinks:
    """Those into one node, as it tells by CLUSTER LINKS (Redis 7 and later) and CLUSTER NODES.

    What was on its way over a link that broke is lost, and so is what is published until there is a new one. Neither
    end says so; but the new link has another time of birth.
    """

    def __init__(self) -> None:
        self._made_at: dict[bytes, int] = {}

    def renewed(self, links: Any) -> bool:
        """Whether one was made anew since the last reply. One that is no list of links says nothing."""
        made_at = _made_at(links)
        before = self._made_at
        # A node that is away for a while is remembered.
        self._made_at = before | made_at
        return any(before.get(node, at) != at for node, at in made_at.items())

    def knew(self, node: bytes) -> bool:
        """Whether there ever was one from there."""
        return node in self._made_at


def unheard(nodes: Any, links: Any = None) -> dict[bytes, str]:
    """The nodes that the one that was asked hears nothing from though they have not been given up, and where they are.

    By CLUSTER NODES, and by CLUSTER LINKS where there is a list of them.
    """
    found = {}
    linked = _made_at(links)
    for name, address, flags, _, _, _, _, state, *_ in _lines(nodes):
        words = set(flags.split(b","))
        has_link = state == b"connected" and (name in linked or not isinstance(links, list))
        if not words & _GIVEN_UP and (_UNHEARD in words or not has_link):
            found[name] = address.partition(b"@")[0].decode(errors="replace")
    return found


def known(nodes: Any) -> set[bytes]:
    """All nodes in a reply to CLUSTER NODES."""
    return {name for name, *_ in _lines(nodes)}


def _lines(nodes: Any) -> list[list[bytes]]:
    if isinstance(nodes, str):  # by RESP3
        nodes = nodes.encode()
    return [line.split() for line in nodes.splitlines()] if isinstance(nodes, bytes) else []


def _made_at(links: Any) -> dict[bytes, int]:
    members = map(_members, links if isinstance(links, list) else ())
    return {link[b"node"]: link[b"create-time"] for link in members if link[b"direction"] == b"from"}


def _members(link: Any) -> dict[bytes, Any]:
    return link if isinstance(link, dict) else dict(zip(link[::2], link[1::2], strict=True))
