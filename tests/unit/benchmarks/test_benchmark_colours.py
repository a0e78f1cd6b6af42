"""The pictures can be read on a light and on a dark page."""

import pytest

from tests.benchmarks.plots.palette import DARK, LIGHT, THEMES, Theme, contrast

each_theme = pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)


def test_contrast_is_that_of_the_accessibility_guidelines() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast("#ffffff", "#777777") == contrast("#777777", "#ffffff")


def test_the_pages_are_those_of_the_readme() -> None:
    assert (LIGHT.page, DARK.page) == ("#ffffff", "#0d1117")


@each_theme
def test_every_text_is_readable(theme: Theme) -> None:
    assert min(contrast(colour, theme.page) for colour in theme.texts) >= 4.5


@each_theme
def test_every_mark_is_seen(theme: Theme) -> None:
    assert min(contrast(colour, theme.page) for colour in theme.marks) >= 3


@each_theme
def test_what_spans_the_rounds_is_seen_on_the_bars_too(theme: Theme) -> None:
    assert min(contrast(theme.text, bar) for bar in (theme.ours, theme.others)) >= 3


@each_theme
def test_nobody_shares_the_colour_of_kv_updater(theme: Theme) -> None:
    assert theme.ours not in {*theme.lines, theme.others, theme.others_second}


def test_one_grey_would_not_do_for_both() -> None:
    """Why each picture is written twice."""
    greys = [f"#{level:02x}{level:02x}{level:02x}" for level in range(256)]
    assert max(min(contrast(grey, theme.page) for theme in THEMES) for grey in greys) < 4.5
