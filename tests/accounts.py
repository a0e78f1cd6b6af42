"""The accounts of docs/security.md, as they stand there."""

import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from tests.servers import Word

PASSWORD = "not-for-logs"
_DOCUMENT = (Path(__file__).parents[1] / "docs" / "security.md").read_text("utf-8")
_RULE = re.compile(r"\([^)]*\)|\S+")
_WORD = re.compile(r"[^\s()]+")


class TakesCommands(Protocol):
    """A server."""

    def command(self, *words: Word) -> Any:
        """The reply."""
        ...


class Account:
    """A user, and rules of ACL SETUSER for it: words, and selectors in brackets."""

    def __init__(self, user: str, *rules: str) -> None:
        self.user, self.rules = user, " ".join(rules)

    @property
    def parts(self) -> list[str]:
        """What stands before the first bracket, and each selector."""
        return [self.rules.partition("(")[0].strip(), *re.findall(r"\([^)]*\)", self.rules)]

    def having(self, *more: str) -> "Account":
        """With these rules behind the others."""
        return Account(self.user, self.rules, *more)

    def at(self, url: str) -> str:
        """The URL of a server, with this account."""
        return url.replace("://", f"://{self.user}:{PASSWORD}@", 1)

    def set_on(self, *servers: TakesCommands, password: str = PASSWORD) -> None:
        """Make it an account of them."""
        rules = self.rules.replace("SHA256", sha256(password.encode()).hexdigest())
        for server in servers:
            server.command("ACL", "SETUSER", self.user, *_RULE.findall(rules))

    def without_one(self) -> dict[str, "Account"]:
        """Each way to take one right (a command, a channel, a key to read or to write), and what is left."""
        return {
            f"{found[0]} at {found.start()} to {less or None}": Account(
                self.user, self.rules[: found.start()] + less + self.rules[found.end() :]
            )
            for found in _WORD.finditer(self.rules)
            for less in _less_than(found[0])
        }

    def flat(self) -> "Account":
        """As the document says for Redis 6.2."""
        return Account(self.user, re.sub(r"%[RW]+~", "~", re.sub("[()]", "", self.rules)))

    def words(self) -> set[str]:
        """All rules, brackets aside."""
        return set(_WORD.findall(self.rules))


def account(name: str) -> Account:
    """The block with this name."""
    (text,) = re.findall(rf"^```text account {re.escape(name)}\n(.*?)^```$", _DOCUMENT, re.DOTALL | re.MULTILINE)
    word, user, *rules = text.split()
    assert word == "user"
    return Account(user, *rules)


def example(name: str) -> str:
    """The commands with this name, as they are pasted into a shell."""
    (text,) = re.findall(rf"^```sh {re.escape(name)}\n(.*?)^```$", _DOCUMENT, re.DOTALL | re.MULTILINE)
    return str(text)


def appended(under: str, *settings: str) -> Sequence[str]:
    """What is appended under a heading with these settings: those whose rows begin with one of the words."""
    return _found(under, settings, column=1)


def optional(under: str, *rights: str) -> Sequence[str]:
    """What it can do without under a heading: the rows that have one of these rights, each with all of its own."""
    return _found(under, rights, column=0)


def _found(under: str, words: Sequence[str], column: int) -> Sequence[str]:
    _, section = re.split(rf"^### {re.escape(under)}.*$", _DOCUMENT, maxsplit=1, flags=re.MULTILINE)
    rows = [_cells(line) for line in section.partition("\n### ")[0].splitlines() if line.startswith("| ")]
    found = {word: [" ".join(codes(row[column])) for row in rows if word in row[0]] for word in words}
    assert all(len(rules) == 1 and rules[0] for rules in found.values()), found
    return [rule for (rule,) in found.values()]


def codes(cell: str) -> list[str]:
    """What is marked as code in it."""
    return re.findall("`([^`]+)`", cell)


def _less_than(rule: str) -> list[str]:
    key = re.fullmatch("(?:%RW)?~(.*)", rule)
    if key:
        return ["", f"%R~{key[1]}", f"%W~{key[1]}"]
    return [""] if rule[0] in "+&%" else []


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
