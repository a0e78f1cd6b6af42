"""Links of the cluster bus: who is not heard, and when something may have been lost."""

from collections.abc import Callable, Sequence

import hiredis
import pytest

from adapters.redis.bus_links import BusLinks, given_up, heard, unheard


def link(direction: bytes, node: bytes, created: int) -> list[bytes | int]:
    return [b"direction", direction, b"node", node, b"create-time", created, b"events", b"r"]


def as_map(words: list[bytes | int]) -> dict[bytes | int, bytes | int]:
    return dict(zip(words[::2], words[1::2], strict=True))


def node(name: bytes, flags: bytes = b"master", state: bytes = b"connected") -> bytes:
    return b"%b 10.0.0.1:6379@16379,host %b - 0 1 2 %b 0-5460\n" % (name, flags, state)


class Looks:
    """What one subscription sees."""

    def __init__(self) -> None:
        self._links = BusLinks()

    def miss(self, links: object, *nodes: bytes) -> bool:
        """Whether something may be missing, by replies to CLUSTER LINKS and CLUSTER NODES as they are now."""
        self._links.look(b"".join(nodes) or REFUSED, links)
        return self._links.missed()


REFUSED = hiredis.ReplyError("NOPERM this user has no permissions")
A, B = node(b"a"), node(b"b")


def from_a(created: int) -> list[object]:
    return [link(b"from", b"a", created)]


@pytest.mark.parametrize("spell", [list, as_map], ids=["RESP2", "RESP3"])
@pytest.mark.parametrize("nodes", [(), (A,)], ids=["links alone are told", "nodes too"])
def test_a_link_into_the_node_that_is_younger_than_it_was_is_noticed_once(spell: type, nodes: Sequence[bytes]) -> None:
    looks = Looks()
    assert not looks.miss([spell(link(b"from", b"a", 1)), spell(link(b"to", b"a", 2))], *nodes)
    assert not looks.miss([spell(link(b"from", b"a", 1)), spell(link(b"to", b"a", 3))], *nodes)
    assert looks.miss([spell(link(b"from", b"a", 4)), spell(link(b"to", b"a", 3))], *nodes)
    assert not looks.miss([spell(link(b"from", b"a", 4))], *nodes)


def test_where_links_alone_are_told_a_node_that_was_away_meanwhile_is_noticed_and_a_new_one_is_not() -> None:
    looks = Looks()
    assert not looks.miss(from_a(1))
    assert not looks.miss([link(b"from", b"b", 2)])
    assert looks.miss([link(b"from", b"a", 3), link(b"from", b"b", 2)])


@pytest.mark.parametrize("nodes", [(), (A,)], ids=["of anything", "of links"])
def test_a_server_that_does_not_tell_says_nothing(nodes: Sequence[bytes]) -> None:
    looks = Looks()
    for seen in (1, 2):
        assert not looks.miss(REFUSED, *nodes)
        assert looks.miss(from_a(seen), A) == (seen == 2)
        assert not looks.miss(REFUSED, *nodes)
        assert not looks.miss(from_a(seen), A)


AWAY = [node(b"a", b"slave,fail?"), node(b"a", state=b"disconnected")]
DEAD = [node(b"a", b"master,fail", b"disconnected"), node(b"a", b"slave,noaddr")]


