"""The service reaches its server by every way there is, as a user with no more rights than it needs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.accounts import account, appended
from tests.certificates import listen_with_tls, make_certificates, need
from tests.kinds import ALL
from tests.sentinels import SERVICE, PlayedSentinel
from tests.servers import Server
from tests.service import stored, subscribed
from tests.world import message, record

SECRET = "p@ss:w/rd?1"
SECRET_IN_URL = "p%40ss%3Aw%2Frd%3F1"
LOGIN = f"kv-updater:{SECRET_IN_URL}@"
UPDATER = account("updater").having(*appended("The updater", "`validate`"))
WAYS = ("TCP", "Unix socket", "TLS", "sentinel", "sentinel over TLS")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make_certificates(folder)
    return folder


@pytest.fixture(scope="module")
def places(certificates: Path) -> Iterator[tuple[Server, dict[str, str]]]:
    """A server with an account for the updater, and the URL of it for each way."""
    need("redis" in ALL, "redis-server")  # the other kinds come without TLS
    files = "&".join(
        f"{option}={certificates / name}"
        for option, name in (("ssl_ca_certs", "ca.crt"), ("ssl_certfile", "client.crt"), ("ssl_keyfile", "client.key"))
    )
    with (
        Server("redis", unix_socket=certificates / "socket") as server,
        PlayedSentinel("redis") as sentinel,
        PlayedSentinel("redis", password=SECRET) as tls_sentinel,
    ):
        UPDATER.set_on(server, password=SECRET)
        tls_port = listen_with_tls(server, certificates, clients="yes")
        sentinel.names(server.port)
        tls_sentinel.names(tls_port)
        sentinel_port = listen_with_tls(tls_sentinel, certificates, clients="yes")
        yield (
            server,
            {
                "TCP": f"redis://{LOGIN}127.0.0.1:{server.port}?",
                "Unix socket": f"unix://{LOGIN}{server.unix_socket}?",
                "TLS": f"rediss://{LOGIN}127.0.0.1:{tls_port}?{files}&",
                "sentinel": f"redis+sentinel://{LOGIN}127.0.0.1:1,127.0.0.1:{sentinel.port}/{SERVICE}?",
                "sentinel over TLS": (
                    f"rediss+sentinel://{LOGIN}127.0.0.1:{sentinel_port}/{SERVICE}/0"
                    f"?sentinel_password={SECRET_IN_URL}&{files}&"
                ),
            },
        )


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_published_is_stored(
    places: tuple[Server, dict[str, str]], tmp_path: Path, way: str, protocol: int
) -> None:
    server, urls = places
    url = f"{urls[way]}protocol={protocol}"
    server.command("FLUSHALL")
    with subscribed(url, "--key-prefix", "kv:", "--validate", directory=tmp_path) as service:
        [client] = server.command("CLIENT", "LIST", "TYPE", "pubsub").splitlines()
        assert {b"user=kv-updater", b"resp=%d" % protocol} <= set(client.split())
        assert server.command("PUBLISH", "update", message("one")) == 1
        service.says("Records validated")
        totals = service.stops()

        assert {entry["level"] for entry in service.entries} == {"INFO"}
        assert SECRET.encode() not in service.raw_log
        assert SECRET_IN_URL.encode() not in service.raw_log
    assert totals["received"] == totals["committed"] == 1
    assert stored(server) == {"kv:one": record()}
