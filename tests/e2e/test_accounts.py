"""The accounts of docs/security.md do for what they are for, and for nothing else; no right is too many."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import hiredis
import pytest
from redis.crc import key_slot

from tests.accounts import PASSWORD, Account, account, appended, example, optional
from tests.clusters import RedisCluster
from tests.kinds import BEFORE_REDIS_7, ONE_SINCE_REDIS_7_UNLESS_LONG, TWO_SINCE_REDIS_7_UNLESS_LONG
from tests.sentinels import SentinelGroup
from tests.servers import Server
from tests.service import Publisher, Service, command, started, stored, until
from tests.world import message, record

LETTERS = "kv-updater:dead-letters"
DATABASE = 2
# All that needs a right of its own.
FLAGS = (
    *("--key-prefix", "kv:", "--validate", "--persisted-channel", "persisted", "--dead-letter-stream", LETTERS),
    *("--probe-interval", "0.2s", "--log-format", "json"),
)
GOOD = {"kv:one": record("2026-11-22T20:28:41Z"), "kv:two": record()}
MESSAGES = {"kv:one": message("one", "2026-11-22T20:28:41Z"), "kv:two": message("two")}
BAD = b'{"type":"key"}'
DENIED = re.compile("permi|can't|may not use this key")

PLAIN = account("updater").having(*appended("The updater", "`validate`", "`persisted_channel`", "`dead_letter_stream`"))
UPDATER = PLAIN.having(*appended("The updater", "a pattern", "another database", "`client_name`"))
OPTIONAL = optional("The updater", "+unsubscribe", "+role", "+client|id", "+config|get")
HEAD, SUBSCRIPTION, PROBES, *RECORDS = PLAIN.parts
IN_A_CLUSTER = PLAIN.having(*appended("The updater", "`redis+cluster://`"))
SHARDED = Account(PLAIN.user, HEAD, *appended("The updater", "sharded_pubsub"), *RECORDS)
STREAMING = account("stream").having(*RECORDS[1:])
SENTINEL = account("sentinel")
EXAMPLE = example("updater")
SECRETS = {"KV_UPDATER_SECRETS_DIR": "secrets"}


@pytest.fixture(scope="module", params=TWO_SINCE_REDIS_7_UNLESS_LONG)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One whose accounts may have rights in brackets."""
    with Server(request.param) as running:
        yield running


@pytest.fixture(params=TWO_SINCE_REDIS_7_UNLESS_LONG)
def cluster(request: pytest.FixtureRequest, start_cluster: Callable[[str], RedisCluster]) -> RedisCluster:
    """One whose accounts may have rights in brackets."""
    running = start_cluster(request.param)
    running.everywhere("FLUSHALL")
    return running


@pytest.fixture
def own(server: Server) -> Iterator[Server]:
    """A server of the same kind for this test alone."""
    with Server(server.kind) as running:
        yield running


@contextmanager
def updater(own: Server, who: Account, directory: Path) -> Iterator[Service]:
    """The service with all that needs rights, logged in as this account."""
    who.set_on(own)
    url = who.at(own.url).replace("/0", f"/{DATABASE}?client_name=kv-updater")
    with started(*FLAGS, "--channel", "update,prices:*", "--redis-url", url, directory=directory) as service:
        yield service


def tells_an_error(service: Service, publisher: Publisher, *commands: tuple[str, str, bytes]) -> None:
    """At the start, or when these have been published: and that the account is why."""

    def told() -> bool:
        return service.process.poll() is not None or "ERROR" in {entry["level"] for entry in service.entries}

    until(lambda: told() or service.logged("Ready"), lambda: service.raw_log)
    for words in commands:
        publisher.call(*words)
    until(told, lambda: service.raw_log)
    first = next(entry for entry in service.entries if entry["level"] == "ERROR")
    assert DENIED.search(first["detail"]), first


def is_calm(service: Service, *warnings: str) -> None:
    """It said nothing from WARNING on but these, and no password."""
    assert [entry["message"] for entry in service.entries if entry["level"] != "INFO"] == list(warnings)
    assert PASSWORD.encode() not in service.raw_log


