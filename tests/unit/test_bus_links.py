"""Links of the cluster bus that were made anew."""

import hiredis
import pytest

from adapters.redis.bus_links import BusLinks


def link(direction: bytes, node: bytes, created: int) -> list[bytes | int]:
    return [b"direction", direction, b"node", node, b"create-time", created, b"events", b"r"]


def as_map(words: list[bytes | int]) -> dict[bytes | int, bytes | int]:
    return dict(zip(words[::2], words[1::2], strict=True))


@pytest.mark.parametrize("spell", [list, as_map], ids=["RESP2", "RESP3"])
def test_a_link_into_the_node_that_is_younger_than_it_was_is_noticed_once(spell: type) -> None:
    links = BusLinks()
    assert not links.renewed([spell(link(b"from", b"a", 1)), spell(link(b"to", b"a", 2))])
    assert not links.renewed([spell(link(b"from", b"a", 1)), spell(link(b"to", b"a", 3))])
    assert links.renewed([spell(link(b"from", b"a", 4)), spell(link(b"to", b"a", 3))])
    assert not links.renewed([spell(link(b"from", b"a", 4))])


def test_a_node_that_was_away_meanwhile_is_noticed_and_a_new_one_is_not() -> None:
    links = BusLinks()
    assert not links.renewed([link(b"from", b"a", 1)])
    assert not links.renewed([link(b"from", b"b", 2)])
    assert links.renewed([link(b"from", b"a", 3), link(b"from", b"b", 2)])


def test_a_server_that_does_not_tell_says_nothing() -> None:
    links = BusLinks()
    assert not links.renewed([link(b"from", b"a", 1)])
    assert not links.renewed(hiredis.ReplyError("NOPERM this user has no permissions"))
    assert links.renewed([link(b"from", b"a", 2)])
