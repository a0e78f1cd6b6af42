"""What the documents link to and name is there. What they say of it is for people to judge."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from entrypoints.arguments import parser
from entrypoints.settings import Settings, load_settings, options
from tests.documents import PAGES, anchors, blocks, commands, flags, links, log_texts, marked, names
from tests.runbook import ROOT, entries, table

_DOCS = ROOT / "docs"
_NAMING = [_DOCS / f"{name}.md" for name in ("configuration", "guarantees", "scaling", "migrating")]
_GUARANTEES = (_DOCS / "guarantees.md").read_text("utf-8")
_README = (ROOT / "README.md").read_text("utf-8")
_NO_SETTINGS = {"KV_UPDATER_", "KV_UPDATER_CONFIG", "KV_UPDATER_SECRETS_DIR", "KV_UPDATER_SERVICE_HOST"}
_UNITS = {"KiB", "MiB", "GiB"}
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
each_naming = pytest.mark.parametrize("page", _NAMING, ids=lambda page: page.name)


def _like(page: Path, pattern: str) -> list[re.Match[str]]:
    return [found for text in marked(page) if (found := re.fullmatch(pattern, text))]


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), target
        assert target.is_relative_to(ROOT)
        assert not anchor or anchors(target).count(anchor) == 1, f"{target.name}#{anchor}"


def test_the_readme_leads_to_every_document() -> None:
    listed = re.findall(r"^- \[(\S+\.md)\]\(\1\): \S", _README, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert {f"docs/{page.name}" for page in _DOCS.glob("*.md")} <= set(listed)


@each_naming
def test_names_of_several_words_are_names_of_the_code(page: Path) -> None:
    found = {match[1] for match in _like(page, r"([a-z]+(?:_[a-z]+)+)(?:\{\w+\})?")}
    assert found
    assert found <= names()


@each_naming
def test_values_of_settings_are_taken(page: Path) -> None:
    for match in _like(page, r"([a-z_]+): (\S+)"):
        given = yaml.safe_load(match[0])
        assert given.keys() <= {option.key for option in options()}
        Settings(**given)


@each_naming
def test_log_lines_and_alerts_are_those_that_there_are(page: Path) -> None:
    known = log_texts() | entries("## Alerts").keys()
    assert {match[0] for match in _like(page, r"([A-Z][a-z]|KV-Updater ).*")} <= known | _UNITS


@each_naming
def test_commands_flags_and_variables_are_known(page: Path) -> None:
    found = commands(page)
    assert found or page.name == "guarantees.md"
    for command in (command.removesuffix(" --help") for command in found):
        assert parser().parse_args(shlex.split(command)).command, command
    assert {match[0] for match in _like(page, r"--[a-z-]+")} <= flags()
    variables = {f"KV_UPDATER_{option.key.upper()}" for option in options()}
    assert {match[0] for match in _like(page, r"KV_UPDATER_\w*")} <= variables | _NO_SETTINGS


@each_naming
def test_files_and_targets_that_they_name_are_there(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for match in _like(page, r"make (\w+)"):
        assert re.search(rf"^{match[1]}:.*##", makefile, re.MULTILINE), match[0]
    for match in _like(page, r"(?:deploy|docs|tests)/\S+"):
        assert (ROOT / match[0]).exists(), match[0]
    for match in _like(page, r"test_\w+\.py"):
        assert (ROOT / "tests" / "faults" / match[0]).is_file(), match[0]


def test_each_fault_says_what_is_lost_what_tells_it_and_where_that_is_shown() -> None:
    faults = [row for text in _GUARANTEES.split("\n#")[1:] if "| fault |" in text for row in _faults(f"#{text}\n")]
    assert len(faults) > 30
    for fault, lost, told, shown in faults:
        assert fault
        assert lost
        assert told
        assert re.search(r"`test_\w+\.py`|\(operations\.md#", shown), fault


def _faults(text: str) -> list[list[str]]:
    tables = re.split(r"(?=^\| fault \|)", text, flags=re.MULTILINE)[1:]
    return [row for each in tables for row in table(each, "fault")]


def test_the_table_of_the_guarantees_is_that_of_the_readme() -> None:
    assert table(_GUARANTEES, "`transport`") == table(_README, "transport")


def test_figures_are_those_of_the_readme() -> None:
    (measured,) = re.findall(r"^## Performance\n(.*?)^## ", _README, re.DOTALL | re.MULTILINE)
    rows = table((_DOCS / "scaling.md").read_text("utf-8"), "figure")
    figures = [figure for row in rows for figure in re.findall(r"\d[\d,.]*\d", " ".join(row).replace("99th", ""))]
    assert len(figures) > 10
    assert [
        figure for figure in figures if not re.search(rf"(?<![\d,.]){re.escape(figure)}(?![\d.,]*\d)", measured)
    ] == []


@each_page
def test_files_of_settings_are_taken(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in blocks(page, "yaml").items():
        (tmp_path / name).write_text(text, "utf-8")
        assert load_settings({}, config=tmp_path / name)
