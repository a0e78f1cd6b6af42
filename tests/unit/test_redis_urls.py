"""URLs of Redis: those that name sentinels, and the options of all of them."""

import pytest

from entrypoints.many_addresses import SentinelGroup, sentinel_group
from entrypoints.redis_options import _OPTIONS
from entrypoints.redis_urls import mask_url
from entrypoints.settings import SettingsError, load_settings

PASSWORD = "hunter2"
TCP = "redis:// or rediss:// or redis+sentinel:// or rediss+sentinel:// or redis+cluster:// or rediss+cluster://"
TLS = "rediss:// or rediss+sentinel:// or rediss+cluster://"


def error_of(url: str, key: str = "redis_url") -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings({key: url})
    text = str(caught.value)
    assert "\n" not in text
    assert PASSWORD not in text
    return text.removeprefix(f"{key} (flag): ")


def group_of(url: str) -> SentinelGroup:
    load_settings({"redis_url": url})
    group = sentinel_group(url)
    assert group is not None
    return group


class TestSentinels:
    def test_each_address_becomes_a_url_with_the_port_of_sentinels_where_it_has_none(self) -> None:
        group = group_of("redis+sentinel://one,two:5000,[::1],three:/orders")

        assert group.service == "orders"
        assert group.sentinels == (
            "redis://one:26379?",
            "redis://two:5000?",
            "redis://[::1]:26379?",
            "redis://three:26379?",
        )

    @pytest.mark.parametrize(
        ("path", "server_path"), [("/orders", "/"), ("/orders/", "/"), ("/orders/3", "/3"), ("/my.order_s-1/0", "/0")]
    )
    def test_the_database_stands_behind_the_service(self, path: str, server_path: str) -> None:
        assert group_of(f"redis+sentinel://one{path}").server == f"redis://one:26379{server_path}?"

    def test_the_login_is_that_of_the_servers_and_not_of_the_sentinels(self) -> None:
        group = group_of(f"redis+sentinel://user:p%40s%2Cs@one,two/orders?password={PASSWORD}&db=2&protocol=3")

        assert group.server == f"redis://user:p%40s%2Cs@one:26379/?password={PASSWORD}&db=2&protocol=3"
        assert group.sentinels == ("redis://one:26379?", "redis://two:26379?")

    def test_the_login_of_the_sentinels_is_in_the_options(self) -> None:
        group = group_of("redis+sentinel://:servers@one/orders?sentinel_username=u&sentinel_password=a%26b%2Bc")

        assert group.sentinels == ("redis://one:26379?username=u&password=a%26b%2Bc",)
        assert group.server == "redis://:servers@one:26379/?"

    def test_how_to_connect_holds_for_servers_and_sentinels(self) -> None:
        shared = "ssl_ca_certs=%2Fdev%2Fnull&socket_timeout=2&client_name=updater"
        group = group_of(f"rediss+sentinel://one/orders?{shared}&protocol=3")

        assert group.sentinels == (f"rediss://one:26379?{shared}",)
        assert group.server == f"rediss://one:26379/?{shared}&protocol=3"

    @pytest.mark.parametrize("url", ["redis://one/0", "rediss://one", "unix:///run/redis.sock", "memory://"])
    def test_other_urls_name_none(self, url: str) -> None:
        assert sentinel_group(url) is None

    @pytest.mark.parametrize("key", ["redis_url", "store_url"])
    @pytest.mark.parametrize(
        ("url", "problem"),
        [
            ("redis+sentinel://", "must name a host, as in redis://localhost:6379/0"),
            (f"redis+sentinel://:{PASSWORD}@/orders", "must name a host, as in redis://localhost:6379/0"),
            ("redis+sentinel://one,,two/orders", "must name a host, as in redis://localhost:6379/0"),
            ("redis+sentinel://one,:26379/orders", "must name a host, as in redis://localhost:6379/0"),
            ("redis+sentinel://one:0/orders", "must have a port from 1 to 65535"),
            ("redis+sentinel://one,two:70000/orders", "must have a port from 1 to 65535"),
            (f"redis+sentinel://user:{PASSWORD}/orders", "must have a port from 1 to 65535"),
            (
                f"redis+sentinel://:[{PASSWORD}@one,two/orders",
                "must be a well-formed URL: percent-encode signs such as '[' in a password",
            ),
            (
                "redis+sentinel://one,[::1/orders",
                "must be a well-formed URL: percent-encode signs such as '[' in a password",
            ),
            (
                f"redis+sentinel://:a/{PASSWORD}@one/orders",
                "must have '/' and '?' in its password percent-encoded, as %2F and %3F",
            ),
            (f"redis+sentinel://:a#{PASSWORD}@one/orders", "must not hold a bare '#': percent-encode it as %23"),
            *(
                (
                    f"redis+sentinel://:{PASSWORD}@one{path}",
                    "must name the service behind its sentinels, as in redis+sentinel://host1,host2/service/0",
                )
                for path in ("", "/", "//0", "/orders/one", "/orders/0/", "/or%20ders")
            ),
        ],
    )
    def test_a_wrong_url_is_told_without_any_part_of_it(self, key: str, url: str, problem: str) -> None:
        assert error_of(url, key) == problem

    @pytest.mark.parametrize(
        ("url", "masked"),
        [
            ("redis+sentinel://one,two:5000/orders/0", "redis+sentinel://one,two:5000/orders/0"),
            (
                f"rediss+sentinel://user:{PASSWORD}@[::1],two/orders?sentinel_password={PASSWORD}&db=2",
                "rediss+sentinel://user:***@[::1],two/orders?sentinel_password=***&db=2",
            ),
            (f"redis+sentinel://:a@{PASSWORD}@one,two/orders", "redis+sentinel://:***@one,two/orders"),
            (f"redis+sentinel://:{PASSWORD}@one", "redis+sentinel://***"),
            (f"redis+sentinel://one/orders?{PASSWORD}", "redis+sentinel://***"),
        ],
    )
    def test_a_masked_url_keeps_what_is_no_secret(self, url: str, masked: str) -> None:
        assert mask_url(url) == masked

    def test_no_text_of_a_group_shows_a_password(self) -> None:
        group = group_of(f"redis+sentinel://:{PASSWORD}@one/orders?sentinel_password={PASSWORD}")

        assert PASSWORD not in repr(group)


