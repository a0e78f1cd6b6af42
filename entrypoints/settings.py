"""The settings in effect: every source put together, checked, and said where each value came from."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from entrypoints.nearest import nearest
from entrypoints.redis_urls import mask_url
from entrypoints.settings_model import Settings
from entrypoints.settings_sources import SECRETS, Given, SettingsError, read_sources, shown
from entrypoints.settings_values import MAX_SECONDS, UNITS, Quantity, parse_seconds

__all__ = [
    "MAX_SECONDS",
    "UNITS",
    "Loaded",
    "Option",
    "Settings",
    "SettingsError",
    "load_settings",
    "mask_url",
    "options",
    "parse_seconds",
]

_FIELDS = {field.alias or name: field for name, field in Settings.model_fields.items()}
_PROBLEMS = {  # where pydantic's own words are no help to a person
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "tuple_type": "must be a text or a list of texts",
}


@dataclass(frozen=True)
class Loaded:
    """The settings, and for every key its origin, such as "flag", "file config.yaml" or "default"."""

    settings: Settings
    origins: Mapping[str, str]

    def rows(self) -> Iterator[tuple[str, Any, str]]:
        """Key, value (passwords masked) and origin of every setting, in the order of the table."""
        for key, value in _masked(self.settings).items():
            yield key, value, self.origins[key]


class Option(NamedTuple):
    """A setting as a command-line flag.

    Where the flag was given, `load_settings` takes its value under `key`: the text itself or, of a `switch`
    (`--validate`, `--no-validate`), a bool. `shown` is the default as help has it, masked; the flag itself has none.
    """

    key: str
    flag: str
    help: str
    shown: str
    metavar: str
    switch: bool


def options() -> Iterator[Option]:
    """Every setting as a flag, in the order of the table; `help` needs no escaping for argparse."""
    defaults = _masked(Settings())
    for key, field in _FIELDS.items():
        flag, default = f"--{key.replace('_', '-')}", defaults[key]
        quantity = next((each for each in field.metadata if isinstance(each, Quantity)), None)
        shown, metavar = (
            (json.dumps(default), "VALUE") if quantity is None else (quantity.show(default), quantity.metavar)
        )
        yield Option(key, flag, field.description or "", shown, metavar, field.annotation is bool)


def load_settings(flags: Mapping[str, Any], *, config: Path | None = None) -> Loaded:
    """Read every source and check what is in effect.

    Precedence: `flags` (by key, only those given) > environment `KV_UPDATER_*` > `.env` in the working
    directory > secrets directory `KV_UPDATER_SECRETS_DIR` (files redis_url, store_url, http_token) > configuration file
    `config`, else `KV_UPDATER_CONFIG` (YAML, or Python with a dict `config`) > defaults.

    Raises SettingsError: one line on the first problem, and how many more there are. A value that a higher
    source overrides is not checked.
    """
    given = read_sources(Settings, flags, config)
    effective = {item.key: item for item in reversed(given) if item.key in _FIELDS}
    origins = {key: effective[key].origin if key in effective else "default" for key in _FIELDS}
    problems = [_unknown(item) for item in given if item.key not in _FIELDS]
    try:
        settings = Settings(**{key: item.value for key, item in effective.items()})
    except ValidationError as error:
        problems += [_invalid(effective[str(detail["loc"][0])], detail) for detail in error.errors()]
    if problems:
        raise SettingsError(problems[0] + (f" ... and {len(problems) - 1} more" if problems[1:] else ""))
    return Loaded(settings, origins)


def _masked(settings: Settings) -> dict[str, Any]:
    return {
        key: _hidden(key, value) if isinstance(value, SecretStr) else value
        for key, value in settings.model_dump(by_alias=True).items()
    }


def _hidden(key: str, secret: SecretStr) -> str:
    return mask_url(secret.get_secret_value()) if key.endswith("_url") else "***"


def _unknown(item: Given) -> str:
    # Only the name: of {redis_url:redis://...}, which lacks a space, YAML makes one long key.
    name = re.split(r"[^\w.-]", item.key, maxsplit=1)[0]
    return f"{name} ({item.origin}): unknown key{nearest(name, _FIELDS)}"


def _invalid(item: Given, detail: ErrorDetails) -> str:
    problem = _PROBLEMS.get(detail["type"]) or detail["msg"]
    problem = problem.removeprefix("Value error, ").replace("Input should", "must")
    entry_of_list = detail["loc"][1:]
    value = detail["input"] if entry_of_list else item.value
    if item.key not in SECRETS:
        scalar = isinstance(value, str | int | float | None)
        problem += f", found {shown(repr(value))[:60] if scalar else f'a {type(value).__name__}'}"
    return f"{item.key} ({item.origin}): {problem}"
