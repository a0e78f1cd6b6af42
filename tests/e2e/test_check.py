"""`kv-updater check` finds what keeps the service from its job, and says what to do; it changes nothing."""

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from entrypoints.command_line import run_command
from tests.accounts import PASSWORD, Account, account, appended
from tests.certificates import listen_with_tls, make_certificates, need
from tests.clusters import RedisCluster
from tests.kinds import ALL, BEFORE_REDIS_7, ONE_SINCE_REDIS_7_UNLESS_LONG
from tests.sentinels import SERVICE, SentinelGroup
from tests.servers import Server
from tests.service import command, started, until
from tests.world import record

LETTERS = "kv-updater:dead-letters"
FLAGS = ("--key-prefix", "kv:", "--validate", "--persisted-channel", "persisted", "--dead-letter-stream", LETTERS)
PATTERN = (*FLAGS, "--channel", "update,prices:*")
STREAM = (*FLAGS, "--transport", "stream")

PLAIN = account("updater").having(*appended("The updater", "`validate`", "`persisted_channel`", "`dead_letter_stream`"))
UPDATER = PLAIN.having(*appended("The updater", "a pattern"))
HEAD, _, _, *RECORDS = PLAIN.parts
SHARDED = Account(PLAIN.user, HEAD, *appended("The updater", "sharded_pubsub"), *RECORDS)
STREAMING = account("stream").having(*RECORDS[1:])
IN_A_CLUSTER = PLAIN.having(*appended("The updater", "`redis+cluster://`"))

Row = dict[str, str]


class Report:
    """What is printed with --json; nothing of it is a password. In this process: there are many."""

    def __init__(self, url: str, *flags: str, directory: Path) -> None:
        stdout, stderr = StringIO(), StringIO()
        with pytest.MonkeyPatch.context() as patch, chdir(directory), redirect_stdout(stdout), redirect_stderr(stderr):
            for name in [name for name in os.environ if name.startswith("KV_UPDATER_")]:
                patch.delenv(name)
            code = run_command(["check", "--json", "--redis-url", url, *flags])
        printed = stdout.getvalue()
        assert PASSWORD not in printed + stderr.getvalue()
        assert stderr.getvalue() == ""
        self.rows: list[Row] = [json.loads(line) for line in printed.splitlines()]
        assert all(list(row) == ["check", "where", "verdict", "found", "advice"] for row in self.rows)
        assert code == int("fail" in self.verdicts)

    @property
    def verdicts(self) -> set[str]:
        return {row["verdict"] for row in self.rows}

    def of(self, check: str) -> list[Row]:
        return [row for row in self.rows if row["check"] == check]

    def bad(self) -> list[Row]:
        """What has failed, and what is warned of."""
        return [row for row in self.rows if row["verdict"] in ("fail", "warn")]

    def only(self, verdict: str) -> Row:
        """The one line that has failed, or is warned of; it says what to do."""
        (row,) = [row for row in self.rows if row["verdict"] == verdict]
        assert row["advice"]
        return row

    def checks(self) -> list[str]:
        return list(dict.fromkeys(row["check"] for row in self.rows))


