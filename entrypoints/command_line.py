"""What comes of a command line: a command that runs, and one clear line where it fails.

Exit codes: 0 clean, 1 failed, 2 wrong usage or configuration.
"""

import asyncio
import os
import sys
import traceback
from collections.abc import Sequence

from application.ports import StoreUnavailable
from entrypoints.arguments import parser
from entrypoints.printable import printable
from entrypoints.settings import Loaded, SettingsError, load_settings, options

_EXIT_FAILED, _EXIT_USAGE = 1, 2


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run the command that these arguments, or those of the process, ask for; the exit code."""
    given = parser().parse_args(sys.argv[1:] if arguments is None else arguments)
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
