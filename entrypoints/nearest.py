"""What somebody who misspelt a name meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is spelt most alike."""
    return get_close_matches(name.lower(), list(known), n=1, cutoff=0)[0]
