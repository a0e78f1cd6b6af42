"""`kv-updater check`: could the service do its job with these settings?"""

import json
import sys
from collections.abc import Iterator, Sequence

from entrypoints.commands import container_with_a_server
from entrypoints.container.checking import CheckContainer
from entrypoints.container.extras import try_all
from entrypoints.logs import set_up_logs
from entrypoints.mirrored import listening
from entrypoints.printable import printable
from entrypoints.settings import Loaded, Settings, SettingsError

_MEMBERS = ("check", "where", "verdict", "found", "advice")
_COLOURS = {"ok": 32, "warn": 33, "fail": 31, "skip": 2}

_Row = tuple[str, ...]


async def check(loaded: Loaded, *, service: str, as_json: bool) -> int:
    """Print a line for each thing that was looked at; 1 if something has failed. `service`: run or serve."""
    settings = loaded.settings
    container_with_a_server(settings)
    container = _of_the_api_server(settings) if service == "serve" else CheckContainer(settings=settings)
    # What the service would warn of has a line of its own here.
    set_up_logs("ERROR", settings.log_format)
    sources = ", ".join(dict.fromkeys(loaded.origins.values()))
    rows: list[_Row] = [("settings", "", "ok", f"loaded from {sources}", "")]
    try:
        try_all(settings, service=service)
    except SettingsError as error:
        problem, _, remedy = str(error).rpartition(": ")
        rows = [("settings", "", "fail", problem, remedy)]
    rows += [tuple(map(str, finding)) for finding in await container.checkup().findings()]
    for line in map(_as_json, rows) if as_json else _table(rows, coloured=sys.stdout.isatty()):
        print(line)
    return int(any(verdict == "fail" for _, _, verdict, *_ in rows))


def _of_the_api_server(settings: Settings) -> CheckContainer:
    """It listens where the records are told, if that is set. Raises SettingsError."""
    there = settings.persisted_channel is not None and settings.store_url is not None
    return CheckContainer(
        settings=listening(settings, "serve"), reads=True, setting="store_url" if there else "redis_url"
    )


def _as_json(row: _Row) -> str:
    return json.dumps(dict(zip(_MEMBERS, row, strict=True)), ensure_ascii=False)


def _table(rows: Sequence[_Row], *, coloured: bool) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for check, where, verdict, found, advice in rows:
        shown = f"{verdict:<4}"
        if coloured:
            shown = f"\x1b[{_COLOURS[verdict]}m{shown}\x1b[0m"
        told = f"{found}; {advice}" if advice else found
        yield f"{shown}  {check:<{widths[0]}}  {where:<{widths[1]}}  {printable(told)}"
