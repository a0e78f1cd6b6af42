"""Globs as readers list them."""

from domain.globs import globs_of


def test_a_list_has_commas_between_and_what_is_empty_is_no_glob() -> None:
    assert globs_of(" a*, ,b c,,") == ["a*", "b c"]
    assert globs_of(" ") == []