def validated(service: Service) -> int:
    return sum(entry["count"] for entry in service.logged("Records validated"))


class TestTheUpdater:
    SENT = (("PUBLISH", "update", MESSAGES["kv:one"]), ("PUBLISH", "prices:a", MESSAGES["kv:two"]))
    SENT += (("PUBLISH", "update", BAD),)

    @pytest.mark.parametrize(
        "who",
        [UPDATER, UPDATER.having(*OPTIONAL), UPDATER.flat()],
        ids=["least", "with what is optional", "without brackets"],
    )
    def test_it_does_its_whole_job(self, own: Server, tmp_path: Path, who: Account) -> None:
        with updater(own, who, tmp_path) as service, Publisher(own.port) as others, Publisher(own.port) as reader:
            others.call("SELECT", str(DATABASE))
            reader.subscribe("persisted")
            service.says('"Ready"')
            probes = own.calls("publish")
            until(lambda: own.calls("publish") > probes + 2)
            for words in self.SENT:
                others.call(*words)
            until(lambda: validated(service) == len(GOOD))
            until(lambda: others.call("XLEN", LETTERS) == 1)
            totals = service.stops()

            is_calm(service, "Message rejected: malformed")
            assert {key: others.call("GET", key) for key in GOOD} == GOOD
            assert others.call("DBSIZE") == len(GOOD) + 1
            notices = {reader.reply()[2] for _ in GOOD}
        assert notices == set(MESSAGES.values())
        assert (totals["received"], totals["committed"], totals["rejected"]) == (3, 2, 1)

    @pytest.mark.parametrize("server", BEFORE_REDIS_7, indirect=True)
    def test_without_brackets_it_does_its_whole_job_on_redis_6_2(self, own: Server, tmp_path: Path) -> None:
        self.test_it_does_its_whole_job(own, tmp_path, UPDATER.flat())

    @pytest.mark.long
    @pytest.mark.parametrize("right", UPDATER.without_one())
    def test_a_right_that_is_missing_is_an_error(self, own: Server, tmp_path: Path, right: str) -> None:
        less = UPDATER.without_one()[right]
        with updater(own, less, tmp_path) as service, Publisher(own.port) as publisher:
            tells_an_error(service, publisher, *self.SENT)

    def test_where_records_are_elsewhere_each_server_has_its_part(self, own: Server, tmp_path: Path) -> None:
        channels, records = Account("listener", HEAD, SUBSCRIPTION, PROBES), Account("writer", HEAD, *RECORDS)
        channels.set_on(own)
        with Server(own.kind) as store:
            records.set_on(store)
            urls = ("--redis-url", channels.at(own.url), "--store-url", records.at(store.url))
            with started(*FLAGS, *urls, directory=tmp_path) as service:
                service.says('"Ready"')
                own.command("PUBLISH", "update", MESSAGES["kv:one"])
                own.command("PUBLISH", "update", BAD)
                until(lambda: validated(service) == store.command("EXISTS", LETTERS) == 1)
                totals = service.stops()
                is_calm(service, "Message rejected: malformed")
            assert stored(store) == {"kv:one": GOOD["kv:one"], LETTERS: None}
        assert (totals["received"], totals["committed"], totals["rejected"]) == (2, 1, 1)

    def test_without_probes_it_needs_neither_their_channel_nor_to_publish(self, own: Server, tmp_path: Path) -> None:
        who = Account(PLAIN.user, HEAD, SUBSCRIPTION.replace("&kv-updater:probe:* ", ""), *RECORDS)
        assert who.rules.count("probe") == 0
        who.set_on(own)
        flags = (*FLAGS, "--probe-interval", "0", "--redis-url", who.at(own.url))
        with started(*flags, directory=tmp_path) as service:
            service.says('"Subscribed"')
            own.command("PUBLISH", "update", MESSAGES["kv:one"])
            until(lambda: validated(service) == 1)
            totals = service.stops()
            is_calm(service)
        assert totals["received"] == totals["committed"] == 1
        assert stored(own) == {"kv:one": GOOD["kv:one"]}

    def test_the_account_that_is_written_without_brackets_is_the_same(self) -> None:
        assert account("updater-6.2").words() == PLAIN.flat().words()
        assert account("updater-6.2").parts[1:] == []


