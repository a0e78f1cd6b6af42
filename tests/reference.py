"""docs/configuration.md, made from the settings. `make docs` writes it anew."""

from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import BeforeValidator, SecretStr
from pydantic.fields import FieldInfo

from entrypoints.redis_urls import _SCHEMES, _STORE_SCHEMES
from entrypoints.settings import Option, Settings, options
from entrypoints.settings_sources import PREFIX
from entrypoints.settings_values import Quantity, UpperCase, _split_commas

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
FIELDS = {field.alias or name: field for name, field in Settings.model_fields.items()}
_URLS = {"redis_url": _SCHEMES, "store_url": _STORE_SCHEMES}
_NAMES = {"TIME": "a duration", "SIZE": "a size", "NUMBER": "a whole number"}
# The first key of each part; the order is that of the settings.
_PARTS = {
    "redis_url": "Where messages come from and records go",
    "consumer_group": "Streams",
    "validate": "Records",
    "dead_letter_stream": "Dead letters",
    "expire_at_valid": "Times",
    "max_message_bytes": "Bounds",
    "probe_interval": "Probes and the end",
    "http_host": "HTTP",
    "tracing": "Traces and the log",
}

_HEAD = """\
# Configuration

Every setting: how it is given, what it may be, and what it is if nobody gives it.
This page is made from the code by `make docs`; `kv-updater run --help` says the same in short.

## Where settings come from

Each command takes all of them.
If a setting is given in several places, the highest of these wins:

1. **Flags**, behind the command: `kv-updater run --max-batch 500`.
   None may be abbreviated.
   A switch has two: `--validate` and `--no-validate`.
2. **Environment variables**: `KV_UPDATER_` and the key in capitals.
   An empty one counts as not given.
   But an empty `KV_UPDATER_HTTP_TOKEN` is an error, for it would open what it is to keep closed.
3. **The file `.env`** in the working directory, with the same names.
4. **The secrets directory** that `KV_UPDATER_SECRETS_DIR` names, in the environment or in `.env`.
   It has a file for each of `redis_url`, `store_url` and `http_token`; white space around its text is cut off.
   Other files may lie there, but one whose name is nearly that of a secret is an error.
5. **The configuration file** that `--config` names, or else `KV_UPDATER_CONFIG`.
   One that ends in `.yaml` or `.yml` has keys and values, as [config.example.yaml](../config.example.yaml).
   One that ends in `.py` is run, and has a dict `config` with the same keys.
6. **The default.**

They are read once, at the start.

- An unknown flag, variable or key of a file is an error that names the nearest known one, and so is a wrong value.
  The exit code is 2, and one line says which key it is and where it stands; it never shows a password.
- A value that a higher place overrides is not checked.
- What Kubernetes gives to pods beside a Service, such as `KV_UPDATER_SERVICE_HOST`, is no setting, and is left alone.

`kv-updater config` prints every value in effect and where it came from.
`kv-updater check` looks whether the service could do its job with them.
[security.md](security.md#secrets) says where a password belongs.

## What a value may be

| value | is |
|---|---|
| a duration | seconds, or a number with `ms`, `s`, `m` (minutes), `h` or `d` (days): `250ms`, `1.5h`, `1d` |
| a size | bytes, or a number with `KiB`, `MiB` or `GiB`: `64KiB`; 1 KiB is 1024 bytes |
| a list | in a file a list, or one text; elsewhere texts with commas between, or a JSON list: `["a", "b"]` |
| a glob | a text in which `*` is any text, `?` any character and `[a-z]` one of these |
| `null` | not set: leave the setting out, or write `null` in the file |

Units are written just so: `5M`, `5min` and `1MB` are errors.
"""

_TAIL = """\
## Settings that depend on others

What does not go together is an error too:

- `memory://` is for both URLs or for none, and only with `transport: pubsub`.
- A pattern in `channel` needs `transport: pubsub`.
- `persisted_channel` may not be read by `channel`: that would be a loop.
- `timestamp_formats` must be empty if `strict_timestamps` is on.

The README has the URLs, under [*The URL of your server*](../README.md#the-url-of-your-server).
[security.md](security.md) has [the options of TLS](security.md#tls), and what the account in Redis needs
[for each setting](security.md#accounts-in-redis).
"""


def text() -> str:
    """The whole page."""
    parts = [_HEAD]
    for option in options():
        if title := _PARTS.get(option.key):
            parts.append(f"## {title}\n")
        parts.append(_section(option, FIELDS[option.key]))
    return "\n".join([*parts, _TAIL])


def _section(option: Option, field: FieldInfo) -> str:
    flag = f"`{option.flag}`, `{option.flag.replace('--', '--no-', 1)}`" if option.switch else f"`{option.flag}`"
    return (
        f"### `{option.key}`\n\n{' '.join(option.help.split())}\n\n"
        f"- *Takes*: {_taken(option.key, field)}\n- *Default*: `{option.shown}`\n"
        f"- *Given by*: {flag}, `{PREFIX}{option.key.upper()}`\n"
    )


def _taken(key: str, field: FieldInfo) -> str:
    kind, rules, end = field.annotation, field.metadata, ""
    if NoneType in get_args(kind):
        kind, end = get_args(kind)[0], ", or `null`"
        rules = [rule for given in getattr(kind, "__metadata__", ()) for rule in getattr(given, "metadata", [given])]
        kind = get_args(kind)[0] if rules else kind
    return _value(key, kind, rules) + end


def _value(key: str, kind: Any, rules: list[Any]) -> str:
    quantity = next((rule for rule in rules if isinstance(rule, Quantity)), None)
    if key in _URLS:
        return f"a URL that begins with {_choices([f'{scheme}://' for scheme in _URLS[key]])}"
    if get_origin(kind) is Literal:
        return _choices(get_args(kind)) + (", in capitals or not" if UpperCase in rules else "")
    if quantity is not None:
        return _NAMES[quantity.metavar] + _bounds(rules, quantity)
    if get_origin(kind) is tuple:
        least = ", at least one entry" if any(isinstance(rule, MinLen) for rule in rules) else ""
        by_commas = any(isinstance(rule, BeforeValidator) and rule.func is _split_commas for rule in rules)
        return f"a list{least}" + ("" if by_commas else "; commas separate nothing: one text, or a JSON list")
    if kind is bool:
        return "`true` or `false`"
    if kind is int:
        return f"a whole number{_bounds(rules, Quantity('', '', {'': 1}))}"
    if kind is SecretStr:
        return "printable ASCII characters without spaces, at least one"
    assert kind is str, kind
    return "a text that is not empty" if any(isinstance(rule, MinLen) for rule in rules) else "a text"


def _bounds(rules: list[Any], quantity: Quantity) -> str:
    def shown(value: Any) -> str:
        bound = quantity.show(value)
        return f"`{bound}s`" if quantity.metavar == "TIME" and bound[-1].isdigit() else f"`{bound}`"

    # Of several the last one is the narrowest: it was added to what the kind of number allows.
    above = [f"more than {shown(rule.gt)}" for rule in rules if isinstance(rule, Gt)]
    least = [f"at least {shown(rule.ge)}" for rule in rules if isinstance(rule, Ge)]
    most = [f"at most {shown(rule.le)}" for rule in rules if isinstance(rule, Le)]
    return "".join(f", {bound}" for bound in (*(above or least)[-1:], *most[-1:]))


def _choices(names: Any) -> str:
    *others, last = (f"`{name}`" for name in names)
    return f"{', '.join(others)} or {last}"


if __name__ == "__main__":
    PAGE.write_text(text(), "utf-8")
