"""The messages that scenarios are made of: their sizes, their channels, and the order of their keys."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.benchmarks.scenarios.keys import build_turns, order
from tests.benchmarks.scenarios.sizes import messages_of
from tests.benchmarks.session import FULL
from tests.benchmarks.workload import build, message


@pytest.mark.parametrize("size", [100, 101, 119, 1_000, 100_000])
@pytest.mark.parametrize("number", [0, 99_999])
def test_values_have_the_size_that_is_asked_for(number: int, size: int) -> None:
    sent = message(number, 7, size)
    assert len(sent.values) == size
    assert json.loads(sent.payload)["values"]["seq"] == number


def test_sizes_differ_in_bytes_and_never_in_much_more() -> None:
    assert [messages_of(FULL, size, slow=False) for size in (100, 1_000, 100_000)] == [100_000, 20_000, 200]
    assert [messages_of(FULL, size, slow=True) for size in (100, 1_000, 100_000)] == [10_000, 10_000, 200]


def test_all_messages_of_a_key_go_to_one_channel(tmp_path: Path) -> None:
    path = tmp_path / "commands"
    build(path, 500, 40, channels=16)
    channels: dict[bytes, set[bytes]] = {}
    for command in path.read_bytes().split(b"*3\r\n")[1:]:
        words = command.split(b"\r\n")
        channels.setdefault(words[5][:30], set()).add(words[3])
    assert all(len(used) == 1 for used in channels.values())
    assert set.union(*channels.values()) == {b"update-%d" % number for number in range(16)}


def test_messages_of_a_key_are_as_far_apart_as_there_are_keys() -> None:
    turns = list(order(10, 25))
    assert turns[:10] == turns[10:20]
    assert Counter(turns[:10]) == dict.fromkeys(range(10), 1)


def test_where_there_are_more_keys_than_messages_none_is_used_twice() -> None:
    assert len(set(order(1_000, 100))) == 100


def test_windows_go_on_one_from_another_and_a_key_that_had_no_turn_keeps_what_it_was_filled_with(
    tmp_path: Path,
) -> None:
    turns = build_turns(tmp_path / "commands", keys=30, messages=5, first=100)
    used = list(order(30, 20))
    assert [turns.last[key] for key in used] == list(range(100, 120))
    assert all(turns.last[key] == key for key in range(30) if key not in used)
    sent = [path.read_bytes().count(b"PUBLISH") for path in turns.commands]
    assert sent == [5, 5, 5, 5]
    assert message(105, used[5]).payload in turns.commands[1].read_bytes()