class TestSharded:
    SENT = (("SPUBLISH", "update", MESSAGES["kv:one"]), ("SPUBLISH", "update", BAD))

    @contextmanager
    def updater(self, own: Server, who: Account, directory: Path) -> Iterator[Service]:
        who.set_on(own)
        url = ("--redis-url", who.at(own.url))
        with started(*FLAGS, *url, "--transport", "sharded_pubsub", directory=directory) as service:
            yield service

    def test_it_does_its_whole_job(self, own: Server, tmp_path: Path) -> None:
        with self.updater(own, SHARDED, tmp_path) as service, Publisher(own.port) as others:
            service.says('"Ready"')
            for words in self.SENT:
                others.call(*words)
            until(lambda: validated(service) == own.command("EXISTS", LETTERS) == 1)
            totals = service.stops()
            is_calm(service, "Message rejected: malformed")
        assert stored(own) == {"kv:one": GOOD["kv:one"], LETTERS: None}
        assert (totals["received"], totals["committed"], totals["rejected"]) == (2, 1, 1)

    @pytest.mark.long
    @pytest.mark.parametrize("right", [right for right in SHARDED.without_one() if re.search("[&+]", right)])
    def test_a_right_that_is_missing_is_an_error(self, own: Server, tmp_path: Path, right: str) -> None:
        less = SHARDED.without_one()[right]
        with self.updater(own, less, tmp_path) as service, Publisher(own.port) as publisher:
            tells_an_error(service, publisher, *self.SENT)


class TestStreams:
    SENT = (("XADD", "update", "*", "message", MESSAGES["kv:one"]), ("XADD", "update", "*", "message", BAD))

    @contextmanager
    def updater(self, own: Server, who: Account, directory: Path) -> Iterator[Service]:
        who.set_on(own)
        # Of a record that is there the id of its entry is looked at.
        own.command("SET", "kv:one", record("2020-01-01T00:00:00Z"))
        url = ("--redis-url", who.at(own.url), "--claim-after", "0.4s")
        with started(*FLAGS, *url, "--transport", "stream", directory=directory) as service:
            yield service

    def test_it_does_its_whole_job(self, own: Server, tmp_path: Path) -> None:
        own.command("XGROUP", "CREATE", "update", "kv-updater", "0", "MKSTREAM")
        own.command("XADD", "update", "*", "message", MESSAGES["kv:two"])
        # What a dead one has taken is claimed, and it is forgotten.
        own.command("XREADGROUP", "GROUP", "kv-updater", "dead", "STREAMS", "update", ">")
        with self.updater(own, STREAMING, tmp_path) as service, Publisher(own.port) as others:
            service.says('"Ready"')
            for words in self.SENT:
                others.call(*words)
            until(lambda: validated(service) == 2 and own.command("EXISTS", LETTERS) == 1, lambda: service.raw_log)
            until(lambda: own.command("XINFO", "GROUPS", "update")[0][3] == 1)
            totals = service.stops()
            told = sorted(entry["message"] for entry in service.entries if entry["level"] != "INFO")
            assert told == ["Message rejected: malformed", "Stream entries of a dead updater claimed"]
        kept = {"update": None, "kv-updater:entry-ids": None, LETTERS: None}
        assert stored(own) == GOOD | kept
        assert (totals["received"], totals["committed"], totals["rejected"]) == (3, 2, 1)
        assert own.command("XINFO", "GROUPS", "update")[0][5] == 0

    @pytest.mark.long
    @pytest.mark.parametrize("right", STREAMING.without_one())
    def test_a_right_that_is_missing_is_an_error(self, own: Server, tmp_path: Path, right: str) -> None:
        less = STREAMING.without_one()[right]
        with self.updater(own, less, tmp_path) as service, Publisher(own.port) as publisher:
            tells_an_error(service, publisher, *self.SENT)


