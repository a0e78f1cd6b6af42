"""The API server as a whole: records, events and probes over HTTP, whatever happens behind it."""

import gzip
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Server
from tests.service import Publisher, command, subscribed, until
from tests.serving import Api, drip, serving
from tests.world import message, record

OLD, NEW = "2026-11-22T19:00:01Z", "2026-11-22T19:00:02Z"


@pytest.fixture
def api(redis_url: str, tmp_path: Path) -> Iterator[Api]:
    with serving(redis_url, directory=tmp_path) as running:
        yield running


@pytest.fixture
def updater(redis_url: str, tmp_path: Path) -> Iterator[None]:
    with subscribed(redis_url, directory=tmp_path):
        yield


def publish(server: Server, *payloads: bytes) -> None:
    with Publisher(server.port) as publisher:
        publisher.publish(payloads)


class TestKey:
    def test_the_stored_record_byte_for_byte(self, api: Api, server: Server) -> None:
        text = record(OLD, '{"n": 1.0, "é": "\\u0000"}')
        server.command("SET", "weather/berlin é", text)

        answer = api.get("/key/weather/berlin%20%C3%A9")

        assert (answer.status, answer.body) == (200, text)
        assert answer.headers["content-type"] == "application/json"

    def test_what_is_no_record_is_not_found(self, api: Api, server: Server) -> None:
        server.command("SET", "text", "secret")
        server.command("RPUSH", "list", "secret")
        for path in ("/key/none", "/key/text", "/key/list", "/key/", "/key/%00", "/key/%ff"):
            answer = api.get(path)
            assert (answer.status, answer.json) == (404, {"detail": "there is no record of this type"}), path

    def test_nothing_outside_of_the_prefix_and_the_allowed_types(
        self, redis_url: str, server: Server, tmp_path: Path
    ) -> None:
        for key in ("kv:a", "kv:b", "a"):
            server.command("SET", key, record(OLD, f'["{key}"]'))
        flags = ("--key-prefix", "kv:", "--allowed-types", "a,c*")
        with serving(redis_url, *flags, directory=tmp_path) as api, api.events() as events:
            assert api.get("/key/a").body == record(OLD, '["kv:a"]')
            assert [api.get(f"/key/{type_}").status for type_ in ("b", "kv:a", "../a")] == [404] * 3
            assert [row["type"] for row in api.get("/keys").json["keys"]] == ["a"]
            assert [update["type"] for update in events.updates(1)] == ["a"]

    def test_who_has_it_is_told_so(self, api: Api, server: Server) -> None:
        server.command("SET", "a", record(OLD))
        tag = api.get("/key/a").headers["etag"]

        answer = api.get("/key/a", if_none_match=f'"other", {tag}')
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
        server.command("SET", "a", record(NEW))
        assert api.get("/key/a", if_none_match=tag).status == 200

    def test_a_long_one_comes_compressed_to_who_wants_that(self, api: Api, server: Server) -> None:
        text = record(OLD, f'["{"x" * 10_000}"]')
        server.command("SET", "a", text)

        answer = api.get("/key/a", accept_encoding="gzip")

        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(answer.body) == text

    def test_what_others_have_written_is_told_as_a_record_or_not_at_all(self, api: Api, server: Server) -> None:
        server.command("SET", "a", b' {"type":"b","values":{"n":1},"more":2}')
        server.command("SET", "b", b'{"values":1}')

        assert api.get("/key/a").body == b'{"updated":null,"valid":null,"values":{"n":1}}'
        assert api.get("/key/b").status == 404

    def test_a_head_is_answered(self, api: Api, server: Server) -> None:
        server.command("SET", "a", record(OLD))
        for path, status in (("/key/a", 200), ("/key/b", 404), ("/keys", 200), ("/livez", 200), ("/readyz", 200)):
            answer = api.get(path, "HEAD")
            assert (answer.status, answer.body) == (status, b""), path


