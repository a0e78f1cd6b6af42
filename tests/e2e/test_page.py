"""The live page in a real browser."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.faults.wire import wire_to
from tests.proxy import TcpProxy
from tests.servers import Server
from tests.service import Publisher, subscribed, until
from tests.serving import Api, serving
from tests.world import message, record

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from tests.browser import Visit, chromium, visiting  # noqa: E402 (they need it)

OLD, NEW = "2026-11-22T19:00:01Z", "2026-11-22T19:00:02Z"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def behind() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def chain(behind: Server, tmp_path: Path) -> Iterator[Api]:
    behind.command("FLUSHALL")
    with subscribed(behind.url, directory=tmp_path), serving(behind.url, directory=tmp_path) as api:
        yield api


@pytest.fixture
def visit(browser: Any, chain: Api) -> Iterator[Visit]:
    with visiting(browser, chain.address) as opened:
        yield opened


def publish(server: Server, *payloads: bytes) -> None:
    with Publisher(server.port) as publisher:
        publisher.publish(payloads)


def rfc_3339(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds").replace("+00:00", "Z")


class TestRecords:
    def test_they_appear_and_change_without_a_reload(self, visit: Visit, behind: Server) -> None:
        visit.page.evaluate("window.mark = 1")
        publish(behind, message("door:front", OLD, '{"open": false}'))
        visit.row("door:front").get_by_text("open: false").wait_for()

        publish(behind, message("door:front", NEW, '{"open": true}'))

        visit.row("door:front").get_by_text("open: true").wait_for()
        assert "changed" in visit.row("door:front").get_attribute("class")
        assert visit.row("door:front").count() == 1
        assert visit.page.evaluate("window.mark") == 1
        assert visit.page.locator("#count").inner_text() == "1 records"

    @pytest.mark.long
    def test_those_that_were_there_before_are_in_the_order_of_their_types(
        self, browser: Any, chain: Api, behind: Server
    ) -> None:
        publish(behind, *(message(type_, OLD) for type_ in ("c", "a", "b")))
        with visiting(browser, chain.address) as visit:
            visit.row("b").wait_for()
            visit.row("c").wait_for()
            assert visit.page.locator("#records .type").all_inner_texts() == ["a", "b", "c"]

    @pytest.mark.long
    def test_how_long_they_are_valid_is_a_word_and_a_countdown(self, visit: Visit, behind: Server) -> None:
        now = datetime.now(UTC)
        publish(
            behind,
            message("a", OLD, valid=rfc_3339(now + timedelta(hours=3))),
            message("b", OLD, valid=rfc_3339(now - timedelta(hours=3))),
            message("c", OLD, valid=rfc_3339(now + timedelta(seconds=3))),
            message("d", OLD),
        )

        visit.row("a").get_by_text("fresh").wait_for()
        visit.row("b").get_by_text("overdue").wait_for()
        visit.row("d").get_by_text("unknown").wait_for()
        visit.row("c").get_by_text("overdue").wait_for()
        assert visit.row("a").locator(".state span").inner_text() in {"2 h", "3 h", "179 m", "180 m"}
        colours = [visit.row(type_).locator("b").evaluate("it => getComputedStyle(it).color") for type_ in "abd"]
        assert len(set(colours)) == 3

    @pytest.mark.long
    def test_numbers_keep_their_digits(self, visit: Visit, behind: Server) -> None:
        publish(behind, message("n", OLD, "[1.0, 12345678901234567890, 1e2]"))

        visit.row("n").get_by_text("[1.0, 12345678901234567890, 1e2]").wait_for()

    def test_objects_and_lists_open_level_by_level_by_keyboard(self, visit: Visit, behind: Server) -> None:
        publish(behind, message("w", OLD, '{"wind": {"speed": 3.4, "gusts": [5, 6]}}'))
        visit.row("w").locator("summary").focus()
        visit.page.keyboard.press("Enter")
        visit.row("w").locator("details details > summary").focus()
        visit.page.keyboard.press("Enter")

        assert visit.row("w").locator("details details .leaf").inner_text() == "speed: 3.4"

        # What was opened stays open, and what has the focus keeps it, in the next record.
        publish(behind, message("w", NEW, '{"wind": {"speed": 3.5, "gusts": [7, 8]}}'))
        visit.row("w").locator("details details .leaf").get_by_text("speed: 3.5").wait_for()
        assert visit.page.evaluate("document.activeElement.innerText") == "wind: {speed: 3.5, gusts: [7, 8]}"
        visit.page.keyboard.press("Enter")
        visit.row("w").locator("details details .leaf").first.wait_for(state="hidden")

    def test_the_filter_finds_types_and_values(self, visit: Visit, behind: Server) -> None:
        publish(behind, message("door", OLD, '["shut"]'), message("gate", OLD, '["door"]'), message("x", OLD, "[1]"))
        visit.row("x").wait_for()
        visit.page.keyboard.press("/")
        visit.page.keyboard.type("DOOR")

        visit.page.locator("#count").get_by_text("2 of 3 records").wait_for()
        assert visit.page.locator("#records .type").all_inner_texts() == ["door", "gate"]


class TestHostileValues:
    HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"

    def test_they_are_text(self, visit: Visit, behind: Server) -> None:
        values = json.dumps({self.HOSTILE: self.HOSTILE, "__proto__": {"polluted": 1}, "lines": "one\ntwo\r\n\u2028"})
        publish(
            behind,
            message(self.HOSTILE, OLD, values),
            message("__proto__", OLD, '{"constructor": []}'),
        )

        visit.row("__proto__").wait_for()
        hostile = visit.row(self.HOSTILE)
        hostile.wait_for()
        hostile.locator("summary").first.click()
        assert self.HOSTILE in hostile.locator(".leaf").first.inner_text()
        hostile.locator("details details > summary").get_by_text("polluted: 1").wait_for()
        assert visit.page.locator("#records script, #records img").count() == 0
        assert visit.page.evaluate("({}).polluted") is None

    @pytest.mark.long
    def test_a_long_string_is_cut_and_the_page_goes_on(self, visit: Visit, behind: Server) -> None:
        publish(behind, message("long", OLD, f'["{"x" * 1_000_000}"]'))
        visit.row("long").locator("summary").click()

        visit.row("long").get_by_text("(1,000,000 characters)").wait_for()
        assert len(visit.row("long").inner_text()) < 25_000
        publish(behind, message("after", OLD))
        visit.row("after").wait_for()


class TestTheConnection:
    def test_a_server_that_stops_and_comes_back_is_found_again(
        self, browser: Any, behind: Server, tmp_path: Path
    ) -> None:
        behind.command("FLUSHALL")
        behind.command("SET", "a", record(OLD, "[1]"))
        behind.command("SET", "b", record(OLD, "[1]"))
        with ExitStack() as stack:
            api = stack.enter_context(serving(behind.url, directory=tmp_path))
            visit = stack.enter_context(visiting(browser, api.address))
            visit.row("a").get_by_text("[1]").wait_for()
            assert api.service.ends(signal.SIGTERM) == 0
            visit.says("connection lost")
            behind.command("SET", "a", record(NEW, "[2]"))
            behind.command("DEL", "b")

            env = {"KV_UPDATER_HTTP_PORT": str(api.port)}
            stack.enter_context(serving(behind.url, directory=tmp_path, env=env))

            visit.says("live")
            visit.row("a").get_by_text("[2]").wait_for()
            assert visit.page.locator("#records .type").all_inner_texts() == ["a"]

    @pytest.mark.long
    def test_a_server_that_has_lost_its_redis_is_not_called_live(self, browser: Any, tmp_path: Path) -> None:
        with (
            Server() as own,
            serving(own.url, "--probe-interval", "0.3s", directory=tmp_path) as api,
            visiting(browser, api.address) as visit,
        ):
            visit.says("live")
            own.freeze()
            visit.says("not up to date")
            own.thaw()
            visit.says("live")

    @pytest.mark.long
    def test_a_server_that_is_frozen_is_not_called_live_either(
        self, browser: Any, behind: Server, tmp_path: Path
    ) -> None:
        behind.command("FLUSHALL")
        behind.command("SET", "a", record(OLD))
        with serving(behind.url, directory=tmp_path) as api, visiting(browser, api.address) as visit:
            visit.says("live")
            api.service.freeze()
            visit.says("no answer, trying again")
            api.service.thaw()
            visit.says("live")
            visit.row("a").wait_for()

    @pytest.mark.long
    def test_where_a_token_is_needed_it_is_asked_for(self, browser: Any, behind: Server, tmp_path: Path) -> None:
        behind.command("FLUSHALL")
        behind.command("SET", "a", record(OLD, "[1]"))
        with (
            serving(behind.url, directory=tmp_path, env={"KV_UPDATER_HTTP_TOKEN": "sesame"}) as api,
            visiting(browser, api.address) as visit,
        ):
            visit.page.get_by_label("Token").fill("sesam")
            visit.page.keyboard.press("Enter")
            visit.page.get_by_role("alert").get_by_text("This is not the token.").wait_for()
            visit.page.get_by_label("Token").fill("sesame")
            visit.page.keyboard.press("Enter")

            visit.row("a").get_by_text("[1]").wait_for()

    @pytest.mark.long
    def test_a_plain_event_source_resumes_where_it_was_cut(self, browser: Any, chain: Api, behind: Server) -> None:
        publish(behind, message("a", OLD, "[1]"), message("b", OLD, "[1]"))
        with wire_to(chain) as wire, visiting(browser, f"http://127.0.0.1:{wire.port}") as visit:
            visit.row("b").wait_for()
            visit.page.evaluate("""() => {
                window.heard = [];
                const source = new EventSource("/events");
                source.onopen = () => heard.push("open");
                source.addEventListener("update", ({ data }) => heard.push(JSON.parse(data).values[0]));
            }""")
            until(lambda: visit.page.evaluate("heard.length") == 3)
            wire.does(TcpProxy.cut)
            publish(behind, message("b", NEW, "[2]"))
            until(lambda: visit.page.evaluate("heard.length") == 5)
            publish(behind, message("a", NEW, "[3]"))
            until(lambda: visit.page.evaluate("heard.length") == 6)

            assert visit.page.evaluate("heard") == ["open", 1, 1, "open", 2, 3]


class TestHowItLooks:
    def test_on_a_phone_nothing_is_wider_than_the_screen(self, browser: Any, chain: Api, behind: Server) -> None:
        with visiting(browser, chain.address, viewport={"width": 360, "height": 740}) as visit:
            publish(behind, message("x" * 200, OLD, f'{{"{"y" * 200}": "{"z" * 200}"}}'))
            visit.row("x" * 200).wait_for()
            assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360

    @pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
    def test_every_text_stands_out_from_its_ground(self, browser: Any, chain: Api, behind: Server, scheme: str) -> None:
        with visiting(browser, chain.address, color_scheme=scheme) as visit:
            publish(behind, message("a", OLD, '{"b": 1}', valid=OLD))
            visit.row("a").get_by_text("overdue").wait_for()
            ratios = {
                selector: visit.page.locator(selector).first.evaluate(_CONTRAST)
                for selector in ("h1", "#connection", "th", ".type", ".time", ".state b", "summary", "footer a")
            }

        # WCAG 2.2, success criterion 1.4.3.
        assert {selector: ratio for selector, ratio in ratios.items() if ratio < 4.5} == {}

    @pytest.mark.long
    def test_a_screen_reader_is_told_what_is_what(self, visit: Visit, behind: Server) -> None:
        publish(behind, message("a", OLD))
        visit.row("a").wait_for()

        page = visit.page
        assert page.get_by_role("table", name="The newest record of every type").count() == 1
        assert page.get_by_role("columnheader").all_inner_texts() == ["Type", "Values", "Updated", "Valid"]
        assert page.get_by_role("searchbox", name="Filter").count() == 1
        assert page.get_by_role("status").inner_text() == "live"


_CONTRAST = """(it) => {
    const linear = (part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const light = (colour) => {
        const [red, green, blue] = colour.match(/[0-9.]+/g).map(Number).map(linear);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    let ground = it;
    while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
    const two = [getComputedStyle(it).color, getComputedStyle(ground).backgroundColor].map(light).sort((a, b) => b - a);
    return (two[0] + 0.05) / (two[1] + 0.05);
}"""
