"""The runbook has what the code can say, and nothing else: alerts are in tests/deploy."""

import ast
import re
import shlex
from typing import get_args

import pytest

from adapters.http.health import HealthReport
from adapters.redis.commands import _NO_MASTER
from adapters.redis.error_replies import _REFUSALS
from application.events import Event
from domain.errors import Reason
from entrypoints.arguments import parser
from entrypoints.container import Container
from entrypoints.settings import load_settings
from tests import exposition
from tests.runbook import (
    EVENTS,
    PAGE,
    ROOT,
    arguments,
    entries,
    fields_bound_by_entrypoints,
    lines_of_events,
    part,
    slug,
    table,
    text_of,
    texts_logged,
)

# Commands that `--help` does not list yet.
_COMING = () if re.search(r"^ +check ", parser().format_help(), re.MULTILINE) else ("check",)
_VARIES = re.compile(r"\b(WHAT|REASON|KIND|WHY)$")
_LINES = entries("## Log lines")
_ENTRIES = {**entries("## Alerts"), **_LINES}
_PATTERNS = {title: re.compile(_VARIES.sub("(.+)", re.escape(title))) for title in _LINES}
_COMMAND = re.compile(r"(?<![\w`/.])kv-updater ((?:[a-z-]+)\b[^`\n]*)|`kv-updater ([^`]*)`")


def _codes(title: str) -> set[str]:
    """What stands for the part of a line that varies."""
    found = _VARIES.search(title)
    assert found, title
    return {row[0].strip("`") for row in table(_LINES[title], found[1])}


def test_the_events_are_all_that_there_are() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event))


@pytest.mark.parametrize(("text", "level"), sorted(texts_logged()))
def test_every_line_from_warning_on_has_its_entry(text: str, level: str) -> None:
    (title,) = (title for title, pattern in _PATTERNS.items() if pattern.fullmatch(text))
    rows = {row[0]: row[1] for row in table(part("## By log line"), "log line")}
    assert level in rows[f"[{title}](#{slug(title)})"]


@pytest.mark.parametrize("title", _LINES)
def test_every_entry_is_of_a_line_that_the_code_can_write(title: str) -> None:
    levels = {level for text, level in texts_logged() if _PATTERNS[title].fullmatch(text)}
    rows = {row[0]: row[1] for row in table(part("## By log line"), "log line")}
    assert levels == set(re.findall(r"WARNING|ERROR", rows[f"[{title}](#{slug(title)})"]))


def test_the_indexes_have_every_entry_in_its_order() -> None:
    for index, heading, listed in (
        ("## By alert", "alert", entries("## Alerts")),
        ("## By log line", "log line", _LINES),
    ):
        assert [row[0] for row in table(part(index), heading)] == [f"[{title}](#{slug(title)})" for title in listed]


@pytest.mark.parametrize("title", _ENTRIES)
def test_an_entry_says_what_it_means_what_it_costs_where_to_look_and_what_to_do(title: str) -> None:
    assert re.findall(r"^- \*(\w+)\*: \S", _ENTRIES[title], re.MULTILINE) == ["Means", "Costs", "Look", "Do"]


def test_reasons_are_those_of_the_code() -> None:
    assert _codes("Message rejected: REASON") == {reason for reason in Reason if not reason.of_accepted}
    assert _codes("Message unstorable: REASON") == {reason for reason in Reason if reason.of_accepted}


def test_what_varies_is_what_the_code_can_put_there() -> None:
    missed = arguments("MessagesMissed", 0, "adapters")
    told = {text.partition("; ")[2] for text, _ in texts_logged() if text.startswith("Gap: ")} - {"ANYTHING"}
    assert _codes("Gap: messages may have been missed; WHAT") == missed | told
    assert _codes("Dead letters dropped: WHY") == arguments("_drop", 1, "application")
    lost = arguments("_tell_lost", 1, "adapters") | arguments("EntriesLost", 2, "adapters")
    assert _codes("Stream entries lost: WHY") == lost
    assert _codes("KV-Updater stopped before WHAT") == _undone()


def test_the_kinds_of_our_own_are_explained() -> None:
    ours = arguments("StoreUnavailable", 0, "adapters", "application") | arguments("StoreRefused", 0, "adapters")
    assert ours | _REFUSALS | _NO_MASTER - {"unblocked"} <= _codes("Store failed: KIND")


def test_metrics_are_those_of_the_exposition() -> None:
    for whose, shown in (("updater", exposition.of_updater()), ("API server", exposition.of_api_server())):
        told = {row[0].strip("`") for row in table(part("## Metrics"), f"metric of the {whose}")}
        labels = {
            name: f"{{{','.join(sorted(metric.labels))}}}" if metric.labels else "" for name, metric in shown.items()
        }
        names = {
            f"{name.removeprefix('kv_updater_')}{labels[name]}" for name in shown if not name.startswith("process_")
        }
        assert told == names


def test_the_fields_of_json_lines_are_those_that_the_code_can_write() -> None:
    told = [name for row in table(part("## The log as JSON"), "field") for name in re.findall(r"`(\w+)`", row[0])]
    assert len(told) == len(set(told))
    of_events = {name for line in lines_of_events() for name in line}
    assert set(told) == of_events | fields_bound_by_entrypoints() | {"traceback"}


def test_readyz_has_the_members_that_are_explained() -> None:
    container = Container(settings=load_settings({"redis_url": "redis://127.0.0.1:1"}).settings)
    report = HealthReport(
        updater=container.updater(),
        subscription=container.subscription(),
        readiness=container.readiness(),
        clock=container.clock(),
    )
    assert [row[0].strip("`") for row in table(part("## Probes"), "member")] == list(report())


def test_commands_are_there() -> None:
    commands = {first or second for first, second in _COMMAND.findall(PAGE)}
    assert len(commands) > 5
    for command in commands:
        assert command.startswith(_COMING) or parser().parse_args(shlex.split(command)).command, command


def test_files_that_it_names_are_there() -> None:
    named = re.findall(r"`(deploy/[^`]+)`", PAGE)
    assert named
    assert all((ROOT / path).is_file() for path in named)


def _undone() -> set[str]:
    tree = ast.parse((ROOT / "entrypoints" / "runner.py").read_text("utf-8"))
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "_undone")
    nodes = [node for statement in function.body for node in ast.walk(statement)]
    keys = [key for node in nodes if isinstance(node, ast.Dict) for key in node.keys if key is not None]
    otherwise = [item for node in nodes if isinstance(node, ast.List) for item in node.elts]
    return {text_of(node) for node in (*keys, *otherwise)}
