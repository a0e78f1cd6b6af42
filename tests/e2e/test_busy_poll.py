"""`busy_poll`: between messages that come soon one after the other, the service does not sleep; else it does."""

from pathlib import Path

import pytest

from tests.kinds import TWO_UNLESS_LONG, shared_server
from tests.servers import Server
from tests.service import Publisher, Service, stored, subscribed, until
from tests.world import message, record

server = shared_server(TWO_UNLESS_LONG)

_MESSAGES = 100


def _sleeps(service: Service) -> int:
    """How often its main thread has slept."""
    status = Path(f"/proc/{service.process.pid}/status").read_text("ascii")
    return int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])


def _sleeps_over_messages(service: Service, server: Server) -> int:
    with Publisher(server.port) as publisher:
        before = _sleeps(service)
        for number in range(_MESSAGES):
            publisher.publish([message("lone", values=f"[{number}]")])
            until(lambda number=number: server.command("GET", "lone") == record(values=f"[{number}]"))
        return _sleeps(service) - before


@pytest.mark.parametrize("window", ["0s", "1s"])
def test_a_service_that_looks_for_the_next_message_does_not_sleep_before_it_comes(
    server: Server, redis_url: str, tmp_path: Path, window: str
) -> None:
    with subscribed(redis_url, "--busy-poll", window, directory=tmp_path) as service:
        sleeps = _sleeps_over_messages(service, server)
        assert sleeps > _MESSAGES / 2 if window == "0s" else sleeps < _MESSAGES / 4
        totals = service.stops()
    assert totals["received"] == _MESSAGES
    assert stored(server) == {"lone": record(values=f"[{_MESSAGES - 1}]")}
