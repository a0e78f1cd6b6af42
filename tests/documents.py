"""The documents taken apart: their links, and what they name between code marks."""

import re
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

from domain.errors import Reason
from entrypoints.arguments import parser
from entrypoints.settings import Settings, options
from tests import exposition
from tests.runbook import ROOT, entries, lines_of_events, part, slug, table

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "deploy").rglob("*.md"))]
_FENCED = re.compile(r"^```(\w+) ?([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(((?!https?:)[^)\s]+)\)")
_VARIES = re.compile(r"\b(WHAT|REASON|KIND|WHY)$")


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """The file, or the folder, and the anchor of each that leads to something in the repository."""
    for target in _LINK.findall(_FENCED.sub("", page.read_text("utf-8"))):
        path, _, anchor = target.partition("#")
        yield (page.parent / path if path else page).resolve(), anchor


def anchors(page: Path) -> list[str]:
    """Of all headings."""
    text = _FENCED.sub("", page.read_text("utf-8"))
    return [slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]


def marked(page: Path) -> list[str]:
    """What stands between code marks, in its text."""
    return re.findall(r"`([^`\n]+)`", _FENCED.sub("", page.read_text("utf-8")))


def blocks(page: Path, kind: str) -> dict[str, str]:
    """The named blocks of a language."""
    return {name: text for each, name, text in _FENCED.findall(page.read_text("utf-8")) if each == kind and name}


def commands(page: Path) -> list[str]:
    """What is behind `kv-updater` where it is called: between code marks, and in a shell."""
    shell = [text for kind, _, text in _FENCED.findall(page.read_text("utf-8")) if kind == "sh"]
    lines = [*marked(page), *(line for text in shell for line in text.splitlines())]
    return [found[1] for line in lines if (found := re.search(r"(?:^|[|=] ?|\S=\S+ )kv-updater( .*|$)", line))]


@cache
def names() -> set[str]:
    """Settings and what they may be, metrics, fields of the log, members of /readyz, reasons, kinds."""
    shown = {**exposition.of_updater(), **exposition.of_api_server()}
    fields = [name for row in table(part("## The log as JSON"), "field") for name in re.findall(r"`(\w+)`", row[0])]
    members = [row[0].strip("`") for row in table(part("## Probes"), "member")]
    kinds = [row[0].strip("`") for row in table(entries("## Log lines")["Store failed: KIND"], "KIND")]
    metrics = [name.removeprefix("kv_updater_") for name in shown]
    keys = [option.key for option in options()]
    arguments = [each for field in Settings.model_fields.values() for each in get_args(field.annotation)]
    choices = [each for each in arguments if isinstance(each, str)]
    return {*keys, *choices, *shown, *metrics, *fields, *members, *kinds, *Reason}


@cache
def log_texts() -> set[str]:
    """Those of the runbook, with what varies as such and as each of its codes, and those below WARNING."""
    found = {line["message"] for line in lines_of_events() if line["level"] in ("DEBUG", "INFO")}
    for title, text in entries("## Log lines").items():
        found.add(title)
        if varies := _VARIES.search(title):
            rows = table(text, varies[1])
            found |= {f"{title.removesuffix(varies[1])}{row[0].strip('`')}" for row in rows}
    return found


@cache
def flags() -> set[str]:
    """Of every command."""
    subparsers = [action for action in parser()._actions if isinstance(action, _SubParsersAction)]
    parsers: list[ArgumentParser] = [parser for action in subparsers for parser in action.choices.values()]
    return {flag for parser in parsers for flag in parser._option_string_actions}
