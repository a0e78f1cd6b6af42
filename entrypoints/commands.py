"""The commands that do one thing: each takes what it needs from the container and writes to standard output."""

import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from application.ports import StoreRefused, StoreUnavailable
from domain.errors import Rejection
from domain.stored_record import told
from entrypoints.container import Container
from entrypoints.container.extras import observed
from entrypoints.logs import set_up_logs
from entrypoints.printable import printable
from entrypoints.runner import opened, run_service
from entrypoints.settings import Loaded, Settings, SettingsError


async def run(settings: Settings) -> int:
    """The service. In memory the records are written as JSON lines at the end: a dry run."""
    set_up_logs(settings.log_level, settings.log_format)
    container, companions = (Container(settings=settings), ()) if settings.http_port is None else observed()(settings)
    exit_code = await run_service(container, *companions)
    if container.backend() == "memory":
        for type_, record in container.store().values.items():
            print(told(type_, record).decode())
    return exit_code


async def publish(
    settings: Settings, type_: str, *, values: str | None, file: str, valid_for: float, every: float | None
) -> int:
    """Publish on the first channel that is no pattern, and say how many received it; 1 if nobody did.

    To a stream it is added, whoever reads it. With `every` it goes on while the server is away, and says so.

    `values` is JSON text; without it it is read from `file` (`-`: standard input).
    """
    container = container_with_a_server(settings)
    channel = settings.publishing_channel()
    text = _checked(values if values is not None else await asyncio.to_thread(_read, file))
    async with opened(container):
        publisher, clock = container.publisher(), container.clock()
        exit_code = 1
        # A shell starts what runs in the background of a script with Ctrl-C ignored; it is to end this all the same.
        if (task := asyncio.current_task()) is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
        try:
            while True:
                now = clock.now()
                times = {"updated": now.isoformat(), "valid": (now + timedelta(seconds=valid_for)).isoformat()}
                head = json.dumps({"type": type_, **times}, ensure_ascii=False)
                payload = f'{head[:-1]}, "values": {text}}}'.encode()
                verdict = container.validator().accept(payload, channel.encode())
                if isinstance(verdict, Rejection):
                    raise SettingsError(f"an updater would reject this message: {verdict.reason}: {verdict.detail}")
                try:
                    receivers = await publisher.publish(channel, payload)
                except StoreUnavailable as error:
                    if every is None or isinstance(error, StoreRefused):
                        raise
                    receivers = 0
                    print(f"kv-updater: {type_} was not published: {printable(str(error))}", file=sys.stderr)
                else:
                    kept = settings.transport == "stream"
                    print(f"{type_}: {'added to' if kept else f'received by {receivers} on'} {channel}", flush=True)
                exit_code = 0 if receivers else 1
                if every is None:
                    return exit_code
                await clock.sleep(every)
        except asyncio.CancelledError:
            if every is None:
                raise
            return exit_code  # Ctrl-C is how this ends


async def get(settings: Settings, types: Sequence[str], *, as_json: bool) -> int:
    """Print the stored records of these types; 1 if one is missing."""
    container = container_with_a_server(settings)
    async with opened(container):
        records = await container.store().read(types)
    exit_code = 0
    for type_, record in zip(types, records, strict=True):
        if record is None:
            problem = f"no string is stored under {type_}"
        elif as_json and not _is_object(record):
            problem = f"what is stored under {type_} is no record"
        else:
            text = told(type_, record).decode() if as_json else record.decode(errors="backslashreplace")
            # Into a pipe go the stored bytes; a terminal would obey some of what publishers may write.
            print(printable(text) if sys.stdout.isatty() else text)
            continue
        exit_code = 1
        print(f"kv-updater: {problem}", file=sys.stderr)
    return exit_code


def show_settings(loaded: Loaded, *, as_json: bool) -> int:
    """Print every setting with its value and where that came from."""
    rows = [(key, value, origin) for key, value, origin in loaded.rows()]
    if as_json:
        print(json.dumps({key: {"value": value, "origin": origin} for key, value, origin in rows}, indent=2))
        return 0
    texts = [(key, json.dumps(value, ensure_ascii=False), origin) for key, value, origin in rows]
    widths = [max(len(row[column]) for row in texts) for column in range(2)]
    for key, value, origin in texts:
        print(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {origin}")
    return 0


def container_with_a_server(settings: Settings) -> Container:
    """For commands that talk to a server which is there before and after them."""
    container = Container(settings=settings)
    if container.backend() == "memory" or container.embedded_server() is not None:
        raise SettingsError("redis_url: this command takes the address of a running server, redis://HOST:PORT")
    return container


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except OSError as error:
        raise SettingsError(f"--file {printable(file)}: {error.strerror}") from None


def _checked(text: str) -> str:
    """The values as they were written, so that `1.0` stays `1.0`."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"the values are no JSON: {error}") from None
    if not isinstance(values, dict | list):
        raise SettingsError("the values are neither a JSON object nor an array")
    return text.strip()


def _is_object(text: bytes) -> bool:
    """Whether `told` can put a member before those of the text."""
    try:
        return text.startswith(b"{") and bool(json.loads(text))
    except (ValueError, RecursionError):
        return False
