"""What a URL of a Redis says that names several addresses: those of sentinels, or of nodes of a cluster."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from entrypoints.redis_urls import CLUSTER_SCHEMES, SENTINEL_SCHEMES, addresses_of, split_url

_PORT, _SENTINEL_PORT = 6379, 26379


@dataclass(frozen=True, repr=False)
class SentinelGroup:
    """A service, the URL of each of its sentinels, and that of its servers but for the address."""

    service: str
    sentinels: tuple[str, ...]
    server: str

    def server_at(self, host: str, port: int) -> str:
        """The URL of one of the servers."""
        parts = urlsplit(self.server)
        userinfo, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{userinfo}{at}{_address(host, port)}").geturl()


@dataclass(frozen=True, repr=False)
class ClusterNodes:
    """Host and port of each node that is named; all but the address holds for the others too."""

    addresses: tuple[tuple[str, int], ...]
    before: str
    behind: str

    def url_of(self, host: str, port: int) -> str:
        """The URL of any node of the cluster."""
        return f"{self.before}{_address(host, port)}{self.behind}"


def sentinel_group(url: str) -> SentinelGroup | None:
    """What a URL that has been checked says about sentinels; None for one of another scheme."""
    if not url.startswith(SENTINEL_SCHEMES):
        return None
    parts = split_url(url, SENTINEL_SCHEMES)
    scheme = parts.scheme.removesuffix("+sentinel")
    userinfo, at, addresses = parts.netloc.rpartition("@")
    _, service, *database = parts.path.split("/")
    options = dict(parse_qsl(parts.query))
    of_sentinels = {key: value for key, value in options.items() if key.startswith(("ssl_", "socket_", "client_"))}
    for key in ("username", "password"):
        if value := options.pop(f"sentinel_{key}", None):
            of_sentinels[key] = value
    sentinels = [
        text if address.port else f"{text.removesuffix(':')}:{_SENTINEL_PORT}"
        for text, address in zip(addresses.split(","), addresses_of(parts), strict=True)
    ]
    return SentinelGroup(
        service,
        tuple(f"{scheme}://{address}?{urlencode(of_sentinels)}" for address in sentinels),
        f"{scheme}://{userinfo}{at}{sentinels[0]}/{''.join(database)}?{urlencode(options)}",
    )


def cluster_nodes(url: str) -> ClusterNodes | None:
    """What a URL that has been checked says about the nodes of a cluster; None for one of another scheme."""
    if not url.startswith(CLUSTER_SCHEMES):
        return None
    parts = split_url(url, CLUSTER_SCHEMES)
    userinfo, at, _ = parts.netloc.rpartition("@")
    return ClusterNodes(
        tuple((node.hostname or "", node.port or _PORT) for node in addresses_of(parts)),
        f"{parts.scheme.removesuffix('+cluster')}://{userinfo}{at}",
        f"{parts.path}?{parts.query}",
    )


def _address(host: str, port: int) -> str:
    return f"{f'[{host}]' if ':' in host else host}:{port}"
