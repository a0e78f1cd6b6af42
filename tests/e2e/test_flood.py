"""A burst that the server's own limits would cut a slow subscriber off for arrives whole."""

from pathlib import Path

from tests.servers import Server
from tests.service import Publisher, stored, subscribed
from tests.world import message, record

_MESSAGES, _KEYS = 200_000, 1_000
_PATIENT = ("--shutdown-timeout", "25s")  # most of it is committed after the end of the burst
_FILLER = "x" * 120  # to the size of a real message, about 220 bytes


def _updated(number: int) -> str:
    return f"2023-10-01T12:{number // 60_000:02}:{number // 1000 % 60:02}.{number % 1000:03}Z"


def _values(number: int) -> str:
    return f'{{"number":{number},"filler":"{_FILLER}"}}'


def test_a_burst_of_200000_messages_leaves_the_last_one_of_every_key(
    server: Server, redis_url: str, tmp_path: Path
) -> None:
    burst = [message(f"key:{n % _KEYS}", _updated(n), _values(n)) for n in range(_MESSAGES)]
    last = {f"key:{n % _KEYS}": record(_updated(n), _values(n)) for n in range(_MESSAGES - _KEYS, _MESSAGES)}

    with subscribed(redis_url, *_PATIENT, directory=tmp_path) as service, Publisher(server.port) as publisher:
        receivers = publisher.publish(burst)
        totals = service.stops()

        assert receivers.count(1) == _MESSAGES
        assert totals["received"] == _MESSAGES
        assert totals["committed"] + totals["conflated"] == _MESSAGES
        assert {entry["level"] for entry in service.entries} == {"INFO"}
        assert "overcoming of output buffer limits" not in server.log()
        assert stored(server) == last
