"""Foreign text as it may reach a terminal."""

import codecs

# At once: later there may be no file left to read it from.
_escaped = codecs.getencoder("unicode_escape")


def printable(text: str) -> str:
    """With nothing in it that a terminal would obey, and on one line: what is not printable is escaped."""
    return "".join(char if char.isprintable() else _escaped(char)[0].decode() for char in text)
