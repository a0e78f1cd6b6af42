"""`dead-letters`: look at what was not stored, publish it again, or throw it away."""

import json
import sys
from collections.abc import AsyncIterator, Sequence

from application.ports import DeadLetter, StoreUnavailable
from entrypoints.commands import container_with_a_server
from entrypoints.container import Container
from entrypoints.runner import opened
from entrypoints.settings import Settings, SettingsError

_PAGE = 100


async def dead_letters(settings: Settings, action: str, *, as_json: bool) -> int:
    """`list`, `replay` (publish on the channel it came from, then remove) or `purge`."""
    if settings.dead_letter_stream is None:
        raise SettingsError("dead_letter_stream: not set, so there are no dead letters")
    container = container_with_a_server(settings)
    async with opened(container):
        if action == "list":
            return await _list(container, as_json=as_json)
        if action == "replay":
            return await _replay(container)
        return await _purge(container)


async def _list(container: Container, *, as_json: bool) -> int:
    none = True
    async for id_, letter in _all(container):
        none = False
        row = {
            "id": id_,
            "time": letter.time.isoformat(),
            "reason": letter.reason,
            "error": letter.error,
            "channel": letter.channel.decode(errors="backslashreplace"),
            "size": letter.size,
            "payload": letter.payload.decode(errors="backslashreplace"),
        }
        # A payload is foreign text: as JSON nothing in it reaches the terminal as a control character.
        plain = " ".join(f"{key}={json.dumps(value)}" for key, value in row.items() if key not in ("id", "time"))
        print(json.dumps(row) if as_json else f"{id_} {row['time']} {plain}")
    if none:
        print(f"kv-updater: no dead letters in {container.settings().dead_letter_stream}", file=sys.stderr)
    return 0


async def _replay(container: Container) -> int:
    """One by one, published before it is removed: nothing is lost if this is cut short. 1 if one stayed."""
    publisher, letters = container.publisher(), container.dead_letters()
    replayed = cut = unheard = 0
    async for id_, letter in _all(container):
        if letter.size != len(letter.payload):
            cut += 1
        elif await publisher.publish(letter.channel, letter.payload):
            await letters.remove([id_])
            replayed += 1
        else:
            unheard += 1
    stayed = [f"{cut} stayed: cut"] if cut else []
    if unheard:
        stayed.append(f"{unheard} stayed: nobody listens (those of a stream take --transport stream)")
    print(", ".join([f"{replayed} replayed", *stayed]))
    return 1 if stayed else 0


async def _purge(container: Container) -> int:
    removed = 0
    while page := await _page(container, ""):
        removed += await container.dead_letters().remove([id_ for id_, _ in page])
    print(f"{removed} removed")
    return 0


async def _all(container: Container) -> AsyncIterator[tuple[str, DeadLetter]]:
    """Those that are there now: what a replay adds at the end is for the next time."""
    last = ""
    while page := await _page(container, last):
        last = page[-1][0]
    after = ""
    while page := await _page(container, after):
        for id_, letter in page:
            after = id_
            yield id_, letter
            if id_ == last:
                return


async def _page(container: Container, after: str) -> Sequence[tuple[str, DeadLetter]]:
    """The next of them. Raises SettingsError where the key of their stream holds something else."""
    try:
        page: Sequence[tuple[str, DeadLetter]] = await container.dead_letters().read(after, _PAGE)
    except StoreUnavailable as error:
        if error.kind != "wrongtype":
            raise
        raise SettingsError(f"dead_letter_stream: {container.settings().dead_letter_stream} is no stream") from None
    return page