class TestInACluster:
    @contextmanager
    def updater(self, cluster: RedisCluster, who: Account, directory: Path) -> Iterator[tuple[Service, Publisher]]:
        """With the slot of a record on its way to another node, which is the publisher's."""
        who.set_on(*cluster.masters)
        slot = key_slot(b"kv:one")
        here = cluster.serving(slot)
        there = next(node for node in cluster.masters if node is not here)
        cluster.starts_moving(slot, there)
        url = ("--redis-url", who.at(cluster.url))
        try:
            with started(*FLAGS, *url, directory=directory) as service, Publisher(there.port) as publisher:
                yield service, publisher
                publisher.call("ASKING")
                publisher.call("DEL", "kv:one")
        finally:
            for node in (here, there):
                node.command("CLUSTER", "SETSLOT", slot, "STABLE")
            cluster.everywhere("ACL", "DELUSER", who.user)

    def test_it_does_its_whole_job(self, cluster: RedisCluster, tmp_path: Path) -> None:
        with self.updater(cluster, IN_A_CLUSTER, tmp_path) as (service, publisher):
            service.says('"Ready"')
            for payload in (*MESSAGES.values(), BAD):
                publisher.call("PUBLISH", "update", payload)
            until(lambda: validated(service) == len(GOOD))
            until(lambda: cluster.command("EXISTS", LETTERS) == 1)
            totals = service.stops()
            is_calm(service, "Message rejected: malformed")
            publisher.call("ASKING")
            assert publisher.call("GET", "kv:one") == GOOD["kv:one"]
        assert cluster.stored() == {"kv:two": GOOD["kv:two"], LETTERS: None}
        assert (totals["received"], totals["committed"], totals["rejected"]) == (3, 2, 1)

    @pytest.mark.parametrize("right", [right for right in IN_A_CLUSTER.without_one() if re.search("slots|ask", right)])
    def test_a_right_that_is_missing_is_an_error(self, cluster: RedisCluster, tmp_path: Path, right: str) -> None:
        with self.updater(cluster, IN_A_CLUSTER.without_one()[right], tmp_path) as (service, publisher):
            tells_an_error(service, publisher, ("PUBLISH", "update", MESSAGES["kv:one"]))


@pytest.fixture(scope="module", params=ONE_SINCE_REDIS_7_UNLESS_LONG)
def group(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelGroup]:
    with SentinelGroup(request.param, tmp_path_factory.mktemp("sentinels")) as running:
        yield running


class TestBehindSentinels:
    @contextmanager
    def updater(self, group: SentinelGroup, who: Account, directory: Path) -> Iterator[Service]:
        group.master.command("FLUSHALL")
        PLAIN.set_on(*group.servers)
        who.set_on(*group.sentinels)
        url = f"{PLAIN.at(group.url)}?sentinel_username={who.user}&sentinel_password={PASSWORD}"
        with started(*FLAGS, "--redis-url", url, directory=directory) as service:
            yield service

    @pytest.mark.parametrize("hears", [False, True])
    def test_it_finds_the_master(self, group: SentinelGroup, tmp_path: Path, *, hears: bool) -> None:
        more = ("&+switch-master", "+subscribe", "+ping") if hears else ()
        with self.updater(group, SENTINEL.having(*more), tmp_path) as service:
            service.says('"Ready"')
            group.master.command("PUBLISH", "update", MESSAGES["kv:one"])
            until(lambda: validated(service) == 1)
            if hears:
                until(lambda: b"user=kv-updater" in group.sentinels[0].command("CLIENT", "LIST", "TYPE", "pubsub"))
            totals = service.stops()
            is_calm(service)
        assert totals["received"] == 1
        assert stored(group.master) == {"kv:one": GOOD["kv:one"]}

    @pytest.mark.parametrize("right", SENTINEL.without_one())
    def test_a_right_that_is_missing_is_an_error(self, group: SentinelGroup, tmp_path: Path, right: str) -> None:
        with self.updater(group, SENTINEL.without_one()[right], tmp_path) as service:
            assert service.ends() == 1
            assert DENIED.search(service.entries[-1]["detail"])


