"""Where the program starts: `python -m entrypoints.cli [COMMAND]`, also installed as `kv-updater`."""

import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code.

    Ctrl-C ends the program at once, by the signal, until a command handles it: the imports alone take half a second,
    and interrupted they would print a traceback. Where it was ignored at the start, it stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from entrypoints.command_line import run_command

    return run_command(arguments)


if __name__ == "__main__":
    sys.exit(main())
