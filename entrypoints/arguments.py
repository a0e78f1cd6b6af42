"""The commands and their flags. What a command needs is imported in it: start-up time."""

import argparse
import asyncio
from collections.abc import Callable
from pathlib import Path

from entrypoints import __version__
from entrypoints.parser import Parser
from entrypoints.settings import MAX_SECONDS, UNITS, Loaded, options, parse_seconds

Command = Callable[[argparse.Namespace, Loaded], int]


def parser() -> Parser:
    """Of the whole command line; what it finds has `command`, and the settings that were given by their keys."""
    settings = _settings_flags()
    whole = Parser(
        prog="kv-updater",
        usage="%(prog)s [settings] [COMMAND]",
        description="Keeps the last value of everything: updates on a Redis channel become the record of each key.",
        epilog="Without a command: run.",
        parents=[settings],
    )
    whole.set_defaults(command=_run)
    whole.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", prog="kv-updater")

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
    return whole


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
    from entrypoints.event_loop import run_waiting

    return run_waiting(run(loaded.settings), busy_poll=loaded.settings.busy_poll)


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
