"""Where settings come from: what flags, environment, `.env`, secrets directory and configuration file say."""

import re
import runpy
import traceback
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource

PREFIX = "KV_UPDATER_"
_POINTERS = ("config", "secrets_dir")  # they say where settings are and are none themselves
SECRETS = ("redis_url", "store_url", "http_token")
# How much alike (0 to 1) the name of a file is to one of them, to be taken for a slip: others may lie beside them.
_MISSPELT = 0.85

# Kubernetes gives these to every pod beside a Service whose name begins with kv-updater.
_SERVICE_LINK = re.compile(
    r"(\w+_)?(service_(host|port\w*)=.*|port(_\d+_\w+)?=(tcp|udp|sctp)://.*"
    r"|port_\d+_(tcp|udp|sctp)_(proto|port|addr)=.*)"
)


class SettingsError(ValueError):
    """A setting is wrong; its text is one line for a person and never holds a password."""


class Given(NamedTuple):
    """A value as a source holds it, not yet checked; `origin` names the source for a person."""

    key: str
    value: Any
    origin: str


def read_sources(settings: type[BaseSettings], flags: Mapping[str, Any], config: Path | None) -> list[Given]:
    """Everything that is given, known or not, the highest precedence first.

    Raises SettingsError where a source cannot be read. Empty variables count as not given.
    """
    environment = _prefixed(EnvSettingsSource(settings).env_vars)
    try:
        dotenv = _prefixed(DotEnvSettingsSource(settings).env_vars)
    except (OSError, ValueError) as error:
        raise SettingsError(f".env: {_reason(error)}") from None
    pointers = dotenv | environment
    config_path = config or pointers.get("config")
    secrets_dir = pointers.get("secrets_dir")
    return [
        *(Given(key, value, "flag") for key, value in flags.items()),
        *(
            Given(key, value, f"environment {PREFIX}{key.upper()}")
            for key, value in environment.items()
            if key not in _POINTERS
        ),
        *(Given(key, value, ".env") for key, value in dotenv.items() if key not in _POINTERS),
        *(_read_secrets(Path(secrets_dir)) if secrets_dir else ()),
        *(_read_file(Path(config_path)) if config_path else ()),
    ]


def shown(text: str) -> str:
    """The text, unless it may be a URL: in a wrong place that would show a password."""
    return "what looks like a URL" if re.search(":/|:.*@", text, re.DOTALL) else text


def _prefixed(variables: Mapping[str, str | None]) -> dict[str, str]:
    # Not the source's own answer: that leaves out what is no setting, and a misspelt one with it.
    return {
        key: value or ""
        for name, value in variables.items()
        # An empty token would open to all what it is to keep closed: that is told.
        if (value or name == f"{PREFIX.lower()}http_token")
        and (key := name.removeprefix(PREFIX.lower())) != name
        and not _SERVICE_LINK.fullmatch(f"{key}={value}")
    }


def _read_secrets(directory: Path) -> list[Given]:
    try:
        names = {path.name for path in directory.iterdir()}
        given = [
            Given(key, (directory / key).read_text("utf-8").strip(), "secrets directory")
            for key in SECRETS
            if key in names
        ]
    except (OSError, ValueError) as error:
        raise SettingsError(f"secrets directory {shown(str(directory))}: {_reason(error)}") from None
    for name in names.difference(SECRETS):
        if meant := get_close_matches(name.lower(), SECRETS, n=1, cutoff=_MISSPELT):
            raise SettingsError(f"secrets directory: {shown(name)} is unknown, perhaps it is {meant[0]}")
    return given


def _read_file(path: Path) -> list[Given]:
    origin = f"file {shown(str(path))}"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{origin}: {_reason(error)}") from None
    match path.suffix.lower():
        case ".yaml" | ".yml":
            values = _load_yaml(content, origin)
        case ".py":
            values = _run_python(path, origin)
        case _:
            raise SettingsError(f"{origin}: must end in .yaml, .yml or .py")
    return [Given(str(key), value, origin) for key, value in values.items()]


class _YamlLoader(yaml.SafeLoader):
    """Takes no key twice: one of the values would be dropped without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        values = super().construct_mapping(node, deep)
        keys = [key.value for key, _ in node.value]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise SettingsError(f"{shown(str(twice))} is given twice")
        return values


def _load_yaml(content: bytes, origin: str) -> Mapping[Any, Any]:
    # The parser's own text quotes the file, so perhaps a password: only the place is told.
    try:
        values = yaml.load(content, _YamlLoader)  # noqa: S506 (it is a SafeLoader)
    except SettingsError as error:
        raise SettingsError(f"{origin}: {error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise SettingsError(f"{origin}: not valid YAML{place}") from None
    if not isinstance(values, Mapping | None):
        raise SettingsError(f"{origin}: must be a mapping of setting names to values")
    return values or {}


def _run_python(path: Path, origin: str) -> Mapping[Any, Any]:
    # As with YAML: an exception's text may quote a password.
    try:
        values = runpy.run_path(str(path)).get("config")
    except (Exception, SystemExit) as error:  # noqa: BLE001 (it is the user's code)
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = lines[-1] if lines else getattr(error, "lineno", None)
        raise SettingsError(f"{origin}: {type(error).__name__}{f' at line {line}' if line else ''}") from None
    if not isinstance(values, Mapping):
        raise SettingsError(f"{origin}: must hold a dict named config")
    return values


def _reason(error: Exception) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "not UTF-8 text"