ORDER = ["settings", "dns", "tcp", "tls", "login", "version", "role", "output buffer", "memory", "rights", "keyspace"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make_certificates(folder)
    return folder


@pytest.fixture(scope="module", params=ONE_SINCE_REDIS_7_UNLESS_LONG)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One whose accounts may have rights in brackets."""
    with Server(request.param) as running:
        yield running


@pytest.fixture
def empty(server: Server) -> Server:
    """The same with no key and no account."""
    server.command("FLUSHALL")
    server.command("ACL", "DELUSER", "kv-updater")
    return server


class TestAHealthyServer:
    def test_all_is_well_in_this_order(self, empty: Server, tmp_path: Path) -> None:
        report = Report(empty.url, *PATTERN, directory=tmp_path)
        assert report.verdicts == {"ok"}
        assert report.checks() == [*ORDER, "probe", "store", "dead letters"]
        assert {row["where"] for row in report.rows[1:]} == {f"127.0.0.1:{empty.port}"}

    def test_so_it_is_with_shard_channels_and_over_resp3(self, empty: Server, tmp_path: Path) -> None:
        report = Report(f"{empty.url}?protocol=3", *FLAGS, "--transport", "sharded_pubsub", directory=tmp_path)
        assert report.verdicts == {"ok"}

    def test_without_probes_it_only_subscribes(self, empty: Server, tmp_path: Path) -> None:
        report = Report(empty.url, "--probe-interval", "0", directory=tmp_path)
        assert report.verdicts == {"ok"}
        assert "no probe was sent" in report.of("probe")[0]["found"]

    def test_where_records_are_elsewhere_each_server_has_its_part(self, empty: Server, tmp_path: Path) -> None:
        with Server(empty.kind) as store:
            report = Report(empty.url, "--store-url", store.url, directory=tmp_path)
        assert report.verdicts == {"ok"}
        there = [row["check"] for row in report.rows if row["where"] == f"records 127.0.0.1:{store.port}"]
        here = [row["check"] for row in report.rows if row["where"] == f"messages 127.0.0.1:{empty.port}"]
        assert [*here, *there] == [*ORDER[1:8], "rights", "probe", *ORDER[1:7], *ORDER[8:], "store"]

    def test_people_see_a_table(self, empty: Server, tmp_path: Path) -> None:
        done = command("check", "--redis-url", empty.url, directory=tmp_path)
        lines = done.stdout.splitlines()
        assert (done.returncode, done.stderr, len(lines)) == (0, "", 13)
        assert lines[0] == "ok    settings                        loaded from flag, default"
        assert {line.index("127.0.0.1") for line in lines[1:]} == {21}
        assert "\x1b" not in done.stdout

    @pytest.mark.long
    def test_on_a_terminal_the_verdicts_have_colours(self, empty: Server, tmp_path: Path) -> None:
        ours, terminal = os.openpty()
        with started("check", "--redis-url", empty.url, directory=tmp_path, terminal=terminal) as run:
            assert run.ends() == 0
        assert b"\x1b[32mok  \x1b[0m  store" in os.read(ours, 65536)
        os.close(ours)
        os.close(terminal)

    def test_over_a_unix_socket(self, tmp_path: Path) -> None:
        path = tmp_path / "socket"
        assert Report(f"unix://{path}", directory=tmp_path).only("fail")["check"] == "socket"
        with Server(unix_socket=path) as own:
            report = Report(own.unix_url, directory=tmp_path)
        assert report.verdicts == {"ok"}
        assert report.checks() == ["settings", "socket", *ORDER[4:], "probe", "store"]

    @pytest.mark.parametrize("url", ["memory://", "embedded://"])
    def test_without_a_server_there_is_nothing_to_check(self, url: str, tmp_path: Path) -> None:
        done = command("check", "--redis-url", url, directory=tmp_path)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


class TestNothingIsChanged:
    def test_of_keys_streams_groups_and_accounts(self, empty: Server, tmp_path: Path) -> None:
        empty.command("SET", "kv:one", record())
        empty.command("XADD", "update", "*", "message", "{}")
        empty.command("XGROUP", "CREATE", "update", "others", "0")
        empty.command("XREADGROUP", "GROUP", "others", "one", "STREAMS", "update", ">")
        STREAMING.set_on(empty)

        def state() -> list[Any]:
            words = ["KEYS *", "DBSIZE", "GET kv:one", "XINFO STREAM update FULL", "XINFO GROUPS update", "ACL LIST"]
            return [empty.command(*each.split()) for each in [*words, "PUBSUB CHANNELS", "CONFIG GET max*"]]

        before = state()
        writes = _keyspace_changes(empty)
        for flags in (PATTERN, STREAM, (*STREAM, "--expire-at-valid"), (*FLAGS, "--transport", "sharded_pubsub")):
            Report(empty.url, *flags, directory=tmp_path)
        Report(STREAMING.at(empty.url), *STREAM, directory=tmp_path)
        until(lambda: state() == before, lambda: (before, state()))
        assert _keyspace_changes(empty) == writes

    def test_nobody_is_told_of_a_commit(self, empty: Server, tmp_path: Path) -> None:
        with socket.create_connection(("127.0.0.1", empty.port)) as listener:
            listener.sendall(b"SUBSCRIBE persisted update\r\n")
            listener.settimeout(10)
            told = b""
            while told.count(b"subscribe") < 2:
                told += listener.recv(4096)
            Report(empty.url, *PATTERN, directory=tmp_path)
            listener.settimeout(0)
            with pytest.raises(BlockingIOError):
                listener.recv(4096)


def _keyspace_changes(server: Server) -> str:
    info: str = server.command("INFO", "persistence").decode()
    return next(line for line in info.splitlines() if line.startswith("rdb_changes_since_last_save"))


class TestTheWay:
    def test_a_closed_port(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        report = Report(f"redis://127.0.0.1:{port}", directory=tmp_path)
        failed = report.only("fail")
        assert (failed["check"], failed["found"]) == ("tcp", "no connection: Connection refused")
        assert {row["verdict"] for row in report.rows[3:]} == {"skip"}

    def test_a_name_that_does_not_resolve(self, tmp_path: Path) -> None:
        report = Report(f"redis://:{PASSWORD}@nowhere.invalid", directory=tmp_path)
        assert report.only("fail")["check"] == "dns"
        assert report.only("fail")["found"].startswith("nowhere.invalid does not resolve")

    @pytest.mark.parametrize("login", ["", f":{PASSWORD}@"])
    def test_a_frozen_server_in_bounded_time(self, login: str, tmp_path: Path) -> None:
        with Server() as own:
            own.freeze()
            began = time.monotonic()
            report = Report(own.url.replace("://", f"://{login}"), directory=tmp_path)
        assert time.monotonic() - began < 6
        assert report.only("fail")["check"] == "login"
        assert [row["verdict"] for row in report.rows[5:]] == ["skip"] * 8

    def test_a_replica(self, empty: Server, tmp_path: Path) -> None:
        with Server(empty.kind) as replica:
            replica.command("REPLICAOF", "127.0.0.1", empty.port)
            failed = Report(replica.url, directory=tmp_path).bad()
        assert (failed[0]["check"], failed[0]["found"]) == ("role", f"a replica of 127.0.0.1:{empty.port}")

    @pytest.mark.parametrize("server", BEFORE_REDIS_7, indirect=True)
    def test_shard_channels_on_redis_6_2(self, empty: Server, tmp_path: Path) -> None:
        failed = Report(empty.url, "--transport", "sharded_pubsub", directory=tmp_path).bad()
        assert failed[0]["check"] == "version"
        assert "7.0" in failed[0]["advice"]


@pytest.fixture(scope="module")
def places(certificates: Path) -> Iterator[tuple[int, int, Path]]:
    """The port without TLS, that with it, and where the certificates are."""
    need("redis" in ALL, "redis-server")
    with Server("redis") as own:
        yield own.port, listen_with_tls(own, certificates, clients="no"), certificates


class TestTls:
    def test_with_the_right_authority_all_is_well(self, places: tuple[int, int, Path], tmp_path: Path) -> None:
        _, port, folder = places
        report = Report(f"rediss://127.0.0.1:{port}?ssl_ca_certs={folder}/ca.crt", directory=tmp_path)
        assert report.verdicts == {"ok"}

    @pytest.mark.parametrize(
        ("url", "advice"),
        [
            ("rediss://127.0.0.1:{tls}", "ssl_ca_certs"),
            ("rediss://127.0.0.1:{tls}?ssl_ca_certs={folder}/stranger.crt", "ssl_ca_certs"),
            ("rediss://localhost:{tls}?ssl_ca_certs={folder}/ca.crt", "a name that the certificate has"),
            ("rediss://127.0.0.1:{tls}?ssl_ca_certs={folder}/ca.crt&ssl_certfile={folder}/client.crt", "ssl_keyfile"),
            ("redis://127.0.0.1:{tls}", "begins with rediss"),
            ("redis://:pass@127.0.0.1:{tls}", "begins with rediss"),
            ("rediss://127.0.0.1:{plain}", "begins with redis, not rediss"),
        ],
    )
    def test_what_does_not_fit(self, places: tuple[int, int, Path], tmp_path: Path, url: str, advice: str) -> None:
        plain, tls, folder = places
        report = Report(url.format(plain=plain, tls=tls, folder=folder), directory=tmp_path)
        failed = report.only("fail")
        assert failed["check"] == "tls"
        assert advice in failed["advice"]

    @pytest.mark.parametrize("which", ["expired", "later"])
    def test_a_certificate_out_of_its_time(self, certificates: Path, tmp_path: Path, which: str) -> None:
        need("redis" in ALL, "redis-server")
        with Server("redis") as own:
            port = listen_with_tls(own, certificates, clients="no", own=which)
            report = Report(f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificates}/ca.crt", directory=tmp_path)
        assert report.only("fail")["check"] == "tls"
        assert "renew the server's certificate" in report.only("fail")["advice"]

    def test_a_certificate_of_the_client_that_is_missing(self, certificates: Path, tmp_path: Path) -> None:
        need("redis" in ALL, "redis-server")
        with Server("redis") as own:
            port = listen_with_tls(own, certificates, clients="yes")
            report = Report(f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificates}/ca.crt", directory=tmp_path)
        assert report.only("fail")["check"] == "tls"
        assert "ssl_certfile" in report.only("fail")["advice"]


class TestTheLogin:
    @pytest.mark.parametrize("login", ["kv-updater:wrong", "nobody:wrong", ":wrong"])
    def test_a_wrong_password_or_user(self, empty: Server, tmp_path: Path, login: str) -> None:
        PLAIN.set_on(empty)
        failed = Report(empty.url.replace("://", f"://{login}@"), directory=tmp_path).only("fail")
        assert failed["check"] == "login"
        assert "redis_url" in failed["advice"]

    def test_a_password_that_is_missing(self, tmp_path: Path) -> None:
        with Server(password=PASSWORD) as own:
            failed = Report(f"redis://127.0.0.1:{own.port}", directory=tmp_path).only("fail")
        assert failed["check"] == "login"
        assert "password into redis_url" in failed["advice"]

    def test_a_password_that_lacks_its_colon(self, tmp_path: Path) -> None:
        with Server(password=PASSWORD) as own:
            failed = Report(f"redis://{PASSWORD}@127.0.0.1:{own.port}", directory=tmp_path).only("fail")
        assert failed["check"] == "login"
        assert "put a colon before it" in failed["advice"]

    def test_a_server_that_has_too_many_clients(self, empty: Server, tmp_path: Path) -> None:
        with Server(empty.kind, ("--maxclients", "1")) as own, socket.create_connection(("127.0.0.1", own.port)) as one:
            one.sendall(b"PING\r\n")
            assert one.recv(100) == b"+PONG\r\n"
            failed = Report(own.url, directory=tmp_path).only("fail")
        assert failed["check"] == "login"
        assert "too many clients" in failed["advice"]

    def test_a_database_that_is_not_there(self, empty: Server, tmp_path: Path) -> None:
        failed = Report(f"redis://127.0.0.1:{empty.port}/99", directory=tmp_path).only("fail")
        assert failed["check"] == "login"
        assert "database" in failed["advice"]

    @pytest.mark.parametrize(("option", "right"), [("/2", "+select"), ("?client_name=x", "+client|setname")])
    def test_a_right_that_the_login_needs(self, empty: Server, tmp_path: Path, option: str, right: str) -> None:
        PLAIN.set_on(empty)
        url = PLAIN.at(empty.url).replace("/0", option)
        failed = Report(url, directory=tmp_path).only("fail")
        assert (failed["check"], failed["advice"]) == ("login", f"append to the account: {right}")


class TestTheConfiguration:
    @pytest.mark.parametrize("limit", ["pubsub 1mb 8mb 60", "pubsub 32mb 1mb 60", "pubsub 0 8mb 5"])
    def test_a_small_output_buffer(self, empty: Server, tmp_path: Path, limit: str) -> None:
        with Server(empty.kind, ("--client-output-buffer-limit", *limit.split())) as own:
            warned = Report(own.url, directory=tmp_path).only("warn")
            assert warned["check"] == "output buffer"
            name, setting, value = warned["advice"].split(" ", 2)[0], *warned["advice"].split(" ", 3)[2:]
            assert name == "CONFIG"
            own.command("CONFIG", "SET", setting, value.strip('"'))
            assert Report(own.url, directory=tmp_path).verdicts == {"ok"}

    @pytest.mark.parametrize(
        ("policy", "flags", "verdict"),
        [
            ("allkeys-lru", (), "warn"),
            ("volatile-ttl", ("--expire-at-valid",), "warn"),
            ("volatile-ttl", (), "ok"),
            ("noeviction", (), "ok"),
        ],
    )
    def test_a_policy_that_evicts(
        self, empty: Server, tmp_path: Path, policy: str, flags: Sequence[str], verdict: str
    ) -> None:
        with Server(empty.kind, ("--maxmemory", "100mb", "--maxmemory-policy", policy)) as own:
            (row,) = Report(own.url, *flags, directory=tmp_path).of("memory")
        assert row["verdict"] == verdict
        assert policy in row["found"]
        assert ("noeviction" in row["advice"]) is (verdict == "warn")

    def test_a_store_that_is_nearly_full(self, empty: Server, tmp_path: Path) -> None:
        with Server(empty.kind) as own:
            own.command("SET", "ballast", bytes(10_000_000))
            used = int(own.command("INFO", "memory").partition(b"used_memory:")[2].split()[0])
            own.command("CONFIG", "SET", "maxmemory", used + 500_000)
            report = Report(own.url, "--key-prefix", "kv:", directory=tmp_path)
        assert report.only("warn")["check"] == "memory"
        assert "nearly full" in report.only("warn")["found"]


class TestTheKeys:
    def test_foreign_types_and_strings(self, empty: Server, tmp_path: Path) -> None:
        empty.command("SET", "kv:one", record())
        empty.command("RPUSH", "kv:list", "one")
        empty.command("SET", "kv:text", "hello")
        empty.command("RPUSH", "another", "one")
        types, strings = Report(empty.url, "--key-prefix", "kv:", directory=tmp_path).of("keyspace")
        assert (types["verdict"], strings["verdict"]) == ("warn", "warn")
        assert "1 key of another Redis type: kv:list (list)" in types["found"]
        assert "1 foreign string: kv:text" in strings["found"]

    def test_what_no_message_is_for_is_left_alone(self, empty: Server, tmp_path: Path) -> None:
        empty.command("XADD", LETTERS, "*", "a", "b")
        empty.command("RPUSH", "list", "one")
        empty.command("SET", "price:one", record())
        flags = ("--dead-letter-stream", LETTERS, "--allowed-types", "price:*,kv-updater:*")
        assert Report(empty.url, *flags, directory=tmp_path).verdicts == {"ok"}

    def test_of_types_that_are_named_each_is_looked_at(self, empty: Server, tmp_path: Path) -> None:
        empty.command("RPUSH", "kv:list", "one")
        PLAIN.set_on(empty)
        flags = ("--key-prefix", "kv:", "--allowed-types", "list,other")
        (row,) = Report(PLAIN.at(empty.url), *flags, directory=tmp_path).of("keyspace")
        assert (row["verdict"], row["found"].split(";")[0]) == ("warn", "1 key of another Redis type: kv:list")

    def test_not_more_than_some_thousands(self, empty: Server, tmp_path: Path) -> None:
        empty.command("EVAL", f"for i = 1, 30000 do redis.call('SET', 'kv:' .. i, '{record().decode()}') end", 0)
        (row,) = Report(empty.url, directory=tmp_path).of("keyspace")
        assert row["verdict"] == "ok"
        assert row["found"].endswith("as far as was looked")


class TestRights:
    @pytest.mark.parametrize(
        ("who", "flags"),
        [
            (UPDATER, PATTERN),
            (UPDATER.flat(), PATTERN),
            (account("updater"), ("--key-prefix", "kv:")),
            (account("updater-6.2"), FLAGS),
            (SHARDED, (*FLAGS, "--transport", "sharded_pubsub")),
            (STREAMING, STREAM),
            (account("stream"), ("--key-prefix", "kv:", "--transport", "stream", "--expire-at-valid")),
        ],
        ids=["updater", "updater without brackets", "least", "updater-6.2", "sharded", "stream", "least of a stream"],
    )
    def test_every_account_of_the_document_is_enough(
        self, empty: Server, tmp_path: Path, who: Account, flags: Sequence[str]
    ) -> None:
        who.set_on(empty)
        report = Report(who.at(empty.url), *flags, directory=tmp_path)
        assert "fail" not in report.verdicts, report.bad()
        assert {row["verdict"] for row in report.of("rights")} == {"ok", "warn"}
        assert {row["verdict"] for row in report.of("version")} == {"skip"}

    def test_with_what_is_optional_nothing_is_warned_of(self, empty: Server, tmp_path: Path) -> None:
        who = UPDATER.having("+unsubscribe +punsubscribe +role +client|id +client|list")
        who.set_on(empty)
        report = Report(who.at(empty.url), *PATTERN, directory=tmp_path)
        assert report.verdicts == {"ok", "skip"}, report.bad()

    def test_where_validity_is_shown_the_records_are_read(self, empty: Server, tmp_path: Path) -> None:
        who = account("updater")
        flags = ("--key-prefix", "kv:", "--http-port", "0", "--allowed-types", "a,b")
        who.set_on(empty)
        assert "+mget" in Report(who.at(empty.url), *flags, directory=tmp_path).only("fail")["advice"]
        who.having(*appended("The updater", "`http_port` with `allowed_types`")).set_on(empty)
        assert "fail" not in Report(who.at(empty.url), *flags, directory=tmp_path).verdicts

    @pytest.mark.parametrize("server", BEFORE_REDIS_7, indirect=True)
    def test_the_account_for_redis_6_2(self, empty: Server, tmp_path: Path) -> None:
        who = account("updater-6.2")
        who.set_on(empty)
        report = Report(who.at(empty.url), *FLAGS, directory=tmp_path)
        assert "fail" not in report.verdicts, report.bad()
        cannot = next(row for row in report.of("rights") if row["verdict"] == "skip")
        assert "PUBLISH persisted" in cannot["found"]
        less = Account(who.user, who.rules.replace("+set ", "").replace("+evalsha ", ""))
        less.set_on(empty)
        (failed, *_) = Report(less.at(empty.url), *FLAGS, directory=tmp_path).bad()
        assert failed["advice"] == "append to the account: ~kv:* +evalsha +eval +time +get +set"

    def test_where_records_are_elsewhere_each_account_has_its_part(self, empty: Server, tmp_path: Path) -> None:
        channels, records = Account("listener", HEAD, *PLAIN.parts[1:3]), Account("writer", HEAD, *RECORDS)
        channels.set_on(empty)
        with Server(empty.kind) as store:
            records.set_on(store)
            report = Report(channels.at(empty.url), *FLAGS, "--store-url", records.at(store.url), directory=tmp_path)
        assert "fail" not in report.verdicts, report.bad()

    @pytest.mark.parametrize(
        "case",
        [
            (
                UPDATER,
                PATTERN,
                ("&update", "+psubscribe", "+set", "+time", "+mget", "(&persisted +publish)", "+xadd"),
                (
                    "SUBSCRIBE update",
                    "PSUBSCRIBE prices:*",
                    "TIME, SET kv:*",
                    "MGET",
                    "PUBLISH persisted",
                    f"XADD {LETTERS}",
                ),
            ),
            (
                UPDATER,
                PATTERN,
                ("(&kv-updater:probe:* +publish)", "+evalsha"),
                ("PUBLISH kv-updater:probe:*", "EVALSHA"),
            ),
            (
                SHARDED,
                (*FLAGS, "--transport", "sharded_pubsub"),
                ("&update", "+spublish"),
                ("SSUBSCRIBE update", "SPUBLISH kv-updater:probe:*"),
            ),
            (
                STREAMING,
                STREAM,
                ("+xreadgroup", "+xinfo|consumers", "+xclaim", "+xgroup|create", "+hset", "+xack"),
                (
                    "XREADGROUP update, XINFO CONSUMERS update, XCLAIM update, XGROUP CREATE",
                    "HSET kv-updater:entry-ids, XACK",
                ),
            ),
        ],
        ids=["updater", "updater's probes", "sharded", "stream"],
    )
    def test_what_is_missing_is_named_and_the_advice_helps(
        self, empty: Server, tmp_path: Path, case: tuple[Account, Sequence[str], Sequence[str], Sequence[str]]
    ) -> None:
        who, flags, without, denied = case
        less = Account(who.user, _without(who.rules, *without))
        less.set_on(empty)
        report = Report(less.at(empty.url), *flags, directory=tmp_path)
        failed = [row for row in report.of("rights") if row["verdict"] == "fail"]
        for row, name in zip(failed, denied, strict=True):
            assert row["found"].startswith(f"{who.user} may not {name}")
        self.helps(empty, less, flags, report, tmp_path)

    @pytest.mark.long
    @pytest.mark.parametrize(
        ("who", "flags", "right"),
        [
            (who, flags, right)
            for who, flags in (
                (UPDATER, PATTERN),
                (SHARDED, (*FLAGS, "--transport", "sharded_pubsub")),
                (STREAMING, STREAM),
            )
            for right in who.without_one()
        ],
    )
    def test_each_that_is_missing(
        self, empty: Server, tmp_path: Path, who: Account, flags: Sequence[str], right: str
    ) -> None:
        less = who.without_one()[right]
        less.set_on(empty)
        self.helps(empty, less, flags, Report(less.at(empty.url), *flags, directory=tmp_path), tmp_path)

    def helps(self, own: Server, less: Account, flags: Sequence[str], report: Report, directory: Path) -> None:
        """What is said to append is a rule of the document, and then nothing is missing."""
        failed = [row for row in report.of("rights") if row["verdict"] == "fail"]
        assert failed
        rules = [row["advice"].removeprefix("append to the account: ") for row in failed]
        assert set(rules) <= {*UPDATER.parts, *SHARDED.parts, *STREAMING.parts}
        whole = less.having(*rules)
        whole.set_on(own)
        report = Report(whole.at(own.url), *flags, directory=directory)
        assert "fail" not in report.verdicts, report.bad()

    def test_a_group_that_is_there_need_not_be_made(self, empty: Server, tmp_path: Path) -> None:
        less = Account(STREAMING.user, _without(STREAMING.rules, "+xgroup|create"))
        less.set_on(empty)
        empty.command("XGROUP", "CREATE", "update", "kv-updater", "0", "MKSTREAM")
        report = Report(less.at(empty.url), *STREAM, directory=tmp_path)
        assert "fail" not in report.verdicts, report.bad()

    def test_a_command_that_the_server_has_not(self, empty: Server, tmp_path: Path) -> None:
        with Server(empty.kind, ("--rename-command", "EVALSHA", "")) as own:
            failed = Report(own.url, directory=tmp_path).of("rights")
        assert "does not know EVALSHA" in failed[0]["found"]


class TestKeysThatAreDenied:
    """The updater's own check of the store overlooks that, for other keys may be allowed: so it is ready."""

    @pytest.mark.parametrize("rules", ["resetkeys", "%R~kv:*"])
    def test_a_store_that_takes_none_of_the_records_is_not_well(
        self, empty: Server, tmp_path: Path, rules: str
    ) -> None:
        less = Account("kv-updater", f"reset on #SHA256 +@all &* {rules}")
        less.set_on(empty)
        report = Report(less.at(empty.url), "--key-prefix", "kv:", directory=tmp_path)
        rights, store = [row for row in report.rows if row["verdict"] == "fail"]
        assert (rights["check"], store["check"]) == ("rights", "store")
        assert "not_permitted" in store["found"]
        assert store["advice"] == "append to the account what the rights above name"


class TestPackages:
    @pytest.mark.parametrize(
        ("flags", "package", "importer"),
        [
            (["--http-port", "0"], "uvicorn", "adapters.http.wire"),
            (["--tracing"], "opentelemetry", "adapters.observability.otel_traces"),
            (["--for", "serve"], "uvicorn", "adapters.http.wire"),
        ],
    )
    def test_one_that_is_missing_fails_in_the_words_of_the_service(  # noqa: PLR0917
        self,
        empty: Server,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        flags: list[str],
        package: str,
        importer: str,
    ) -> None:
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        for name in (importer, "entrypoints.observed", "entrypoints.serve", "entrypoints.container.observed"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.delitem(sys.modules, "entrypoints.container.reading", raising=False)
        monkeypatch.setitem(sys.modules, package, None)
        report = Report(empty.url, *flags, directory=tmp_path)
        failed = report.only("fail")
        assert failed["check"] == "settings"
        assert report.of("store") or report.of("records")
        service = ["serve"] if "serve" in flags else ["run", *flags]
        assert run_command([*service, "--redis-url", empty.url]) == 2
        assert capsys.readouterr().err == f"kv-updater: {failed['found']}: {failed['advice']}\n"
        assert package in failed["found"]
        assert "pip install" in failed["advice"]


class TestForServe:
    """What the API server needs, and no more."""

    SERVE = ("--for", "serve", "--key-prefix", "kv:")
    WHO = account("api-server")

    def test_all_is_well_in_this_order(self, empty: Server, tmp_path: Path) -> None:
        report = Report(empty.url, *self.SERVE, directory=tmp_path)
        assert report.verdicts == {"ok"}
        assert report.checks() == [*ORDER[:8], "rights", "probe", "records"]

    def test_the_account_of_the_document_is_enough(self, empty: Server, tmp_path: Path) -> None:
        self.WHO.set_on(empty)
        url = self.WHO.at(empty.url)
        report = Report(url, *self.SERVE, "--dead-letter-stream", LETTERS, "--validate", directory=tmp_path)
        assert "fail" not in report.verdicts, report.bad()
        assert "fail" in Report(url, "--key-prefix", "kv:", directory=tmp_path).verdicts

    @pytest.mark.parametrize("right", WHO.without_one())
    def test_each_right_that_is_missing_is_named_and_the_advice_helps(
        self, empty: Server, tmp_path: Path, right: str
    ) -> None:
        less = self.WHO.without_one()[right]
        less.set_on(empty)
        failed = Report(less.at(empty.url), *self.SERVE, directory=tmp_path)
        rules = [row["advice"].removeprefix("append to the account: ") for row in failed.of("rights")]
        rules = [rule for rule, row in zip(rules, failed.of("rights"), strict=True) if row["verdict"] == "fail"]
        assert rules
        assert set(rules) <= {*self.WHO.parts, "+scan"}
        whole = less.having(*rules)
        whole.set_on(empty)
        report = Report(whole.at(empty.url), *self.SERVE, directory=tmp_path)
        assert "fail" not in report.verdicts, report.bad()

    def test_with_a_persisted_channel_it_is_that_one_where_the_records_are(self, empty: Server, tmp_path: Path) -> None:
        who = Account(self.WHO.user, self.WHO.rules.replace("&update", "&persisted"))
        with Server(empty.kind) as store:
            who.set_on(store)
            flags = (*self.SERVE, "--transport", "stream", "--persisted-channel", "persisted")
            flags += ("--store-url", who.at(store.url))
            report = Report(empty.url, *flags, directory=tmp_path)
            assert "fail" not in report.verdicts, report.bad()
            assert {row["where"] for row in report.rows[1:]} == {f"127.0.0.1:{store.port}"}
            store.command("ACL", "SETUSER", who.user, "off")
            failed = Report(empty.url, *flags, directory=tmp_path).only("fail")
        assert "store_url" in failed["advice"]

    def test_with_streams_it_needs_to_know_where_records_are_told(self, empty: Server, tmp_path: Path) -> None:
        done = command("check", *self.SERVE, "--transport", "stream", "--redis-url", empty.url, directory=tmp_path)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert "persisted_channel" in done.stderr

    @pytest.mark.parametrize("server", BEFORE_REDIS_7, indirect=True)
    def test_on_redis_6_2(self, empty: Server, tmp_path: Path) -> None:
        who = self.WHO.flat()
        who.set_on(empty)
        report = Report(who.at(empty.url), *self.SERVE, directory=tmp_path)
        assert "fail" not in report.verdicts, report.bad()


def _without(rules: str, *less: str) -> str:
    for word in less:
        assert word in rules
        rules = rules.replace(f"{word} ", "", 1).replace(f" {word}", "", 1) if word in rules else rules
    return rules


class TestStreams:
    def test_what_waits_there(self, empty: Server, tmp_path: Path) -> None:
        (row,) = Report(empty.url, *STREAM, directory=tmp_path).of("stream")
        assert (row["verdict"], "not there yet" in row["found"]) == ("ok", True)
        empty.command("XADD", "update", "*", "message", "{}")
        (row,) = Report(empty.url, *STREAM, directory=tmp_path).of("stream")
        assert (row["verdict"], "no group kv-updater yet" in row["found"]) == ("ok", True)
        empty.command("XGROUP", "CREATE", "update", "kv-updater", "0")
        (row,) = Report(empty.url, *STREAM, directory=tmp_path).of("stream")
        assert row["found"] == "update, group kv-updater: 1 not read, 0 not settled, 0 consumers"

    def test_a_key_of_another_type(self, empty: Server, tmp_path: Path) -> None:
        empty.command("SET", "update", "text")
        failed = Report(empty.url, *STREAM, directory=tmp_path).only("fail")
        assert (failed["check"], failed["found"]) == ("stream", "update holds another Redis type")

    def test_a_hash_of_entry_ids_that_is_none(self, empty: Server, tmp_path: Path) -> None:
        empty.command("SET", "ids", "text")
        STREAMING.set_on(empty)
        failed = Report(empty.url, *STREAM, "--entry-ids-key", "ids", directory=tmp_path).only("fail")
        assert (failed["check"], failed["found"].startswith("ids holds another Redis type")) == ("store", True)
        assert failed["advice"].endswith("entry_ids_key")
        empty.command("RENAME", "ids", "kv-updater:entry-ids")
        least = Report(STREAMING.at(empty.url), *STREAM, directory=tmp_path)
        assert least.only("fail")["check"] == "store"

    def test_the_service_is_not_ready_where_that_is_none(self, empty: Server, tmp_path: Path) -> None:
        empty.command("SET", "kv-updater:entry-ids", "text")
        flags = (*STREAM, "--log-format", "json", "--probe-interval", "0.2s")
        with started("--redis-url", empty.url, *flags, directory=tmp_path) as service:
            until(lambda: service.logged("Store failed: wrongtype"), lambda: service.raw_log)
            assert not service.logged("Ready")
            empty.command("DEL", "kv-updater:entry-ids")
            until(lambda: service.logged("Ready"), lambda: service.raw_log)


class TestDeadLetters:
    def test_a_stream_or_nothing_will_do(self, empty: Server, tmp_path: Path) -> None:
        (row,) = Report(empty.url, *FLAGS, directory=tmp_path).of("dead letters")
        assert (row["verdict"], "not there yet" in row["found"]) == ("ok", True)
        empty.command("XADD", LETTERS, "*", "payload", "")
        (row,) = Report(empty.url, *FLAGS, directory=tmp_path).of("dead letters")
        assert (row["verdict"], row["found"]) == ("ok", f"{LETTERS} is a stream")

    def test_a_key_of_another_type(self, empty: Server, tmp_path: Path) -> None:
        empty.command("RPUSH", LETTERS, "one")
        failed = Report(empty.url, *FLAGS, directory=tmp_path).only("fail")
        assert (failed["check"], failed["found"].startswith(LETTERS)) == ("dead letters", True)
        assert failed["advice"].endswith("dead_letter_stream")

    def test_an_account_that_may_not_look_is_told_what_to_see_to(self, empty: Server, tmp_path: Path) -> None:
        UPDATER.set_on(empty)
        (row,) = Report(UPDATER.at(empty.url), *PATTERN, directory=tmp_path).of("dead letters")
        assert (row["verdict"], row["advice"].endswith(f"TYPE {LETTERS}")) == ("skip", True)
        may = UPDATER.having("(~kv-updater:dead-letters +type)")
        may.set_on(empty)
        (row,) = Report(may.at(empty.url), *PATTERN, directory=tmp_path).of("dead letters")
        assert row["verdict"] == "ok"


@pytest.fixture(scope="module", params=ONE_SINCE_REDIS_7_UNLESS_LONG)
def group(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelGroup]:
    with SentinelGroup(request.param, tmp_path_factory.mktemp("sentinels")) as running:
        yield running


class TestBehindSentinels:
    def test_the_sentinel_and_then_the_master(self, group: SentinelGroup, tmp_path: Path) -> None:
        report = Report(group.url, directory=tmp_path)
        assert report.verdicts == {"ok"}
        sentinel, master = f"sentinel 127.0.0.1:{group.sentinels[0].port}", f"127.0.0.1:{group.master.port}"
        assert [row["check"] for row in report.rows if row["where"] == sentinel] == [*ORDER[1:5], "sentinel"]
        assert [row["check"] for row in report.rows if row["where"] == master] == [*ORDER[1:], "probe", "store"]
        assert master in report.of("sentinel")[0]["found"]

    def test_with_the_accounts_of_the_document(self, group: SentinelGroup, tmp_path: Path) -> None:
        PLAIN.set_on(*group.servers)
        account("sentinel").set_on(*group.sentinels)
        url = f"{PLAIN.at(group.url)}?sentinel_username=kv-updater&sentinel_password={PASSWORD}"
        report = Report(url, *FLAGS, directory=tmp_path)
        assert "fail" not in report.verdicts, report.bad()
        Account("kv-updater", "resetkeys", "-@all").set_on(*group.sentinels)
        failed = Report(url, *FLAGS, directory=tmp_path).only("fail")
        assert failed["advice"].endswith("+sentinel|get-master-addr-by-name")

    def test_a_service_that_it_does_not_know(self, group: SentinelGroup, tmp_path: Path) -> None:
        failed = Report(group.url.replace(SERVICE, "unknown"), directory=tmp_path).only("fail")
        assert (failed["check"], failed["found"]) == ("sentinel", "knows no service unknown")

    def test_one_sentinel_of_two_will_do(self, group: SentinelGroup, tmp_path: Path) -> None:
        url = group.url.replace("://", "://127.0.0.1:1,")
        warned = Report(url, directory=tmp_path).only("warn")
        assert (warned["check"], warned["where"]) == ("tcp", "sentinel 127.0.0.1:1")

    def test_a_server_that_is_no_sentinel(self, group: SentinelGroup, tmp_path: Path) -> None:
        failed = Report(f"redis+sentinel://127.0.0.1:{group.master.port}/{SERVICE}", directory=tmp_path).only("fail")
        assert (failed["check"], failed["found"]) == ("sentinel", "this is no sentinel")


@pytest.fixture(params=ONE_SINCE_REDIS_7_UNLESS_LONG)
def cluster(request: pytest.FixtureRequest, start_cluster: Callable[[str], RedisCluster]) -> RedisCluster:
    """One whose accounts may have rights in brackets."""
    running = start_cluster(request.param)
    running.everywhere("FLUSHALL")
    return running


class TestInACluster:
    def test_every_node_and_every_master(self, cluster: RedisCluster, tmp_path: Path) -> None:
        cluster.command("SET", "kv:one", record())
        cluster.command("RPUSH", "kv:list", "one")
        report = Report(cluster.url, *FLAGS, directory=tmp_path)
        assert report.only("warn")["check"] == "keyspace"
        assert "fail" not in report.verdicts
        for number, node in enumerate(cluster.masters):
            checks = [row["check"] for row in report.rows if row["where"] == f"127.0.0.1:{node.port}"]
            assert checks == [*ORDER[1:5], *(["cluster"] if number < 2 else []), *ORDER[5:]]
        of_all = [row["check"] for row in report.rows if row["where"] == "cluster"]
        assert of_all == ["probe", "store", "dead letters"]

    @pytest.mark.parametrize("transport", ["pubsub", "sharded_pubsub", "stream"])
    def test_with_the_accounts_of_the_document(self, cluster: RedisCluster, tmp_path: Path, transport: str) -> None:
        more = appended("The updater", "`redis+cluster://`")
        who = {"pubsub": PLAIN, "sharded_pubsub": SHARDED, "stream": STREAMING}[transport].having(*more)
        who = Account(who.user, who.rules.replace("~kv-updater:entry-ids ", "~kv-updater:entry-ids:* "))
        who.set_on(*cluster.masters)
        try:
            report = Report(who.at(cluster.url), *FLAGS, "--transport", transport, directory=tmp_path)
            assert "fail" not in report.verdicts, report.bad()
            less = Account(who.user, _without(who.rules, "+cluster|slots", "+asking"))
            less.set_on(cluster.masters[0])
            report = Report(less.at(cluster.url), *FLAGS, "--transport", transport, directory=tmp_path)
            assert {row["where"] for row in report.rows if row["verdict"] == "fail"} == {
                f"127.0.0.1:{cluster.masters[0].port}"
            }
        finally:
            cluster.everywhere("ACL", "DELUSER", who.user)
        assert cluster.stored() == {}

    def test_for_serve_with_the_account_of_the_document(self, cluster: RedisCluster, tmp_path: Path) -> None:
        who = account("api-server").having(*appended("The updater", "`redis+cluster://`"))
        who.set_on(*cluster.masters)
        try:
            report = Report(who.at(cluster.url), "--for", "serve", "--key-prefix", "kv:", directory=tmp_path)
        finally:
            cluster.everywhere("ACL", "DELUSER", who.user)
        assert "fail" not in report.verdicts, report.bad()

    def test_a_node_under_a_plain_url_and_the_other_way_round(
        self, cluster: RedisCluster, empty: Server, tmp_path: Path
    ) -> None:
        report = Report(cluster.masters[0].url, directory=tmp_path)
        assert "redis+cluster" in report.of("version")[0]["advice"]
        failed = Report(f"redis+cluster://127.0.0.1:{empty.port}", directory=tmp_path).only("fail")
        assert (failed["check"], failed["found"]) == ("cluster", "this is no node of a cluster")
