"""What is drawn for given results: the texts of the SVG, which are texts and no outlines."""

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.benchmarks import plots
from tests.benchmarks.figures import Results
from tests.unit.benchmarks.sample_results import FACTS, SCALE, bursts, keys, sample, steady

pytest.importorskip("matplotlib", reason="matplotlib is in the dependency group bench alone")

_SVG = "{http://www.w3.org/2000/svg}"
_LARGEST = 60 << 10
_WIDTH = 660

Draw = Callable[..., dict[str, str]]


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """The pictures of these results: their documents by their names."""

    def draw(results: Results, **facts: object) -> dict[str, str]:
        folder = tmp_path / f"pictures-{len(list(tmp_path.iterdir()))}"
        written = plots.write(folder, FACTS | facts, SCALE, results)
        assert sorted(written) == sorted(folder.iterdir())
        return {path.name: path.read_text("utf-8") for path in written}

    return draw


def _texts(document: str) -> list[str]:
    return ["".join(text.itertext()) for text in ET.fromstring(document).iter(f"{_SVG}text")]


def test_each_picture_is_there_for_a_light_and_for_a_dark_page(draw: Draw) -> None:
    names = {f"{name}-{theme}.svg" for name in ("throughput", "cpu", "memory") for theme in ("light", "dark")}
    assert set(draw(bursts())) == names


def test_light_and_dark_differ_in_nothing_but_colours(draw: Draw) -> None:
    pictures = draw(bursts())
    light, dark = (_texts(pictures[f"throughput-{theme}.svg"]) for theme in ("light", "dark"))
    assert light == dark
    assert "#1f2328" in pictures["throughput-light.svg"]
    assert "#1f2328" not in pictures["throughput-dark.svg"]


def test_throughput_says_who_was_how_fast_and_the_best_is_first(draw: Draw) -> None:
    texts = _texts(draw(bursts())["throughput-light.svg"])
    names = [text for text in texts if text in {"kv-updater", "ioredis", "loop", "faststream", "node-redis"}]
    assert names == ["kv-updater", "ioredis", "loop", "faststream", "node-redis"]
    assert {"400,000/s", "5,000/s", "messages a second", "100,000 messages over 1,000 keys"} <= set(texts)


def test_what_failed_or_could_not_run_is_shown(draw: Draw) -> None:
    texts = _texts(draw(bursts())["throughput-light.svg"])
    assert "60,000/s (1 of 3 rounds failed)" in texts
    assert "failed: cut off by the server 1 x" in texts
    assert "not measured: node is not there" in texts


def test_a_scale_is_logarithmic_only_where_the_factor_asks_for_it(draw: Draw) -> None:
    assert any("logarithmic" in text for text in _texts(draw(bursts())["throughput-light.svg"]))
    near = Results([sample("few-keys", name, 1, rate=rate) for name, rate in (("loop", 5_000), ("kv-updater", 99_000))])
    texts = _texts(draw(near)["throughput-light.svg"])
    assert "0" in texts
    assert not any("logarithmic" in text for text in texts)


def test_cpu_is_that_of_the_client_and_of_the_server(draw: Draw) -> None:
    texts = _texts(draw(bursts())["cpu-light.svg"])
    assert {"client", "server", "2.1 + 1.5 µs", "102.0 µs"} <= set(texts)


def test_memory_is_in_mib(draw: Draw) -> None:
    assert {"61 MiB", "31 MiB"} <= set(_texts(draw(bursts())["memory-light.svg"]))


def test_latency_has_each_percentile_in_a_readable_unit(draw: Draw) -> None:
    texts = _texts(draw(steady())["latency-light.svg"])
    assert {"steady: 1,000/s", "steady: 10,000/s", "230 µs", "1.20 ms", "16.3 ms"} <= set(texts)
    assert [text for text in texts if text[2:] in {"p50", "p99", "p99.9", "max"}] == [
        "● p50",
        "◆ p99",
        "■ p99.9",
        "▲ max",
    ]
    assert "failed: cut off by the server 1 x" in texts


def test_scaling_has_the_numbers_that_were_measured_and_a_legend(draw: Draw) -> None:
    pictures = draw(keys())
    assert set(pictures) == {"scaling-keys-light.svg", "scaling-keys-dark.svg"}
    texts = _texts(pictures["scaling-keys-dark.svg"])
    assert {"Scaling: keys", "1,000", "1,000,000", "keys", "kv-updater, stream", "loop"} <= set(texts)
    assert "client CPU, µs a message (log)" in texts