class TestKeys:
    def test_a_text_that_was_cut_inside_an_emoji_costs_nobody_the_list(
        self, redis_url: str, server: Server, tmp_path: Path
    ) -> None:
        server.command("SET", "a", record(OLD, '["\\ud83d"]'))
        server.command("SET", "b", record(NEW))
        with serving(redis_url, directory=tmp_path) as api, api.events() as events:
            assert [(row["type"], row["updated"]) for row in api.get("/keys").json["keys"]] == [("a", OLD), ("b", NEW)]
            assert {update["type"] for update in events.updates(2)} == {"a", "b"}

    def test_page_by_page_in_order(self, redis_url: str, server: Server, tmp_path: Path) -> None:
        for number in range(25):
            server.command("SET", f"key:{number:02}", record(OLD))
        with serving(redis_url, directory=tmp_path) as api:
            found, after = [], ""
            while after is not None:
                page = api.get(f"/keys?limit=10&after={after}").json
                assert page["count"] == 25
                found += page["keys"]
                after = page["next"]

        assert [row["type"] for row in found] == [f"key:{number:02}" for number in range(25)]
        assert (found[0]["updated"], found[0]["valid"]) == (OLD, None)
        assert found[0]["age"] > 0


@pytest.mark.usefixtures("updater")
class TestEvents:
    def test_first_what_is_there_and_then_each_change(self, api: Api, server: Server) -> None:
        publish(server, message("a", OLD, "[\n1,\r\n 2.0]"))
        until(lambda: api.get("/key/a").status == 200)
        with api.events() as events:
            first = next(event for event in events if event.name == "update")
            publish(server, message("a", NEW, "[3]"))
            second = next(iter(events))

        assert events.retry == 2000
        assert first.data == f'{{"type":"a","updated":"{OLD}","valid":null,"values":[ 1,   2.0]}}'
        assert (second.name, second.json) == ("update", {"type": "a", "updated": NEW, "valid": None, "values": [3]})
        assert first.id != second.id

    def test_who_comes_back_gets_what_it_has_not_and_that_once(self, api: Api, server: Server) -> None:
        publish(server, message("a", OLD), message("b", OLD))
        with api.events() as events:
            events.updates(2)
            last_id = events.last_id
        publish(server, message("b", NEW), message("c", NEW))
        until(lambda: api.get("/keys").json["count"] == 3)

        with api.events(last_event_id=last_id) as events:
            assert {(update["type"], update["updated"]) for update in events.updates(2)} == {("b", NEW), ("c", NEW)}
            publish(server, message("a", NEW))
            assert [update["type"] for update in events.updates(1)] == ["a"]

    @pytest.mark.parametrize("unknown", ["another-1", "nonsense", "-5", "", "é"])
    def test_an_id_that_it_does_not_know_gets_everything(self, api: Api, server: Server, unknown: str) -> None:
        publish(server, message("a", OLD))
        until(lambda: api.get("/keys").json["count"] == 1)

        with api.events(last_event_id=unknown.encode().decode("latin-1")) as events:
            assert [event.name for _, event in zip(range(2), events, strict=False)] == ["reset", "update"]

    def test_only_the_types_that_are_wanted(self, api: Api, server: Server) -> None:
        with api.events("?types=b*&types=,%20door") as events:
            publish(server, *(message(type_, OLD) for type_ in ("a", "bell", "door", "doors", "c", "b")))

            assert sorted(update["type"] for update in events.updates(3)) == ["b", "bell", "door"]


