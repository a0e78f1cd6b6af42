"""Sets the log up, once: one sink on standard error, as text for people or as JSON, a line an entry, in UTC."""

import json
import logging
import sys
from datetime import UTC
from typing import TYPE_CHECKING, Any, TextIO

from loguru import logger

from entrypoints.printable import printable

if TYPE_CHECKING:
    from loguru import Logger, Message

_FROM_LOGURU = "logged by loguru"


def set_up_logs(level: str, form: str, stream: TextIO | None = None) -> "Logger":
    """`level`: the lowest written. `form`: "text" or "json". Other libraries' loggers are heard from WARNING on."""
    stream = stream or sys.stderr
    render = _as_json if form == "json" else _as_text

    def write(message: "Message") -> None:
        stream.write(render(message.record) + "\n")
        stream.flush()

    logger.remove()
    # No variables in tracebacks: they could be secrets.
    logger.add(write, level=level, format="{message}", diagnose=False, backtrace=False)
    logging.basicConfig(handlers=[_Intercepted()], level=logging.WARNING, force=True)
    return logger


def _as_text(record: Any) -> str:
    fields = "".join(f" {name}={_plain(value)}" for name, value in record["extra"].items() if value is not None)
    time = f"{record['time']:YYYY-MM-DD HH:mm:ss.SSS!UTC}Z"
    line = f"{time} {record['level'].name:<7} {printable(record['message'])}{fields}"
    return f"{line}\n{_traceback(record)}" if _shows_traceback(record) else line


def _plain(value: object) -> str:
    """A field's value: in quotes where it could be taken for more than one field."""
    text = printable(str(value).lower() if isinstance(value, bool) else str(value))
    return json.dumps(text, ensure_ascii=False) if set(text) & set(' ="') else text


def _as_json(record: Any) -> str:
    entry = {
        "time": record["time"].astimezone(UTC).isoformat(),
        "level": record["level"].name,
        "message": record["message"],
    }
    entry |= record["extra"]
    # JSON itself leaves some of what a terminal obeys as it is.
    entry = {name: printable(value) if isinstance(value, str) else value for name, value in entry.items()}
    if _shows_traceback(record):
        entry["traceback"] = _traceback(record)
    return json.dumps(entry, default=str, ensure_ascii=False)


def _shows_traceback(record: Any) -> bool:
    return record["exception"] is not None


def _traceback(record: Any) -> str:
    import traceback

    return "".join(traceback.format_exception(record["exception"].value)).rstrip()


class _Intercepted(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        logger.bind(logger=record.name).log(record.levelname, "{}", record.getMessage())