def test_the_caption_names_the_machine_and_the_rounds(draw: Draw) -> None:
    texts = _texts(draw(bursts())["throughput-light.svg"])
    assert "Model 7, 2 cores · Redis 7.0.15 · CPython 3.11.7" in texts
    assert any(text.startswith("Median of 3 rounds") for text in texts)
    quick = _texts(draw(bursts(), rounds=1, quick=True)["throughput-light.svg"])
    assert "1 round; quick: small counts, these figures do not count" in quick


def test_results_without_data_make_no_picture(draw: Draw) -> None:
    assert draw(Results()) == {}
    assert draw(Results([sample("few-keys", "loop", 1, "not subscribed within 20 s")])) == {}
    assert draw(Results([sample("idle", "loop", 1, cpu_percent=0.0, rss_mib=31)])) == {}


def test_the_same_results_are_the_same_bytes(draw: Draw) -> None:
    assert draw(bursts()) == draw(bursts())
    assert not re.search(r"<dc:date>|20\d\d-\d\d-\d\d", draw(bursts())["cpu-light.svg"])


def test_a_picture_has_a_title_a_generic_font_and_no_background(draw: Draw) -> None:
    for document in (draw(bursts()) | draw(steady()) | draw(keys())).values():
        root = ET.fromstring(document)
        assert (root.findtext(f"{_SVG}title") or "").strip()
        assert set(re.findall(r"font-family: ?([^;}\"]*)", document)) == {"sans-serif"}
        assert "DejaVu" not in document
        page = root.find(f".//{_SVG}path")
        assert page is not None
        assert "fill:none" in page.attrib["style"]


def test_a_text_is_shown_as_it_is(draw: Draw) -> None:
    """Names are neither formulas nor markup."""
    name = 'kv-updater <"$x$"; a: b> 0.123456'
    texts = _texts(draw(Results([sample("few-keys", name, 1, rate=5_000)]))["throughput-light.svg"])
    assert name in texts


def test_no_text_leaves_the_picture(draw: Draw) -> None:
    from tests.benchmarks.plots.letters import width

    long = "not subscribed within 20 s " * 30
    longest = sample("few-keys", "kv-updater, with every feature on and two replicas", 1, long)
    pictures = draw(Results([longest, *bursts().samples, *steady().samples, *keys().samples]), cpu=long)
    for document in pictures.values():
        for text in ET.fromstring(document).iter(f"{_SVG}text"):
            style = dict(re.findall(r"([\w-]+): ?([^;]*)", text.attrib["style"]))
            wide = width(
                text.text or "", size=float(style["font-size"].removesuffix("px")), bold="font-weight" in style
            )
            anchor = {"end": 1.0, "middle": 0.5}.get(style.get("text-anchor", "start"), 0.0)
            left = float(text.attrib["x"]) - anchor * wide
            assert left >= 0, text.text
            assert left + wide <= _WIDTH, text.text
    assert any(text.startswith("failed: not") and text.endswith("…") for text in _texts(pictures["cpu-dark.svg"]))


def test_a_full_run_stays_small(draw: Draw) -> None:
    """Eight contestants, five rounds, four scenarios, three rates, four numbers."""
    results = Results()
    for at, name in enumerate(("kv-updater", "kv-updater, stream", "loop", "b", "c", "d", "e", "f")):
        for round_ in range(1, 6):
            figures = {"cpu_us_per_message": at + round_, "server_cpu_us_per_message": at + 2, "peak_mib": 30 + at}
            for scenario in ("few-keys", "many-keys", "all-different", "flood"):
                results.add([sample(scenario, name, round_, rate=1_000 * (at + 1) ** 3 + round_, **figures)])
            for number in (1_000, 10_000, 100_000):
                late = {f"late_{p}_us": (at + 1) * number / 7 + round_ for p in ("p50", "p99", "p999", "max")}
                results.add([sample("steady", f"{name}, {number:,}/s", round_, **late)])
            for number in (1_000, 10_000, 100_000, 1_000_000):
                results.add([sample("scaling-keys", f"{name}, {number:,} keys", round_, rate=number + at, **figures)])
    assert max(len(document.encode()) for document in draw(results).values()) < _LARGEST