def run(own: Server, who: Account, directory: Path, *arguments: str) -> Any:
    """A command on this server, as this account; nothing in what it says is a password."""
    who.set_on(own)
    done = command(*arguments, "--redis-url", who.at(own.url), directory=directory)
    assert PASSWORD not in done.stdout + done.stderr
    return done


@contextmanager
def connection(own: Server, who: Account) -> Iterator[Publisher]:
    """Logged in as this account."""
    who.set_on(own)
    with Publisher(own.port) as opened:
        assert opened.call("AUTH", who.user, PASSWORD) == b"OK"
        yield opened


class TestAPublisher:
    WHO = account("publisher")
    PUBLISH = ("publish", "one", "--values", "{}")

    def test_it_publishes(self, own: Server, tmp_path: Path) -> None:
        with Publisher(own.port) as listener:
            listener.subscribe("update")
            done = run(own, self.WHO, tmp_path, *self.PUBLISH)
        assert (done.returncode, done.stdout, done.stderr) == (0, "one: received by 1 on update\n", "")

    @pytest.mark.long
    @pytest.mark.parametrize("right", WHO.without_one())
    def test_a_right_that_is_missing_is_told(self, own: Server, tmp_path: Path, right: str) -> None:
        done = run(own, self.WHO.without_one()[right], tmp_path, *self.PUBLISH)
        assert done.returncode == 1
        assert done.stderr.startswith("kv-updater: NOPERM")

    def test_it_publishes_in_a_cluster(self, cluster: RedisCluster, tmp_path: Path) -> None:
        who = self.WHO.having(*appended("A publisher", "`redis+cluster://`"))
        who.set_on(*cluster.masters)
        try:
            with Publisher(cluster.masters[0].port) as one, Publisher(cluster.masters[1].port) as another:
                one.subscribe("update")
                another.subscribe("update")
                done = command(*self.PUBLISH, "--redis-url", who.at(cluster.url), directory=tmp_path)
            assert (done.returncode, done.stdout) == (0, "one: received by 2 on update\n"), done.stderr
        finally:
            cluster.everywhere("ACL", "DELUSER", who.user)

    def test_it_publishes_on_shard_channels(self, own: Server, tmp_path: Path) -> None:
        more = appended("A publisher", "sharded_pubsub")
        who = Account(self.WHO.user, self.WHO.rules.replace("+publish", " ".join(more)))
        with Publisher(own.port) as listener:
            assert listener.call("SSUBSCRIBE", "update")[0] == b"ssubscribe"
            done = run(own, who, tmp_path, *self.PUBLISH, "--transport", "sharded_pubsub")
        assert (done.returncode, done.stdout, done.stderr) == (0, "one: received by 1 on update\n", "")


class TestAReader:
    WHO = account("reader")
    COMMANDS = (("GET", "kv:one"), ("SUBSCRIBE", "persisted"), ("UNSUBSCRIBE", "persisted"))

    def reads(self, own: Server, who: Account, directory: Path) -> bool:
        """Whether it can do all that a reader does."""
        own.command("SET", "kv:one", GOOD["kv:one"])
        with connection(own, who) as reader:
            replies = [reader.call(*words) for words in self.COMMANDS]
        return (
            not any(isinstance(reply, hiredis.ReplyError) for reply in replies)
            and run(own, who, directory, "get", "one", "--key-prefix", "kv:").stdout.encode() == GOOD["kv:one"] + b"\n"
        )

    def test_it_reads_and_hears_of_what_is_new(self, own: Server, tmp_path: Path) -> None:
        assert self.reads(own, self.WHO, tmp_path)

    @pytest.mark.long
    @pytest.mark.parametrize("right", WHO.without_one())
    def test_no_right_is_too_many(self, own: Server, tmp_path: Path, right: str) -> None:
        assert not self.reads(own, self.WHO.without_one()[right], tmp_path)


