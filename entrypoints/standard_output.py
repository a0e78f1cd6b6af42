"""What is written to standard output while other things go on: a pipe that nobody empties holds up none of them."""

import asyncio
import os
import select
import sys


async def write_out(text: str) -> None:
    """All of it, as fast as it is taken. Raises BrokenPipeError where nobody reads any more.

    What the output's encoding has not is written by its number.
    """
    output = sys.stdout.fileno()
    rest = memoryview(text.encode(sys.stdout.encoding, "backslashreplace"))
    while rest:
        await _until_writable(output)
        # So much goes into a pipe at once where anything does.
        rest = rest[os.write(output, rest[: select.PIPE_BUF]) :]


async def _until_writable(output: int) -> None:
    loop, writable = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_writer(output, writable.set)
    except PermissionError:
        return  # a file always is
    try:
        await writable.wait()
    finally:
        loop.remove_writer(output)
