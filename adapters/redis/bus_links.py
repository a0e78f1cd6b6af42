"""The links of the cluster bus that bring to one node what is published on the others."""

from typing import Any


class BusLinks:
    """Those into one node, as it tells by CLUSTER LINKS (Redis 7 and later).

    What was on its way over a link that broke is lost, and so is what is published until there is a new one. Neither
    end says so; but the new link has another time of birth.
    """

    def __init__(self) -> None:
        self._made_at: dict[bytes, int] = {}

    def renewed(self, reply: Any) -> bool:
        """Whether one was made anew since the last reply. One that is no list of links says nothing."""
        if not isinstance(reply, list):
            return False
        links = map(_members, reply)
        made_at = {link[b"node"]: link[b"create-time"] for link in links if link[b"direction"] == b"from"}
        before = self._made_at
        # A node that is away for a while is remembered.
        self._made_at = before | made_at
        return any(before.get(node, at) != at for node, at in made_at.items())


def _members(link: Any) -> dict[bytes, Any]:
    return link if isinstance(link, dict) else dict(zip(link[::2], link[1::2], strict=True))
