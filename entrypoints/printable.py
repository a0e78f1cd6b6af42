"""Foreign text as it may reach a terminal."""


def printable(text: str) -> str:
    """With nothing in it that a terminal would obey, and on one line: what is not printable is escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
