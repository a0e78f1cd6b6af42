"""The dashboard: what Grafana would refuse or draw empty, and whether every number is to be seen somewhere."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

from tests.deploy.promql import check_expressions, named
from tests.deploy.test_rules import ALERTS, ROOT
from tests.exposition import of_api_server, of_updater, series

_TEXT = (ROOT / "deploy" / "grafana" / "kv-updater.json").read_text("utf-8")
_DASHBOARD: dict[str, Any] = json.loads(_TEXT)
_PANELS: list[dict[str, Any]] = _DASHBOARD["panels"]
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_TARGETS = [target for panel in _PANELS for target in panel.get("targets", ())]
_NOTES: list[dict[str, Any]] = _DASHBOARD["annotations"]["list"]
_EXPRESSIONS = [each["expr"] for each in (*_TARGETS, *_NOTES)]
_VARIABLES = {"$__rate_interval": "5m", "$__range": "3h", "$job": ".*", "$instance": ".*"}


def _cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
    at = panel["gridPos"]
    return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}


def test_panels_have_ids_and_titles_of_their_own() -> None:
    assert set(Counter(panel["id"] for panel in _PANELS).values()) == {1}
    rows = "\n".join(("# " if panel["type"] == "row" else "") + panel["title"] for panel in _PANELS).split("# ")
    for row in rows:
        assert set(Counter(row.split("\n")).values()) <= {1}
    for panel in _PANELS:
        letters = [target["refId"] for target in panel.get("targets", ())]
        assert letters == sorted(set(letters))


def test_no_panel_lies_over_another_or_over_the_edge() -> None:
    for panel in _PANELS:
        assert max(x for x, _ in _cells(panel)) < 24, panel["title"]
    for one, other in combinations(_PANELS, 2):
        assert not _cells(one) & _cells(other), (one["title"], other["title"])


def test_it_runs_on_any_installation() -> None:
    assert 39 <= _DASHBOARD["schemaVersion"] <= 42
    assert "id" not in _DASHBOARD
    variables = {variable["name"]: variable for variable in _DASHBOARD["templating"]["list"]}
    assert list(variables) == ["datasource", "job", "instance"]
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    sources = [each["datasource"] for each in (*_PANELS, *_TARGETS, *_NOTES) if each.get("type") != "row"]
    assert all(
        source == _SOURCE for source in [*sources, *(variables[name]["datasource"] for name in ("job", "instance"))]
    )
    assert set(re.findall(r"\$\{?(\w+)", _TEXT)) <= {*variables, "__rate_interval", "__range", "__all"}


def test_every_panel_says_what_it_shows() -> None:
    for panel in _PANELS:
        assert panel["type"] == "row" or (panel["description"] and panel["targets"]), panel["title"]


def test_queries_ask_for_what_there_is() -> None:
    known = series()
    for expression in _EXPRESSIONS:
        names = named(expression)
        assert names.metrics, expression
        assert names.metrics <= known.keys(), expression
        assert names.labels <= {"job", "instance"}.union(*(known[name] for name in names.metrics)), expression


def test_queries_are_of_the_chosen_jobs_and_instances() -> None:
    chosen = re.compile(r'\{job=~"\$job", instance=~"\$instance"[,}]')
    assert all(chosen.search(expression) for expression in _EXPRESSIONS)


def test_promtool_understands_the_queries(tmp_path: Path) -> None:
    texts = []
    for expression in _EXPRESSIONS:
        text = expression
        for variable, value in _VARIABLES.items():
            text = text.replace(variable, value)
        texts.append(text)
    check_expressions(texts, tmp_path)


def test_the_stack_of_fates_has_every_fate_once() -> None:
    (panel,) = (panel for panel in _PANELS if panel["title"] == "Messages by what became of them")
    drawn = [name for target in panel["targets"] for name in named(target["expr"]).metrics]
    fates = "stale conflated expired rejected unstorable"
    wanted = [f"kv_updater_messages_{fate}_total" for fate in fates.split()]
    wanted += ["kv_updater_records_committed_total", "kv_updater_records_unchanged_total"]
    assert Counter(drawn) == Counter([*wanted, "kv_updater_messages_received_total"])
    assert panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal"


def test_every_metric_is_on_the_dashboard_or_wakes_somebody() -> None:
    shown = {name for text in (*_EXPRESSIONS, *(alert["expr"] for alert in ALERTS)) for name in named(text).metrics}
    unseen = [
        metric.name
        for metric in (*of_updater().values(), *of_api_server().values())
        if not metric.name.startswith("process_") and metric.name != "kv_updater_build_info"
        if not metric.series & shown
    ]
    assert not unseen
