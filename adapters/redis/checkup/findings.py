"""What is found out, and how one thing after the other is looked at in bounded time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

from application.ports import StoreUnavailable

STEP = 2.0
"""Seconds that a server has for an answer."""
# For all that is asked in one look.
_LOOK = 5.0


class Verdict(StrEnum):
    """`SKIP`: it could not be looked at, so nothing is known."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class Told(NamedTuple):
    """What a look has found; of what is not as it should be `advice` says what to do."""

    verdict: Verdict
    found: str
    advice: str = ""


class Finding(NamedTuple):
    """A line of the report. No part of it is a secret."""

    check: str
    where: str
    verdict: Verdict
    found: str
    advice: str


def ok(found: str) -> Told:
    return Told(Verdict.OK, found)


def warn(found: str, advice: str) -> Told:
    return Told(Verdict.WARN, found, advice)


def fail(found: str, advice: str) -> Told:
    return Told(Verdict.FAIL, found, advice)


def skip(found: str, advice: str = "") -> Told:
    return Told(Verdict.SKIP, found, advice)


class Place:
    """Something that is looked at: once it is `lost`, all that would follow is skipped."""

    def __init__(self, where: str) -> None:
        self.findings: list[Finding] = []
        self.lost = ""
        self.forbids_writes = False
        self.where = where

    async def look(
        self, check: str, question: Callable[[], Awaitable[Told | Sequence[Told]]], *, vital: bool = False
    ) -> None:
        """Ask, and take note of the answer. Where it is `vital`, a failure makes the rest pointless, and so does a
        server that does not answer whatever it is asked."""
        if self.lost:
            self.note(check, skip(f"not looked at: {self.lost}"))
            return
        try:
            async with asyncio.timeout(_LOOK):
                told = await question()
        except (TimeoutError, StoreUnavailable) as error:
            silent = isinstance(error, TimeoutError) or error.kind in ("timeout", "connection")
            advice = "see whether the server is overloaded or frozen" if silent else "see the server's log"
            told = fail(str(error) or f"no answer within {_LOOK:g} s", advice)
            vital = True
        answers = [told] if isinstance(told, Told) else told
        for answer in answers:
            self.note(check, answer)
        if vital and any(answer.verdict is Verdict.FAIL for answer in answers):
            self.lost = f"{check} has failed"

    def note(self, check: str, told: Told) -> None:
        """Take note of an answer."""
        self.findings.append(Finding(check, self.where, *told))

    def soften(self) -> None:
        """Another will do in its place: its failures are warnings."""
        self.findings = [
            finding._replace(verdict=Verdict.WARN) if finding.verdict is Verdict.FAIL else finding
            for finding in self.findings
        ]
