"""docs/configuration.md is made from the settings, and what it says of their values is so."""

import re

import pytest
from pydantic import ValidationError

from entrypoints.settings import Option, Settings, options
from tests.reference import PAGE, text
from tests.runbook import ROOT

_PAGE = PAGE.read_text("utf-8")
_SECTIONS = dict(re.findall(r"^### `(\w+)`\n\n(.*?)(?=^##|\Z)", _PAGE, re.DOTALL | re.MULTILINE))
_OPTIONS = {option.key: option for option in options()}
_BOUNDS = [
    (key, *bound)
    for key, section in _SECTIONS.items()
    for bound in re.findall(r"(more than|at least|at most) `(-?[\d.]+)(\w*)`", section)
]


def _is_taken(key: str, value: object) -> bool:
    try:
        Settings(**{key: value})
    except ValidationError:
        return False
    return True


def test_it_is_what_is_made_from_the_settings() -> None:
    assert text() == _PAGE, "run `make docs`"


def test_it_has_every_setting_in_its_order() -> None:
    assert list(_SECTIONS) == list(_OPTIONS)


@pytest.mark.parametrize("option", _OPTIONS.values(), ids=lambda option: option.key)
def test_each_has_its_flag_its_variable_its_default_and_a_sentence(option: Option) -> None:
    section = _SECTIONS[option.key]
    given = re.findall(r"`([^`]+)`", section.partition("*Given by*")[2])
    assert given[0] == option.flag
    assert given[-1] == f"KV_UPDATER_{option.key.upper()}"
    assert f"*Default*: `{option.shown}`\n" in section
    sentence = section.splitlines()[0]
    assert sentence == " ".join(option.help.split())
    assert re.fullmatch(r"[A-Z].*\.", sentence)
    assert re.search(r"\*Takes\*: \S", section)


@pytest.mark.parametrize(("key", "side", "number", "unit"), _BOUNDS)
def test_what_is_just_within_a_bound_is_taken_and_what_is_beyond_is_not(
    key: str, side: str, number: str, unit: str
) -> None:
    size = 0.001 if unit == "s" else 1
    step = -size if side == "at most" else size
    assert _is_taken(key, f"{number}{unit}") is (side != "more than")
    assert _is_taken(key, f"{float(number) + step:.15g}{unit}")
    assert not _is_taken(key, f"{float(number) - step:.15g}{unit}")


def test_there_are_bounds_to_try() -> None:
    assert len(_BOUNDS) > 15


@pytest.mark.parametrize("key", [key for key, option in _OPTIONS.items() if option.shown.startswith('"')])
def test_the_names_it_gives_are_taken(key: str) -> None:
    taken = re.findall(r"`(\w+)`", _SECTIONS[key].partition("*Takes*")[2].partition("\n")[0])
    assert all(_is_taken(key, name) for name in taken)


def test_make_help_lists_how_it_is_made() -> None:
    assert re.search(r"^docs: .*## .*docs/configuration\.md", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