@pytest.mark.parametrize("told", [True, False], ids=["links are told", "links are not told"])
@pytest.mark.parametrize("began", ["heard", "away"])
@pytest.mark.parametrize("away", AWAY)
class TestAway:
    """A node that nothing was heard from for a while."""

    def looks(self, began: str, away: bytes, *, told: bool) -> Looks:
        looks = Looks()
        if began == "heard":
            assert not looks.miss(from_a(1) if told else REFUSED, A)
        assert not looks.miss([] if told else REFUSED, away)
        return looks

    def test_is_missed_once_when_it_is_back(self, began: str, away: bytes, *, told: bool) -> None:
        looks = self.looks(began, away, told=told)
        assert not looks.miss([] if told else REFUSED, away)
        assert [looks.miss(from_a(2) if told else REFUSED, A) for _ in range(2)] == [True, False]

    def test_is_missed_when_it_is_forgotten(self, began: str, away: bytes, *, told: bool) -> None:
        looks = self.looks(began, away, told=told)
        assert [looks.miss([link(b"from", b"b", 3)] if told else REFUSED, B) for _ in range(2)] == [True, False]

    @pytest.mark.parametrize("dead", DEAD)
    def test_is_missed_when_it_is_given_up_and_when_it_is_back(
        self, *, began: str, away: bytes, told: bool, dead: bytes
    ) -> None:
        looks = self.looks(began, away, told=told)
        assert [looks.miss([] if told else REFUSED, dead) for _ in range(2)] == [True, False]
        assert [looks.miss(from_a(2) if told else REFUSED, A) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("dead", DEAD)
def test_a_node_that_was_given_up_before_the_first_look_is_missed_when_it_is_back(dead: bytes) -> None:
    looks = Looks()
    assert not looks.miss([], dead)
    assert not looks.miss([], AWAY[0])
    assert [looks.miss(from_a(1), A) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("first", [(), (node(b"new", b"handshake", b"disconnected"),)])
def test_a_node_that_joins_is_not_missed_unless_it_stays_away(first: Sequence[bytes]) -> None:
    looks = Looks()
    assert not looks.miss([link(b"from", b"b", 1)], B, *first)
    assert not looks.miss([link(b"from", b"b", 1), *from_a(2)], B, A)

    for looks_away, missed in ((1, False), (2, True)):
        looks = Looks()
        assert not looks.miss([link(b"from", b"b", 1)], B, *first)
        for _ in range(looks_away):
            assert not looks.miss([link(b"from", b"b", 1)], B, A)
        assert looks.miss([link(b"from", b"b", 1), *from_a(2)], B, A) is missed


def test_a_node_that_is_forgotten_was_sent_away_by_the_user_and_may_come_anew() -> None:
    looks = Looks()
    assert not looks.miss([link(b"from", b"b", 1), *from_a(2)], B, A)
    assert not looks.miss([link(b"from", b"b", 1)], B)
    assert not looks.miss([link(b"from", b"b", 1), *from_a(3)], B, A)


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
    found = unheard(text(node(b"a", flags, state)), links)
    assert found == ({b"a": "10.0.0.1:6379"} if cut_off else {})


def test_where_links_are_not_told_the_node_s_own_are_asked() -> None:
    assert unheard(A, REFUSED) == {}
    assert unheard(AWAY[1], REFUSED) == {b"a": "10.0.0.1:6379"}
    assert unheard(REFUSED, []) == {}


def test_whom_a_node_hears_is_told_by_itself() -> None:
    assert heard(node(b"a", b"myself,master")) == {b"a"}
    assert heard(A + node(b"b", b"myself,master")) == {b"a", b"b"}
    for silent in (*AWAY, *DEAD):
        assert heard(silent + node(b"b", b"myself,master")) == {b"b"}
    assert heard(REFUSED) == set()


@pytest.mark.parametrize("dead", DEAD)
@pytest.mark.parametrize("told", [True, False], ids=["links are told", "links are not told"])
def test_a_node_that_is_given_up_between_two_looks_is_missed_and_again_when_it_is_back(
    *, dead: bytes, told: bool
) -> None:
    looks = Looks()
    assert not looks.miss(from_a(1) if told else REFUSED, A)
    assert [looks.miss([] if told else REFUSED, dead) for _ in range(2)] == [True, False]
    assert [looks.miss(from_a(2) if told else REFUSED, A) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("text", [bytes, bytes.decode], ids=["RESP2", "RESP3"])
def test_where_those_are_that_have_been_given_up_or_are_about_to_be(text: Callable[[bytes], object]) -> None:
    nodes = b"".join(
        [
            node(b"us", b"myself,master"),
            node(b"well").replace(b"10.0.0.1", b"10.0.0.2"),
            node(b"fails", b"master,fail?").replace(b"10.0.0.1", b"10.0.0.3"),
            node(b"dead", b"master,fail", b"disconnected").replace(b"10.0.0.1", b"fd00::4"),
            node(b"lost", b"master,noaddr", b"disconnected").replace(b"10.0.0.1:6379@16379", b":0@0"),
        ]
    )
    assert given_up(text(nodes)) == {("10.0.0.3", 6379), ("fd00::4", 6379), ("", 0)}
    assert given_up(REFUSED) == frozenset()
