"""The alerts: promtool's opinion of them and of their tests, and what it does not look at."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.promql import Names, named, promtool
from tests.exposition import series

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
TESTS = RULES.with_name("rules.test.yaml")
RUNBOOK = ROOT / "docs" / "operations.md"
_OF_TARGETS = {"namespace", "job", "instance"}

Alert = dict[str, Any]
_GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
ALERTS: list[Alert] = [rule for group in _GROUPS for rule in group["rules"]]
_SCENARIOS: list[dict[str, Any]] = yaml.safe_load(TESTS.read_text("utf-8"))["tests"]
_HEALTHY, *_PROVOKED = _SCENARIOS
every_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])


def _names_of(scenario: dict[str, Any]) -> set[str]:
    return {name for row in scenario["input_series"] for name in named(row["series"]).metrics}


def _told(scenario: dict[str, Any], *, fires: bool) -> Iterator[str]:
    for test in scenario["alert_rule_test"]:
        if bool(test["exp_alerts"]) is fires:
            yield test["alertname"]


def test_promtool_finds_no_fault_in_the_rules() -> None:
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", RULES)


@pytest.mark.timeout(300)
def test_promtool_sees_each_alert_fire_and_none_on_a_healthy_day() -> None:
    assert "SUCCESS" in promtool("test", "rules", TESTS)


@every_alert
def test_whoever_is_woken_is_told_what_it_is(alert: Alert) -> None:
    assert re.fullmatch(r"KvUpdater\w+", alert["alert"])
    assert re.fullmatch(r"\d+[sm]", alert["for"])
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    notes = alert["annotations"]
    assert notes.keys() == {"summary", "description", "runbook_url"}
    assert "$labels.namespace" in notes["description"]
    assert "(value" not in notes["description"]
    assert "{{" not in notes["summary"]


@every_alert
def test_the_runbook_has_it(alert: Alert) -> None:
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert ROOT / page == RUNBOOK
    assert anchor == alert["alert"].lower()
    assert f"\n### {alert['alert']}\n" in RUNBOOK.read_text("utf-8")


def test_the_runbook_has_no_other() -> None:
    headings = re.findall(r"^### (KvUpdater\w+)$", RUNBOOK.read_text("utf-8"), re.MULTILINE)
    assert headings == [alert["alert"] for alert in ALERTS]


def test_what_an_expression_names_is_found() -> None:
    text = 'sum by (job, le) (rate(a_total{kind!="x or y"}[5m:1m] offset 1h)) > 0.5e3 and on (pod) time() - b unless c'
    assert named(text) == Names(frozenset({"a_total", "b", "c"}), frozenset({"job", "le", "kind", "pod"}))


@every_alert
def test_it_asks_for_what_there_is(alert: Alert) -> None:
    names, known = named(alert["expr"]), series()
    assert names.metrics
    assert names.metrics <= known.keys()
    assert names.labels <= _OF_TARGETS.union(*(known[name] for name in names.metrics))


@every_alert
def test_what_it_tells_has_the_labels_that_it_names(alert: Alert) -> None:
    told = set(re.findall(r"\$labels\.(\w+)", alert["annotations"]["description"]))
    tests = [test for scenario in _PROVOKED for test in scenario["alert_rule_test"]]
    fired = [each for test in tests if test["alertname"] == alert["alert"] for each in test["exp_alerts"]]
    assert any(told <= each["exp_labels"].keys() for each in fired)


@every_alert
def test_a_test_has_it_fire(alert: Alert) -> None:
    assert alert["alert"] in {name for scenario in _PROVOKED for name in _told(scenario, fires=True)}


@every_alert
def test_it_is_quiet_on_a_healthy_day_that_has_all_it_looks_at(alert: Alert) -> None:
    assert alert["alert"] in _told(_HEALTHY, fires=False)
    assert named(alert["expr"]).metrics <= _names_of(_HEALTHY)


def test_the_healthy_day_is_looked_at_from_its_beginning_to_its_end() -> None:
    assert not list(_told(_HEALTHY, fires=True))
    (whole,) = _HEALTHY["promql_expr_test"]
    assert whole == {
        "expr": f'count_over_time(ALERTS{{alertstate="firing"}}[{whole["eval_time"]}])',
        "eval_time": "2h",
        "exp_samples": [],
    }


def test_what_the_runbook_has_for_prometheus_is_taken(tmp_path: Path) -> None:
    scrapes, inhibits = (yaml.safe_load(text) for text in _monitoring())
    scrapes["rule_files"] = [str(RULES)]
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(scrapes), "utf-8")
    assert "SUCCESS" in promtool("check", "config", tmp_path / "prometheus.yaml")
    # One job for the updaters and the API servers of the same channels, as the rules have it.
    assert len(scrapes["scrape_configs"]) == 1
    known = {alert["alert"] for alert in ALERTS}
    for rule in inhibits["inhibit_rules"]:
        assert set(rule["equal"]) <= {"namespace", "job"}
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            head, names = re.fullmatch(r'alertname =~? "?(\w+?)(?:\(([\w|]+)\))?"?', matcher).groups()  # type: ignore[union-attr]
            assert {head + name for name in (names or "").split("|")} <= known, matcher


def _monitoring() -> list[str]:
    section = RUNBOOK.read_text("utf-8").partition("\n## Monitoring\n")[2].partition("\n## ")[0]
    return re.findall(r"^```yaml\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


def test_the_tests_have_only_series_that_there_are() -> None:
    known = series()
    for scenario in _SCENARIOS:
        for row in scenario["input_series"]:
            names = named(row["series"])
            (metric,) = names.metrics
            assert names.labels == _OF_TARGETS | known[metric]