class TestWhoMayAsk:
    def test_with_a_token_nothing_of_a_record_is_told_without_it(
        self, redis_url: str, server: Server, tmp_path: Path
    ) -> None:
        server.command("SET", "a", record(OLD))
        with serving(redis_url, directory=tmp_path, env={"KV_UPDATER_HTTP_TOKEN": "sesame"}) as api:
            for path in ("/key/a", "/keys", "/events", "/openapi.json", "/docs"):
                assert api.get(path).status == 401
                assert api.get(path, authorization="Bearer sesam").json == {"detail": "this is not the token"}
            assert api.get("/key/a", authorization="Bearer sesame").body == record(OLD)
            assert [api.get(path).status for path in ("/", "/livez", "/readyz", "/metrics")] == [200] * 4
            assert api.get("/key/a", host="any.example", authorization="Bearer sesame").status == 200
            assert api.get("/login", "POST", "sesam").status == 401
            cookie = api.get("/login", "POST", "sesame").headers["set-cookie"]
            assert "HttpOnly" in cookie
            assert api.get("/key/a", cookie=cookie.partition(";")[0]).status == 200
            log = api.service.raw_log
        assert b"sesam" not in log
        shown = command("config", directory=tmp_path, env={"KV_UPDATER_HTTP_TOKEN": "sesame"})
        assert "sesame" not in shown.stdout

    def test_pages_of_the_origins_that_are_named_and_no_others(self, redis_url: str, tmp_path: Path) -> None:
        with serving(redis_url, "--http-origins", "https://a.example", directory=tmp_path) as api:
            answers = [api.get("/keys", origin=origin) for origin in ("https://a.example", "https://a.example.evil")]

        assert answers[0].headers["access-control-allow-origin"] == "https://a.example"
        assert "access-control-allow-origin" not in answers[1].headers

    def test_a_name_that_somebody_else_points_here_is_not_served(
        self, redis_url: str, server: Server, tmp_path: Path
    ) -> None:
        server.command("SET", "a", record(OLD))
        with serving(redis_url, "--http-origins", "https://a.example", directory=tmp_path) as api:
            for host, status in (
                ("evil.example", 421),
                ("localhost:8000", 200),
                ("[::1]:8000", 200),
                ("A.example", 200),
                ("", 421),
            ):
                assert api.get("/key/a", host=host).status == status, host

    def test_any_loopback_address_is_one(self, redis_url: str, tmp_path: Path) -> None:
        with serving(redis_url, "--host", "127.0.0.2", "--port", "0", directory=tmp_path) as api:
            assert api.host == "127.0.0.2"
            for host, status in (("127.0.0.2", 200), ("localhost", 200), ("evil.example", 421)):
                assert api.get("/keys", host=host).status == status, host

    def test_whoever_probes_needs_to_know_no_name(self, api: Api) -> None:
        assert [api.get(path, host="any.example").status for path in ("/livez", "/readyz", "/metrics")] == [200] * 3
        assert [api.get(path, "HEAD").status for path in ("/livez", "/readyz", "/metrics")] == [200] * 3

    def test_where_everybody_may_read_that_is_told(self, redis_url: str, tmp_path: Path) -> None:
        with serving(redis_url, "--host", "0.0.0.0", directory=tmp_path) as api:
            (told,) = api.service.logged("Whoever reaches this address can read all records")
            assert (told["level"], told["setting"]) == ("WARNING", "http_token")
        with serving(redis_url, directory=tmp_path) as api:
            assert not api.service.logged("Whoever reaches this address can read all records")

    def test_an_address_that_is_none_is_told(self, redis_url: str, tmp_path: Path) -> None:
        done = command("serve", "--host", "[::1]", "--redis-url", redis_url, directory=tmp_path)

        assert done.returncode == 1
        assert "one of IPv6 has no brackets" in done.stderr

    def test_a_login_that_is_refused_names_the_setting(self, server: Server, tmp_path: Path) -> None:
        with Server(server.kind, password="right") as own:
            done = command(
                *("serve", "--port", "0", "--log-format", "json"),
                *("--redis-url", own.url.replace("right", "wrong")),
                directory=tmp_path,
            )

        assert done.returncode == 1
        assert '"setting": "redis_url"' in done.stderr

    def test_an_error_is_json_with_one_text(self, api: Api) -> None:
        for path in ("/keys?limit=x", "/nowhere", f"/events?types={'x' * 9000}"):
            assert isinstance(api.get(path).json["detail"], str), path

    def test_what_is_too_much_is_turned_down(self, api: Api) -> None:
        assert api.get(f"/events?types={'x' * 9000}").status == 414
        assert api.get(f"/events?types={','.join(map(str, range(101)))}").status == 400
        assert api.get("/keys?limit=1001").status == 422
        with drip(api.port, b"GET / HTTP/1.1\r\nx: " + b"x" * 70_000) as endless:
            assert endless.recv(1000) == b""

    @pytest.mark.long
    def test_who_sends_a_request_drop_by_drop_is_cut(self, api: Api) -> None:
        with drip(api.port, b"GET / HTT") as slow:
            assert slow.recv(1000) == b""
        assert api.get("/livez").status == 200


