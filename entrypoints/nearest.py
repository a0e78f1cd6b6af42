"""What somebody who misspelt a name meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is spelt most alike, as the end of a sentence; empty where none is like it."""
    return "".join(f", the nearest known one is {found}" for found in get_close_matches(name.lower(), list(known), n=1))