class TestOptions:
    @pytest.mark.parametrize(
        "url",
        [
            "redis://cache?db=1&username=u&password=p%2Bq&protocol=3&client_name=updater-1&socket_keepalive=no",
            "redis://cache?socket_timeout=0.5&socket_connect_timeout=10",
            "unix:///run/redis.sock?db=1&protocol=2",
            "rediss://cache?ssl_ca_certs=/dev/null&ssl_certfile=/dev/null&ssl_keyfile=/dev/null&ssl_password=p",
            "rediss://cache?ssl_cert_reqs=none&ssl_check_hostname=False&ssl_min_version=772&ssl_ciphers=HIGH",
            "rediss://cache?ssl_exclude_verify_flags=VERIFY_X509_STRICT,VERIFY_X509_PARTIAL_CHAIN&ssl_ca_path=/etc",
        ],
    )
    def test_known_ones_are_taken_and_redis_py_takes_them_too(self, url: str) -> None:
        from adapters.redis.connecting import Connector

        load_settings({"redis_url": url})
        connector = Connector(url, timeout=1)
        connector._connection_class(**connector._options, driver_info=None)

    @pytest.mark.parametrize("scheme", ["redis", "rediss", "unix"])
    def test_redis_py_knows_every_option_of_a_scheme(self, scheme: str) -> None:
        from inspect import signature

        from adapters.redis.connecting import Connector

        connection_class = Connector(f"{scheme}:///x", timeout=1)._connection_class
        known = {name for class_ in connection_class.__mro__ for name in signature(class_.__init__).parameters}
        ours = {name for name, option in _OPTIONS.items() if scheme in option.schemes}
        assert ours
        assert ours <= known

    @pytest.mark.parametrize(
        ("url", "problem"),
        [
            (
                f"rediss://cache?ssl_ca_cert={PASSWORD}",
                "must not have the option ssl_ca_cert, the nearest known one is ssl_ca_certs",
            ),
            (
                f"unix:///run/redis.sock?pasword={PASSWORD}",
                "must not have the option pasword, the nearest known one is password",
            ),
            (
                f"redis+sentinel://one/orders?sentinel_passwort={PASSWORD}",
                "must not have the option sentinel_passwort, the nearest known one is sentinel_password",
            ),
            (f"redis://cache?data%0Abase={PASSWORD}", "must have its options as name=value, with & between"),
            (
                f"redis://cache?ssl_password={PASSWORD}",
                f"must start with {TLS} to have the option ssl_password",
            ),
            (
                f"rediss://cache?sentinel_password={PASSWORD}",
                "must start with redis+sentinel:// or rediss+sentinel:// to have the option sentinel_password",
            ),
            (
                "unix:///run/redis.sock?socket_keepalive=yes",
                f"must start with {TCP} to have the option socket_keepalive",
            ),
            (f"redis://cache?db={PASSWORD}", "must have the number of a database as its option db"),
            ("redis://cache?protocol=4", "must have 2 or 3 as its option protocol"),
            ("redis://cache?socket_timeout=0", "must have a number of seconds as its option socket_timeout"),
            ("redis://cache?socket_timeout=0.0", "must have a number of seconds as its option socket_timeout"),
            ("redis://cache?socket_timeout=nan", "must have a number of seconds as its option socket_timeout"),
            ("redis://cache?client_name=a%20b", "must have a name without spaces as its option client_name"),
            ("rediss://cache?ssl_cert_reqs=maybe", "must have none, optional or required as its option ssl_cert_reqs"),
            ("rediss://cache?ssl_check_hostname=off", "must have true or false as its option ssl_check_hostname"),
            (
                "rediss://cache?ssl_min_version=1.2",
                "must have 771 (TLS 1.2) or 772 (TLS 1.3) as its option ssl_min_version",
            ),
            (
                "rediss://cache?ssl_include_verify_flags=VERIFY_ME",
                "must have names of ssl.VerifyFlags as its option ssl_include_verify_flags",
            ),
            ("redis://cache?password=", "must have a text as its option password"),
            (f"redis://cache?password=a&password={PASSWORD}", "must have each option once"),
            (f"redis://cache?{PASSWORD}", "must have its options as name=value, with & between"),
            (f"redis://cache?db=1&&password={PASSWORD}", "must have its options as name=value, with & between"),
        ],
    )
    def test_a_wrong_one_is_told_by_its_name_alone(self, url: str, problem: str) -> None:
        assert error_of(url) == problem
        assert mask_url(url) == f"{url.partition('://')[0]}://***"

    @pytest.mark.parametrize("name", ["ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"])
    def test_a_file_that_cannot_be_read_is_told_by_the_name_of_its_option(self, name: str) -> None:
        url = f"rediss://:{PASSWORD}@cache?{name}=/nowhere/{PASSWORD}.pem"

        assert error_of(url) == f"must have a path that can be read as its option {name}"
        assert mask_url(url) == f"rediss://:***@cache?{name}=***"
