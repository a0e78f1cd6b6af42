"""Globs, as `allowed_types` and readers write them: `*`, `?`, `[a-z]`, `[!a-z]` or `[^a-z]`."""

import re
from collections.abc import Callable, Sequence
from fnmatch import translate


def globs_of(text: str) -> list[str]:
    """Those of a list with commas between."""
    return [glob for part in text.split(",") if (glob := part.strip())]


def matcher(globs: Sequence[str]) -> Callable[[str], object] | None:
    """Tells whether a type matches one of them as a whole, by a true value. None: there are none."""
    # fnmatch negates a set of characters with `!`, Redis with `^`.
    return re.compile("|".join(translate(glob.replace("[^", "[!")) for glob in globs)).match if globs else None
