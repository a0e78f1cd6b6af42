"""URLs that name nodes of a Redis Cluster."""

import pytest

from entrypoints.many_addresses import ClusterNodes, cluster_nodes
from entrypoints.settings import SettingsError, load_settings, mask_url

PASSWORD = "hunter2"
WITH_DATABASES = "redis:// or rediss:// or redis+sentinel:// or rediss+sentinel:// or unix://"


def nodes_of(url: str) -> ClusterNodes:
    load_settings({"store_url": url})
    nodes = cluster_nodes(url)
    assert nodes is not None
    return nodes


def test_each_address_is_a_node_with_the_port_of_redis_where_it_has_none() -> None:
    nodes = nodes_of("redis+cluster://one,two:7000,[::1],[::2]:7001/0")

    assert nodes.addresses == (("one", 6379), ("two", 7000), ("::1", 6379), ("::2", 7001))


@pytest.mark.parametrize(
    ("url", "of_a_node"),
    [
        ("redis+cluster://one", "redis://other:7000?"),
        ("redis+cluster://user:p%40s,s@one,two/0", "redis://user:p%40s,s@other:7000/0?"),
        ("rediss+cluster://:secret@one:1,two/?protocol=3", "rediss://:secret@other:7000/?protocol=3"),
    ],
)
def test_what_is_said_of_one_node_holds_for_all(url: str, of_a_node: str) -> None:
    assert nodes_of(url).url_of("other", 7000) == of_a_node


def test_a_node_of_ipv6_has_brackets() -> None:
    assert nodes_of("redis+cluster://one").url_of("::1", 7000) == "redis://[::1]:7000?"


@pytest.mark.parametrize("key", ["redis_url", "store_url"])
@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis+cluster://", "must name a host, as in redis://localhost:6379/0"),
        (f"redis+cluster://:{PASSWORD}@", "must name a host, as in redis://localhost:6379/0"),
        ("redis+cluster://one,,two", "must name a host, as in redis://localhost:6379/0"),
        ("redis+cluster://one,two:70000/0", "must have a port from 1 to 65535"),
        (f"redis+cluster://user:{PASSWORD}", "must have a port from 1 to 65535"),
        (
            f"redis+cluster://:[{PASSWORD}@one,two",
            "must be a well-formed URL: percent-encode signs such as '[' in a password",
        ),
        ("redis+cluster://one,[::1", "must be a well-formed URL: percent-encode signs such as '[' in a password"),
        (f"redis+cluster://:a/{PASSWORD}@one", "must have '/' and '?' in its password percent-encoded, as %2F and %3F"),
        (f"redis+cluster://:a#{PASSWORD}@one", "must not hold a bare '#': percent-encode it as %23"),
        *(
            (f"redis+cluster://:{PASSWORD}@one{tail}", "must name no database but 0, for a cluster has no other")
            for tail in ("/1", "/00", "/0/0")
        ),
        ("redis+cluster://one?db=0", f"must start with {WITH_DATABASES} to have the option db"),
    ],
)
def test_a_wrong_url_is_told_without_any_part_of_it(key: str, url: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({key: url})

    assert str(caught.value) == f"{key} (flag): {problem}"


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis+cluster://one,two:7000/0", "redis+cluster://one,two:7000/0"),
        (f"rediss+cluster://user:{PASSWORD}@[::1],two", "rediss+cluster://user:***@[::1],two"),
        (f"redis+cluster://{PASSWORD}@one,two", "redis+cluster://***@one,two"),
        (f"redis+cluster://:a@{PASSWORD}@one?password={PASSWORD}", "redis+cluster://:***@one?password=***"),
        (f"redis+cluster://:{PASSWORD}@one/1", "redis+cluster://***"),
    ],
)
def test_a_masked_url_keeps_what_is_no_secret(url: str, masked: str) -> None:
    assert mask_url(url) == masked


@pytest.mark.parametrize("url", ["redis://one", "unix:///run/redis.sock", "redis+sentinel://one/orders", "memory://"])
def test_other_urls_name_none(url: str) -> None:
    assert cluster_nodes(url) is None


def test_no_text_of_the_nodes_shows_a_password() -> None:
    assert PASSWORD not in repr(nodes_of(f"redis+cluster://:{PASSWORD}@one"))
