"""A key that somebody uses for something else is left alone, and whoever sends to it is told."""

from pathlib import Path

from tests.servers import Server
from tests.service import Publisher, stored, subscribed, until
from tests.world import message, record

MAKE = {
    "list": ("RPUSH", "list", "a", "b"),
    "hash": ("HSET", "hash", "field", "value"),
    "stream": ("XADD", "stream", "1-1", "field", "value"),
    "set": ("SADD", "set", "a", "b"),
    "zset": ("ZADD", "zset", "1", "a"),
}
READ = {
    "list": ("LRANGE", "list", "0", "-1"),
    "hash": ("HGETALL", "hash"),
    "stream": ("XRANGE", "stream", "-", "+"),
    "set": ("SMEMBERS", "set"),
    "zset": ("ZRANGE", "zset", "0", "-1", "WITHSCORES"),
}
ROUNDS = 20


def contents(server: Server) -> dict[str, object]:
    return {kind: sorted(map(str, server.command(*words))) for kind, words in READ.items()}


def test_keys_of_other_types_are_not_overwritten_and_their_messages_become_dead_letters(
    server: Server, redis_url: str, tmp_path: Path
) -> None:
    for words in MAKE.values():
        server.command(*words)
    before = contents(server)

    flags = ("--dead-letter-stream", "letters")
    with subscribed(redis_url, *flags, directory=tmp_path) as service, Publisher(server.port) as publisher:
        for number in range(1, ROUNDS + 1):
            publisher.publish(message(type_, values=f"[{number}]") for type_ in (*MAKE, "good"))
            # Each round is committed by itself: the good key comes last.
            until(lambda number=number: server.command("GET", "good") == record(values=f"[{number}]"))
        totals = service.stops()

        told = [entry for entry in service.entries if entry["message"].startswith("Message unstorable")]
        assert {entry["level"] for entry in told} == {"ERROR"}
        assert sum(entry.get("count", 1) for entry in told) == ROUNDS * len(MAKE)
        assert len(told) < 20

    assert totals["received"] == ROUNDS * (len(MAKE) + 1)
    assert (totals["unstorable"], totals["committed"]) == (ROUNDS * len(MAKE), ROUNDS)
    assert contents(server) == before
    assert stored(server) == {**dict.fromkeys(MAKE), "letters": None, "good": record(values=f"[{ROUNDS}]")}
    assert server.command("XLEN", "letters") == ROUNDS * len(MAKE)
    fields = server.command("XRANGE", "letters", "-", "+", "COUNT", 1)[0][1]
    letter = dict(zip(fields[::2], fields[1::2], strict=True))
    assert letter[b"reason"] == b"other_redis_type"
    assert letter[b"payload"] == message("list", values="[1]")


def test_a_key_that_becomes_a_string_again_is_stored_again(server: Server, redis_url: str, tmp_path: Path) -> None:
    with subscribed(redis_url, directory=tmp_path) as service, Publisher(server.port) as publisher:
        publisher.publish([message("key", values="[1]")])
        until(lambda: stored(server) == {"key": record(values="[1]")})
        server.command("DEL", "key")
        server.command("RPUSH", "key", "a")
        publisher.publish([message("key", values="[2]")])
        service.says("other_redis_type")
        server.command("DEL", "key")
        publisher.publish([message("key", values="[3]")])
        totals = service.stops()

    assert (totals["committed"], totals["unstorable"]) == (2, 1)
    assert stored(server) == {"key": record(values="[3]")}