class TestTheApiServer:
    WHO = account("api-server")
    FLAGS = ("--key-prefix", "kv:", "--http-port", "0", "--log-format", "json")

    def serves(self, own: Server, who: Account, directory: Path) -> bool:
        """Whether it becomes ready, and finds what is there."""
        own.command("SET", "kv:one", GOOD["kv:one"])
        who.set_on(own)
        with started("serve", *self.FLAGS, "--redis-url", who.at(own.url), directory=directory) as service:
            until(lambda: service.logged("Ready") or DENIED.search(str(service.entries)), lambda: service.raw_log)
            assert PASSWORD.encode() not in service.raw_log
            return not DENIED.search(str(service.entries))

    def test_it_does_its_whole_job(self, own: Server, tmp_path: Path) -> None:
        assert self.serves(own, self.WHO, tmp_path)

    def test_it_does_for_watch_too(self, own: Server, tmp_path: Path) -> None:
        own.command("SET", "kv:one", GOOD["kv:one"])
        self.WHO.set_on(own)
        flags = ("--json", "--key-prefix", "kv:", "--redis-url", self.WHO.at(own.url))
        with started("watch", *flags, directory=tmp_path) as watching:
            until(lambda: '"type":"one"' in watching.output, lambda: watching.raw_log)
            assert watching.raw_log == b""

    @pytest.mark.long
    @pytest.mark.parametrize("right", WHO.without_one())
    def test_no_right_is_too_many(self, own: Server, tmp_path: Path, right: str) -> None:
        assert not self.serves(own, self.WHO.without_one()[right], tmp_path)


class TestDeadLetters:
    WHO = account("dead-letters")
    LETTER = ("payload", BAD, "size", len(BAD), "reason", "malformed", "error", "", "channel", "update")
    LETTER += ("time", "2026-11-22T20:28:41+00:00")

    def handles(self, own: Server, who: Account, directory: Path) -> bool:
        """Whether it can do all three things with a letter, and one of somebody else's, while somebody listens."""

        def prints(action: str) -> str:
            done = run(own, who, directory, "dead-letters", action, "--dead-letter-stream", LETTERS)
            return str(done.stdout)

        own.command("XADD", LETTERS, "*", *self.LETTER)
        own.command("XADD", LETTERS, "*", "somebody", "else's")
        with Publisher(own.port) as listener:
            listener.subscribe("update")
            return (
                prints("list").count("\n") == 2
                and prints("replay") == "1 replayed, 1 stayed: cut\n"
                and prints("purge") == "1 removed\n"
            )

    def test_they_are_listed_replayed_and_purged(self, own: Server, tmp_path: Path) -> None:
        assert self.handles(own, self.WHO, tmp_path)
        assert own.command("XLEN", LETTERS) == 0

    def test_those_of_a_stream_are_replayed_into_it(self, own: Server, tmp_path: Path) -> None:
        rules = self.WHO.rules.replace("&update", "").replace("+publish", "")
        who = Account(self.WHO.user, rules, *appended("Dead letters", "stream"))
        own.command("XADD", LETTERS, "*", *self.LETTER)
        letters = ("--dead-letter-stream", LETTERS, "--transport", "stream")
        done = run(own, who, tmp_path, "dead-letters", "replay", *letters)
        assert (done.returncode, done.stdout) == (0, "1 replayed\n"), done.stderr
        assert [fields for _, fields in own.command("XRANGE", "update", "-", "+")] == [[b"message", BAD]]

    @pytest.mark.long
    @pytest.mark.parametrize("right", WHO.without_one())
    def test_no_right_is_too_many(self, own: Server, tmp_path: Path, right: str) -> None:
        assert not self.handles(own, self.WHO.without_one()[right], tmp_path)


def paste(commands: str, own: Server, directory: Path) -> None:
    """Into a shell, in which redis-cli leads to this server."""
    client = directory / "redis-cli"
    client.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        f"from tests.servers import Server\nprint(Server(port={own.port}).command(*sys.argv[1:]))\n"
    )
    client.chmod(0o755)
    if shutil.which("sha256sum") is None:
        commands = commands.replace("sha256sum", "shasum -a 256")
    path = os.pathsep.join((str(directory), os.environ["PATH"]))
    script = commands.replace("localhost:6379", f"127.0.0.1:{own.port}")
    subprocess.run(["sh", "-e", "-c", script], cwd=directory, env=os.environ | {"PATH": path}, check=True)


