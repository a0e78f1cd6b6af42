"""Which contestants are points of one line, and which figures are percentiles."""

import pytest

from tests.benchmarks.figures import Results
from tests.benchmarks.plots.percentiles import panels as latencies
from tests.benchmarks.plots.percentiles import percentile
from tests.benchmarks.plots.scaling import panels as scaled
from tests.benchmarks.plots.series import point, points
from tests.unit.benchmarks.sample_results import bursts, keys, sample, steady


@pytest.mark.parametrize(
    ("contestant", "subject", "number", "unit"),
    [
        ("kv-updater, 1,000 keys", "kv-updater", 1_000, "keys"),
        ("kv-updater, stream, 64 channels", "kv-updater, stream", 64, "channels"),
        ("kv-updater, 10,000/s", "kv-updater", 10_000, "/s"),
        ("loop, 100 B", "loop", 100, "size of a message"),
        ("loop, 1.5 KiB", "loop", 1_536, "size of a message"),
    ],
)
def test_a_number_at_the_end_of_the_name_is_a_point(contestant: str, subject: str, number: float, unit: str) -> None:
    found = point(contestant)
    assert found is not None
    assert (found.subject, found.number, found.unit) == (subject, number, unit)


@pytest.mark.parametrize("contestant", ["kv-updater", "ioredis, auto-pipelining", "loop, plain", "2 replicas"])
def test_other_names_are_none(contestant: str) -> None:
    assert point(contestant) is None


def test_a_number_that_nobody_varies_is_a_part_of_the_name() -> None:
    assert points(["kv-updater", "kv-updater, 2 replicas", "loop"]) == []


def test_who_was_tried_at_one_number_only_is_in_the_series_of_the_others() -> None:
    found = points(["kv-updater, 1 channels", "kv-updater, 8 channels", "loop, 1 channels"])
    assert [(at.subject, at.number) for at in found] == [("kv-updater", 1), ("kv-updater", 8), ("loop", 1)]


def test_zero_has_no_place_on_a_logarithmic_scale() -> None:
    assert points(["loop, 0 readers", "loop, 10 readers"]) == []


@pytest.mark.parametrize(
    ("figure", "name", "unit"),
    [
        ("p50_us", "p50", 1),
        ("p99_ms", "p99", 1_000),
        ("late_p999_us", "p99.9", 1),
        ("late_max_ms", "max", 1_000),
    ],
)
def test_percentiles_are_known_by_their_names(figure: str, name: str, unit: float) -> None:
    found = percentile(figure)
    assert found is not None
    assert (found.name, found.unit) == (name, unit)


@pytest.mark.parametrize("figure", ["rate", "peak_mib", "cpu_us_per_message", "p50", "server_cpu_us_per_message"])
def test_other_figures_are_no_percentiles(figure: str) -> None:
    assert percentile(figure) is None


def test_each_rate_has_a_panel_with_the_best_first_and_the_failed_last() -> None:
    slow, fast = latencies(steady(), "steady", "")
    assert (slow.heading, [line.name for line in slow.lines]) == ("steady: 1,000/s", ["loop", "kv-updater"])
    assert (fast.heading, [line.name for line in fast.lines]) == ("steady: 10,000/s", ["kv-updater", "loop"])
    assert fast.lines[1].remark == "failed: cut off by the server 1 x"


def test_milliseconds_and_microseconds_are_drawn_on_one_scale() -> None:
    results = Results([sample("fan-out", "kv-updater", 1, late_p50_ms=41, late_p99_ms=168)])
    ((line,),) = [panel.lines for panel in latencies(results, "fan-out", "")]
    assert {name: spread.median for name, spread in line.spreads.items()} == {"p50": 41_000, "p99": 168_000}


def test_a_maximum_alone_is_no_latency_picture() -> None:
    results = Results([sample("fan-out-idle", "kv-updater", 1, late_max_ms=12)])
    assert latencies(results, "fan-out-idle", "") == []


def test_scaling_has_a_panel_for_each_figure_that_was_varied() -> None:
    (panel,) = scaled(keys(), "scaling-keys")
    assert panel.figure == "cpu_us_per_message"
    assert panel.labels == {1_000: "1,000", 1_000_000: "1,000,000"}
    assert list(panel.subjects) == ["kv-updater", "kv-updater, stream", "loop"]
    assert panel.subjects["kv-updater"][1_000_000].rounds == [2.4, 4.8]


def test_a_scenario_that_varies_nothing_has_no_scaling() -> None:
    assert scaled(bursts(), "few-keys") == []
