"""docs/operations.md taken apart, and what the code can write into the log: read off it, or made to be written."""

import ast
import io
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from loguru import logger

from adapters.observability.loguru_observer import LoguruObserver
from application import events as e
from domain.errors import Reason, Rejection
from entrypoints.logs import set_up_logs

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
_LEVELS = {"warning": "WARNING", "error": "ERROR", "critical": "CRITICAL", "exception": "ERROR"}
_ANYTHING = "ANYTHING"

# Of each class; of those whose fields decide on the text, each text.
EVENTS: list[e.Event] = [
    *(e.Subscribed(None), e.Subscribed(1.0, at_least=True), e.SubscribedInGap(_ANYTHING, 1.0), e.EndedInGap(1.0)),
    *(e.SubscriptionBroken("", 1.0), e.ReadinessChanged(None), e.ReadinessChanged(""), e.ProbeRefused("", 1.0)),
    *(e.OutputBufferGrows(2, 1), e.BacklogFull(1), e.SubscribedToReplica(), e.ValidityRefused("detail")),
    *(e.MessageRejected(Rejection(reason, ""), b"", b"") for reason in Reason if not reason.of_accepted),
    *(e.MessageUnstorable(Rejection(reason, ""), "") for reason in Reason if reason.of_accepted),
    *(e.MessagesUnordered(1, b""), e.MessagesFromTheFuture(1, b""), e.MessageStale("")),
    *(e.RecordsPersisted(["k"], 0), e.NoticesRefused("", 1), e.RecordsValidated(1), e.ValidationFailed("", None)),
    *(e.StoreFailed(_ANYTHING, "", 1.0), e.StoreRecovered(1.0)),
    *(e.DeadLettersFailed("", 1, 1.0), e.DeadLettersDropped(1, _ANYTHING, ""), e.AcknowledgementFailed("", 1.0)),
    *(e.EntriesLost(b"", 1, _ANYTHING), e.EntriesLost(b"", None, _ANYTHING), e.EntriesClaimed(b"", b"", 1)),
    *(e.RequestFailed("", ""), e.TracesNotDelivered(1, ""), e.TracesNotDelivered(None, "")),
]

Entry = dict[str, Any]


@cache
def lines_of_events() -> list[Entry]:
    """What the observer writes of all of these, often enough to be summed up."""
    stream = io.StringIO()
    observer = LoguruObserver(set_up_logs("DEBUG", "json", stream), names_records=True)
    for event in EVENTS * 10:
        observer.notice(event)
    observer.summarise()
    logger.remove()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def texts_logged() -> set[tuple[str, str]]:
    """Every text from WARNING on, with its level; what is not constant in one is `ANYTHING`."""
    lines = {(line["message"].removesuffix(" (more like it)"), line["level"]) for line in lines_of_events()}
    return {(text, level) for text, level in lines | set(_logged_by_entrypoints()) if level not in ("DEBUG", "INFO")}


def _logged_by_entrypoints() -> Iterator[tuple[str, str]]:
    for call in _calls("entrypoints"):
        match call:
            case ast.Call(func=ast.Attribute(attr=attr), args=[text, *_]) if attr in _LEVELS:
                yield text_of(text), _LEVELS[attr]


def fields_bound_by_entrypoints() -> set[str]:
    """The names of what is bound to log lines, also where that depends."""
    found: set[str] = set()
    for call in _calls("entrypoints"):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "bind":
            found |= {keyword.arg for keyword in call.keywords if keyword.arg is not None}
            unpacked = [keyword.value for keyword in call.keywords if keyword.arg is None]
            names = [
                key for value in unpacked for each in ast.walk(value) if isinstance(each, ast.Dict) for key in each.keys
            ]
            found |= {text_of(name) for name in names if name is not None}
    return found


def _calls(package: str) -> Iterator[ast.Call]:
    """Those in modules that have a logger."""
    for path in sorted((ROOT / package).rglob("*.py")):
        source = path.read_text("utf-8")
        if "from loguru import logger" in source:
            yield from (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))


def arguments(function: str, position: int, *packages: str) -> set[str]:
    """The constant texts that are given to this function somewhere; a name stands for its module's constant."""
    found = set()
    for path in (path for package in packages for path in (ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        constants = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) > position):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", None)
            value = call.args[position]
            if isinstance(value, ast.Name):
                value = constants.get(value.id, value)
            if name == function and isinstance(value, ast.Constant | ast.JoinedStr):
                found.add(text_of(value))
    return found


def text_of(node: ast.expr) -> str:
    """A constant text, or one with `ANYTHING` where it is not."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else _ANYTHING for part in node.values)
    assert isinstance(node, ast.Constant), ast.dump(node)
    assert isinstance(node.value, str)
    return node.value


def part(heading: str) -> str:
    """What is under a heading of the second level, or of the third."""
    marks, _, _ = heading.partition(" ")
    (found,) = re.findall(rf"^{re.escape(heading)}\n(.*?)(?=^#{{2,{len(marks)}}} |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def entries(heading: str) -> dict[str, str]:
    """Under this heading, the text under each of the third level."""
    titles = re.findall(r"^### (.*)$", part(heading), re.MULTILINE)
    assert len(titles) == len(set(titles))
    return {title: part(f"### {title}") for title in titles}


def table(text: str, heading: str) -> list[list[str]]:
    """The rows of the table whose first column has this heading."""
    found = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert found, heading
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found[1].splitlines()]


def slug(heading: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