class TestTheExampleToPaste:
    @contextmanager
    def service(self, own: Server, directory: Path, *more: str) -> Iterator[Service]:
        with started("--config", "config.yaml", *more, "--log-format", "json", directory=directory, env=SECRETS) as run:
            run.says('"Ready"')
            own.command("PUBLISH", "update", MESSAGES["kv:one"])
            yield run

    def test_it_makes_the_account_that_the_service_needs(self, own: Server, tmp_path: Path) -> None:
        paste(EXAMPLE, own, tmp_path)
        made = own.command("ACL", "GETUSER", "kv-updater")
        account("updater").set_on(own)
        expected = own.command("ACL", "GETUSER", "kv-updater")
        passwords = made.index(b"passwords") + 1
        assert made[:passwords] + made[passwords + 1 :] == expected[:passwords] + expected[passwords + 1 :]

        paste(EXAMPLE, own, tmp_path)
        with self.service(own, tmp_path) as service:
            until(lambda: own.command("GET", "kv:one") == GOOD["kv:one"], lambda: service.raw_log)
            service.stops()
            is_calm(service)

    def test_with_another_prefix_each_message_is_unstorable_though_the_service_is_ready(
        self, own: Server, tmp_path: Path
    ) -> None:
        paste(EXAMPLE, own, tmp_path)
        with self.service(own, tmp_path, "--key-prefix", "another:") as service:
            service.says("Message unstorable: not_permitted")
            assert service.stops()["unstorable"] == 1


class TestRotatingThePassword:
    def test_both_do_until_all_have_been_restarted_and_no_message_is_missed(self, own: Server, tmp_path: Path) -> None:
        flags = ("--config", "config.yaml", "--log-format", "json")
        secret = tmp_path / "secrets" / "redis_url"
        paste(EXAMPLE, own, tmp_path)
        with started(*flags, directory=tmp_path, env=SECRETS) as old:
            old.says('"Ready"')
            before = secret.read_text()
            paste(example("rotate"), own, tmp_path)
            after = secret.read_text()
            assert before != after
            with started(*flags, directory=tmp_path, env=SECRETS) as new:
                new.says('"Ready"')
                own.command("PUBLISH", "update", MESSAGES["kv:one"])
                until(lambda: own.command("GET", "kv:one") == GOOD["kv:one"], lambda: new.raw_log)
                self.forget(own, after, tmp_path)

                # Whoever is connected works on, until it connects anew.
                own.command("PUBLISH", "update", MESSAGES["kv:two"])
                until(lambda: own.command("GET", "kv:two") == GOOD["kv:two"], lambda: new.raw_log)
                assert old.stops()["received"] == 2
                is_calm(old)
                new.stops()
                is_calm(new)
        told = own.command("ACL", "GETUSER", "kv-updater")
        assert len(told[told.index(b"passwords") + 1]) == 1

    def test_who_has_the_old_one_alone_is_told_when_it_connects_anew(self, own: Server, tmp_path: Path) -> None:
        paste(EXAMPLE, own, tmp_path)
        with started("--config", "config.yaml", "--log-format", "json", directory=tmp_path, env=SECRETS) as service:
            service.says('"Ready"')
            paste(example("rotate"), own, tmp_path)
            self.forget(own, (tmp_path / "secrets" / "redis_url").read_text(), tmp_path)
            own.command("CLIENT", "KILL", "USER", "kv-updater")
            service.says("invalid username-password pair")
            assert service.logged("Not subscribed")

    def forget(self, own: Server, url: str, directory: Path) -> None:
        """As in the shell of before, which knows the hash of the new one."""
        password = url.rpartition("@")[0].rpartition(":")[2]
        paste(f"SHA256={sha256(password.encode()).hexdigest()}\n{example('forget')}", own, directory)