class TestTheStoreBehindIt:
    def test_a_restart_is_told_and_recovered_from(self, tmp_path: Path) -> None:
        with Server(data_dir=tmp_path) as server:
            server.command("SET", "a", record(OLD))
            with serving(server.url, "--probe-interval", "0.2s", directory=tmp_path) as api, api.events() as events:
                assert len(events.updates(1)) == 1
                server.kill()
                until(lambda: api.get("/readyz").status == 503)
                assert api.get("/key/a").status == 503
                assert api.get("/livez").status == 200
                server.start()
                until(lambda: api.get("/readyz").status == 200)
                server.command("SET", "a", record(NEW))
                publish(server, message("a", NEW))

                assert [update["updated"] for update in events.updates(1)] == [NEW]
                assert "kv_updater_gaps_total 1.0" in api.get("/metrics").body.decode()

    def test_at_the_end_readers_are_let_go(self, api: Api) -> None:
        with api.events() as events:
            next(iter(events))
            assert api.service.ends(signal.SIGTERM) == 0
            assert list(events) == []

    def test_a_port_that_is_taken_is_one_clear_line(self, api: Api, redis_url: str, tmp_path: Path) -> None:
        run = command(
            "serve", "--http-port", str(api.port), directory=tmp_path, env={"KV_UPDATER_REDIS_URL": redis_url}
        )

        assert run.returncode == 1
        assert run.stderr.splitlines()[-1].startswith(f"kv-updater: cannot listen on 127.0.0.1 port {api.port}")


class TestThePage:
    def test_it_loads_nothing_from_elsewhere_and_runs_nothing_inline(self, api: Api) -> None:
        page = api.get("/")
        assert "script-src 'self';" in page.headers["content-security-policy"]
        for path in ("/", "/page/page.js", "/page/row.js", "/page/follow.js", "/page/page.css", "/docs"):
            answer = api.get(path)
            assert answer.status == 200, path
            text = answer.body.decode().replace("http://www.w3.org/2000/svg", "")
            assert "http://" not in text
            assert "https://" not in text

    def test_the_documentation_knows_the_routes(self, api: Api) -> None:
        assert set(json.loads(api.get("/openapi.json").body)["paths"]) == {
            "/key/{type}",
            "/keys",
            "/events",
            "/livez",
            "/readyz",
            "/metrics",
        }


class TestWhatIsRefusedAtTheStart:
    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["--redis-url", "memory://"], "redis_url: this command takes the address of a running server"),
            (["--redis-url", "embedded://"], "redis_url: this command takes the address of a running server"),
            (["--http-token", ""], "http_token"),
            (["--http-token", "a b"], "http_token"),
            (["--http-origins", "https://example.com/"], "http_origins"),
            (["--http-origins", "*"], "http_origins"),
        ],
    )
    def test_it_is_one_line(self, tmp_path: Path, arguments: list[str], told: str) -> None:
        run = command("serve", *arguments, directory=tmp_path)

        assert (run.returncode, run.stderr.count("\n")) == (2, 1)
        assert told in run.stderr
