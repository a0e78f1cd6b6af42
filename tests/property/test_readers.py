"""Whatever changes and whoever reads when: no reader misses the newest record of a type, or gets a change twice."""

from hypothesis import given
from hypothesis import strategies as st

from application.feed import ALL, Feed, Reader, Wants
from tests.property.effort import times

TYPES = st.sampled_from(["a", "b", "c"])
# The filler makes some records longer than a share.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), TYPES, st.sampled_from([1, 40_000])),
        st.tuples(st.just("drop"), TYPES),
        st.tuples(st.just("show")),
        st.tuples(st.just("take"), st.integers(0, 2)),
        st.tuples(st.just("come back"), st.integers(0, 2)),
    ),
    max_size=40,
)

ONLY_A = Wants("a", lambda type_: type_ == "a")


class Follower:
    def __init__(self, feed: Feed, wants: Wants) -> None:
        self._feed = feed
        self.wants = wants
        self.reader = Reader(feed, 0, wants)
        self.numbers: list[int] = []
        self.newest: dict[bytes, int] = {}

    def come_back(self) -> None:
        self.reader = Reader(self._feed, self.reader.after, self.wants)

    def take(self) -> None:
        for line in filter(bytes.strip, self.reader.take().splitlines()):
            number, type_ = line.split()
            self.numbers.append(int(number))
            self.newest[type_] = int(number)


@times(5)
@given(STEPS)
def test_every_reader_ends_with_the_newest_of_each_type(steps: list[tuple[object, ...]]) -> None:
    feed = Feed(lambda number, type_, record: b"%d %s\n" % (number, type_.encode()) + b" " * len(record) + b"\n")
    followers = [Follower(feed, wants) for wants in (ALL, ALL, ONLY_A)]
    for serial, (step, *given_) in enumerate(steps):
        match step, *given_:
            case "put", type_, length:
                feed.put(type_, b"%d" % serial + b"x" * length)
            case "drop", type_:
                feed.drop(type_)
            case ("show",):
                feed.show()
            case "take", who:
                followers[who].take()
            case "come back", who:
                followers[who].come_back()
    feed.show()
    for follower in followers:
        while follower.reader.after < feed.shown:
            follower.take()
        assert follower.numbers == sorted(set(follower.numbers))
        matches = follower.wants.matches
        wanted = [type_ for type_ in feed.types() if matches is None or matches(type_)]
        assert matches is None or follower.newest.keys() <= {b"a"}
        changes = (change for type_ in wanted if (change := feed.change(type_)))
        assert {change.type.encode(): change.number for change in changes}.items() <= follower.newest.items()
