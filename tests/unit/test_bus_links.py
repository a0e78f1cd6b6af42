"""Links of the cluster bus that were made anew."""

from collections.abc import Callable

import hiredis
import pytest

from adapters.redis.bus_links import BusLinks, known, unheard


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


A_NODE = b"a 10.0.0.1:6379@16379,host %b - 0 1 2 %b 0-5460\n"


@pytest.mark.parametrize("text", [bytes, bytes.decode], ids=["RESP2", "RESP3"])
@pytest.mark.parametrize(
    ("flags", "state", "linked", "cut_off"),
    [
        (b"master", b"connected", True, False),
        (b"master", b"connected", False, True),
        (b"slave", b"disconnected", True, True),
        (b"master,fail?", b"connected", True, True),
        (b"master,fail", b"disconnected", False, False),
        (b"myself,master", b"connected", False, False),
        (b"handshake", b"disconnected", False, False),
        (b"slave,noaddr", b"disconnected", False, False),
    ],
)
def test_a_node_is_cut_off_that_nothing_comes_from_unless_the_others_have_given_it_up(
    text: Callable[[bytes], bytes | str], flags: bytes, state: bytes, *, linked: bool, cut_off: bool
) -> None:
    links = [link(b"to", b"a", 1), link(b"from", b"a" if linked else b"b", 2)]
    found = unheard(text(A_NODE % (flags, state)), links)
    assert found == ({b"a": "10.0.0.1:6379"} if cut_off else {})


def test_where_links_are_not_told_the_node_s_own_are_asked() -> None:
    refused = hiredis.ReplyError("NOPERM this user has no permissions")
    assert unheard(A_NODE % (b"master", b"connected"), refused) == {}
    assert unheard(A_NODE % (b"master", b"disconnected"), refused) == {b"a": "10.0.0.1:6379"}
    assert unheard(refused, []) == {}


def test_whom_a_node_knows_is_told_by_itself() -> None:
    assert known(A_NODE % (b"myself,master", b"connected")) == {b"a"}
    assert known(hiredis.ReplyError("NOPERM this user has no permissions")) == set()


def test_a_node_is_known_once_there_was_a_link_from_it() -> None:
    links = BusLinks()
    assert not links.renewed([link(b"from", b"a", 1), link(b"to", b"b", 1)])
    assert links.knew(b"a")
    assert not links.knew(b"b")
