"""The commands and their flags.

Exit codes: 0 clean, 1 failed, 2 wrong usage or configuration. What a command needs is imported in it: start-up time.
"""

import argparse
import asyncio
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from application.ports import StoreUnavailable
from entrypoints import __version__
from entrypoints.parser import Parser
from entrypoints.printable import printable
from entrypoints.settings import MAX_SECONDS, UNITS, Loaded, SettingsError, load_settings, options, parse_seconds

_EXIT_FAILED, _EXIT_USAGE = 1, 2

Command = Callable[[argparse.Namespace, Loaded], int]


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run the command that these arguments, or those of the process, ask for; the exit code."""
    given = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    debugs, loaded = False, None
    if sys.stdout is None:  # it was closed at the start
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    try:
        flags = {option.key: getattr(given, option.key) for option in options() if hasattr(given, option.key)}
        loaded = load_settings(flags, config=getattr(given, "config", None))
        debugs = loaded.settings.log_level == "DEBUG"
        return _flushed(given.command(given, loaded))
    except SettingsError as error:
        _complain(error)
        return _EXIT_USAGE
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _EXIT_FAILED
    except BrokenPipeError:
        _drop_output()
        return _EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - a person sees one line, whatever went wrong
        if debugs:
            traceback.print_exc()
        _complain(error, loaded)
        return _EXIT_FAILED


def _flushed(exit_code: int) -> int:
    """Now, while what goes wrong with it can be told."""
    sys.stdout.flush()
    return exit_code


def _drop_output() -> None:
    # The interpreter flushes once more at its end, and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(error: BaseException, loaded: Loaded | None = None) -> None:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    where = _servers_of(loaded) if isinstance(error, StoreUnavailable) and loaded is not None else ""
    print(f"kv-updater: {printable(str(error))}{where}", file=sys.stderr)


def _servers_of(loaded: Loaded) -> str:
    """Which settings name the servers, and where they come from."""
    keys = ["redis_url", *(["store_url"] if loaded.settings.store_url else [])]
    told = ", ".join(f"{key}: {loaded.origins[key]}" for key in keys)
    return f" ({told}{'; --redis-url names another' if loaded.origins['redis_url'] == 'default' else ''})"


def _parser() -> Parser:
    settings = _settings_flags()
    parser = Parser(
        prog="kv-updater",
        usage="%(prog)s [settings] [COMMAND]",
        description="Keeps the last value of everything: updates on a Redis channel become the record of each key.",
        epilog="Without a command: run.",
        parents=[settings],
    )
    parser.set_defaults(command=_run)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", prog="kv-updater")

    def add(name: str, command: Command, summary: str, usage: str) -> Parser:
        line = f"kv-updater {name} {usage}"
        added = commands.add_parser(name, help=summary, description=summary, usage=line, parents=[settings])
        added.set_defaults(command=command)
        return added

    add("run", _run, "keep the records up to date until a signal comes", "[settings]")

    demo = add(
        "demo",
        _demo,
        "run on an embedded server with sample publishers and show the records",
        "[--duration TIME] [settings]",
    )
    demo.add_argument("--duration", metavar="TIME", type=_seconds, help="end after so long (30s, 5m); else at Ctrl-C")

    publish = add(
        "publish",
        _publish,
        "publish an update message; exit code 1 if nobody received it",
        "[--valid-for TIME] [--every TIME] [--stream] [settings] (--values JSON | --file FILE) TYPE",
    )
    publish.add_argument("type", metavar="TYPE", help="the key to update")
    source = publish.add_mutually_exclusive_group(required=True)
    source.add_argument("--values", metavar="JSON", help="the values: an object or an array")
    source.add_argument("--file", metavar="FILE", help="read the values from a file; - is standard input")
    publish.add_argument(
        "--valid-for", metavar="TIME", type=_period, default=300.0, help="valid until now + TIME (default 5m)"
    )
    publish.add_argument("--stream", action="store_true", help="add it to a stream: the same as --transport stream")
    publish.add_argument("--every", metavar="TIME", type=_period, help="again and again, at this interval")

    get = add("get", _get, "print stored records; exit code 1 if one is missing", "[--json] [settings] TYPE...")
    get.add_argument("types", metavar="TYPE", nargs="+", help="a type whose record to print, without key_prefix")
    get.add_argument("--json", action="store_true", help="one JSON object a line, with its type")

    watch = add("watch", _watch, "show the stored records as they change", "[--json] [settings] [TYPE...]")
    watch.add_argument("types", metavar="TYPE", nargs="*", help="globs of the types to show, also a list; none: all")
    watch.add_argument("--json", action="store_true", help="one JSON object a line, with its type")

    serve = add(
        "serve",
        _serve,
        "serve the stored records over HTTP until a signal comes",
        "[--host HOST] [--port PORT] [settings]",
    )
    for name in ("host", "port"):
        serve.add_argument(
            f"--{name}",
            dest=f"http_{name}",
            metavar=name.upper(),
            default=argparse.SUPPRESS,
            help=f"the same as --http-{name}",
        )

    config = add(
        "config",
        _config,
        "print the effective settings, secrets masked, and where each came from",
        "[--json] [settings]",
    )
    config.add_argument("--json", action="store_true", help="as JSON")

    check = add(
        "check",
        _check,
        "look whether the service could do its job with these settings; exit code 1 if not",
        "[--for {run,serve}] [--json] [settings]",
    )
    check.add_argument(
        "--for",
        dest="service",
        choices=("run", "serve"),
        default="run",
        help="which service: the updater (default), or the API server",
    )
    check.add_argument("--json", action="store_true", help="one JSON object a line")

    letters = add(
        "dead-letters",
        _dead_letters,
        "look at the messages that were not stored",
        "[--json] [settings] {list,replay,purge}",
    )
    letters.add_argument(
        "action",
        choices=("list", "replay", "purge"),
        help="print them, publish them again where they came from, or remove them all",
    )
    letters.add_argument("--json", action="store_true", help="list: one JSON object a line")
    return parser


def _settings_flags() -> Parser:
    """Every setting as a flag, taken before and after the command; only those given are in the result."""
    parser = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("settings", f"{UNITS} A list has commas between its entries.")
    group.add_argument("--config", type=Path, metavar="PATH", help="a .yaml file, or a config.py with a dict `config`")
    for option in options():
        text = f"{option.help} Default: {option.shown}."
        if option.switch:
            group.add_argument(option.flag, dest=option.key, action=argparse.BooleanOptionalAction, help=text)
        else:
            group.add_argument(option.flag, dest=option.key, metavar=option.metavar, help=text)
    return parser


def _seconds(text: str) -> float:
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _period(text: str) -> float:
    seconds = _seconds(text)
    if not 0 < seconds <= MAX_SECONDS:
        raise argparse.ArgumentTypeError("must be more than 0, and at most ten years")
    return seconds


def _run(_: argparse.Namespace, loaded: Loaded) -> int:
    from entrypoints.commands import run

    return asyncio.run(run(loaded.settings))


def _demo(given: argparse.Namespace, loaded: Loaded) -> int:
    from entrypoints.demo import demo

    return asyncio.run(demo(loaded, given.duration))


def _publish(given: argparse.Namespace, loaded: Loaded) -> int:
    from entrypoints.commands import publish

    source = {"values": given.values, "file": given.file}
    settings = loaded.settings.model_copy(update={"transport": "stream"}) if given.stream else loaded.settings
    return asyncio.run(publish(settings, given.type, **source, valid_for=given.valid_for, every=given.every))


def _get(given: argparse.Namespace, loaded: Loaded) -> int:
    from entrypoints.commands import get

    return asyncio.run(get(loaded.settings, given.types, as_json=given.json))


def _watch(given: argparse.Namespace, loaded: Loaded) -> int:
    from entrypoints.watch import watch

    return asyncio.run(watch(loaded, given.types, as_json=given.json))


def _serve(_: argparse.Namespace, loaded: Loaded) -> int:
    from entrypoints.container.extras import serve

    return asyncio.run(serve()(loaded.settings))


def _config(given: argparse.Namespace, loaded: Loaded) -> int:
    from entrypoints.commands import show_settings

    return show_settings(loaded, as_json=given.json)


def _check(given: argparse.Namespace, loaded: Loaded) -> int:
    from entrypoints.check import check

    return asyncio.run(check(loaded, service=given.service, as_json=given.json))


def _dead_letters(given: argparse.Namespace, loaded: Loaded) -> int:
    from entrypoints.dead_letter_commands import dead_letters

    return asyncio.run(dead_letters(loaded.settings, given.action, as_json=given.json))
