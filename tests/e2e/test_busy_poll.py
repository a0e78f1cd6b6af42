"""`busy_poll`: between messages that come soon one after the other, the service does not sleep."""

import sys
import time
from pathlib import Path

import pytest

from tests.kinds import TWO_UNLESS_LONG, shared_server
from tests.servers import Server
from tests.service import Publisher, Service, stored, subscribed
from tests.world import message, record

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="how often a process sleeps is read from /proc")

server = shared_server(TWO_UNLESS_LONG)

_MESSAGES = 500
_GAP = 0.001  # seconds between two


def _sleeps(service: Service) -> int:
    """How often its main thread has slept."""
    status = Path(f"/proc/{service.process.pid}/status").read_text("ascii")
    return int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])


def _sleeps_over_messages(window: str, server: Server, url: str, directory: Path) -> int:
    with subscribed(url, "--busy-poll", window, directory=directory) as service:
        before = _sleeps(service)
        with Publisher(server.port) as publisher:
            for number in range(_MESSAGES):
                publisher.publish([message("lone", values=f"[{number}]")])
                time.sleep(_GAP)
        sleeps = _sleeps(service) - before
        assert service.stops()["received"] == _MESSAGES
        assert stored(server) == {"lone": record(values=f"[{_MESSAGES - 1}]")}
        return sleeps


def test_a_service_that_looks_for_the_next_message_seldom_sleeps_before_it_comes(
    server: Server, redis_url: str, tmp_path: Path
) -> None:
    usual, looking = (_sleeps_over_messages(window, server, redis_url, tmp_path) for window in ("0s", "10ms"))
    assert looking < usual / 4, (looking, usual)