NOBODY_MAY = """
FLUSHALL | FLUSHDB | CONFIG GET * | CONFIG SET maxmemory 1 | ACL LIST | ACL SETUSER x on | CLIENT LIST | MONITOR
CLIENT KILL TYPE normal | SHUTDOWN NOSAVE | SAVE | KEYS * | SCAN 0 | INFO | REPLICAOF 127.0.0.1 1 | SCRIPT FLUSH
GET other | SET other x | DEL other | GET kv | SUBSCRIBE other | PSUBSCRIBE * | PUBLISH other x | MGET kv:one other
DEL kv:one | EXPIRE kv:one 1 | RENAME kv:one kv:two | APPEND kv:one x | XTRIM kv-updater:dead-letters MAXLEN 0
DEL kv-updater:dead-letters | XADD other * a b | COPY kv:one kv:two | SUBSCRIBE __redis__:invalidate
"""
MAY_NOT = {
    "updater": """
PUBLISH update x | PUBLISH prices:a x | PSUBSCRIBE update | SUBSCRIBE persisted | PUBLISH kv-updater:dead-letters x
GET kv-updater:dead-letters | SET kv-updater:dead-letters x | XRANGE kv-updater:dead-letters - + | MGET other
XDEL kv-updater:dead-letters 0-1 | XADD kv:one * a b | EVAL return(redis.call('GET','other')) 0
EVAL return(redis.call('PUBLISH','update','x')) 0 | EVAL return(redis.call('FLUSHALL')) 0 | EVAL return(1) 1 other
EVAL return(redis.call('SET','kv-updater:dead-letters','x')) 0
""",
    "updater-6.2": """
PUBLISH prices:a x | PSUBSCRIBE update | XRANGE kv-updater:dead-letters - + | XDEL kv-updater:dead-letters 0-1
EVAL return(redis.call('GET','other')) 0 | EVAL return(redis.call('FLUSHALL')) 0 | EVAL return(1) 1 other
""",
    "publisher": """
SUBSCRIBE update | PUBLISH persisted x | PUBLISH kv-updater:probe:x x | GET kv:one | SET kv:one x | EVAL return(1) 0
XADD update * a b | PUBSUB CHANNELS | XADD kv-updater:dead-letters * a b
""",
    "reader": """
SET kv:one x | PUBLISH persisted x | PUBLISH update x | SUBSCRIBE update | SUBSCRIBE kv-updater:probe:x
GET kv-updater:dead-letters | XRANGE kv-updater:dead-letters - + | EVAL return(1) 0
""",
    "dead-letters": """
XADD kv-updater:dead-letters * a b | SET kv-updater:dead-letters x | GET kv:one | SET kv:one x | EVAL return(1) 0
PUBLISH persisted x | PUBLISH kv-updater:probe:x x | SUBSCRIBE update | XRANGE kv:one - +
""",
}


@pytest.mark.parametrize("kind", TWO_SINCE_REDIS_7_UNLESS_LONG)
def test_each_account_is_a_line_of_an_acl_file(kind: str, tmp_path: Path) -> None:
    accounts = [UPDATER.having(*OPTIONAL), *map(account, ("publisher", "reader", "dead-letters"))]
    lines = [f"user {who.user} {who.rules}\n" for who in accounts]
    (tmp_path / "users.acl").write_text("".join(lines).replace("SHA256", sha256(PASSWORD.encode()).hexdigest()))
    with Server(kind, ("--aclfile", str(tmp_path / "users.acl"))) as server:
        loaded = [server.command("ACL", "GETUSER", who.user) for who in accounts]
        for who, in_file in zip(accounts, loaded, strict=True):
            who.set_on(server)
            assert server.command("ACL", "GETUSER", who.user) == in_file


def words_of(commands: str) -> Sequence[tuple[str, ...]]:
    return [tuple(text.split()) for text in re.split(r"\||\n", commands) if text.strip()]


@pytest.mark.parametrize("name", MAY_NOT)
def test_what_an_account_may_not_do(own: Server, name: str) -> None:
    who = UPDATER if name == "updater" else account(name)
    own.command("SET", "kv:one", GOOD["kv:one"])
    with connection(own, who) as opened:
        for words in words_of(NOBODY_MAY + MAY_NOT[name]):
            reply = opened.call(*words)
            assert isinstance(reply, hiredis.ReplyError), words
            assert DENIED.search(str(reply)), (words, reply)
    assert stored(own) == {"kv:one": GOOD["kv:one"]}
