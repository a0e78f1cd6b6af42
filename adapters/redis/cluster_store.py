"""The KeyValueStore port on a Redis Cluster: a script call for each slot, a write for each node, all at once."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from adapters.redis.cluster_commands import ClusterCommands, Command
from adapters.redis.commit_script import (
    RIGHT_TO_TEACH,
    SCRIPT,
    SHA,
    CommitScript,
    denies_a_key,
    halves,
    read_answer,
    spoiled_ids,
)
from adapters.redis.hash_slots import in_slot, slot_of
from adapters.redis.server_time import ServerTime, milliseconds
from application.begun import Begun
from application.commit_batch import CommitBatch, Found, Refused
from application.ports import StoreUnavailable

_Part = tuple[int, Sequence[int]]  # a slot, and the indices of what belongs there
_Answer = Mapping[int, Found | Refused] | StoreUnavailable


class RedisClusterStore:
    """What a node cannot take now is told for its records alone; the others are written.

    With streams, the ids of entries are kept in a hash for each slot, so that they change with their records.
    """

    acknowledges = False  # a stream and the records of its messages are not in one slot

    def __init__(self, commands: ClusterCommands, script: CommitScript) -> None:
        self._commands = commands
        self._script = script
        self._times: defaultdict[tuple[str, int] | None, ServerTime] = defaultdict(ServerTime)

    def commit(self, batch: CommitBatch) -> Awaitable[Mapping[int, Found | Refused | StoreUnavailable]]:
        return Begun(self._commit, batch)

    async def _commit(self, batch: CommitBatch) -> Mapping[int, Found | Refused | StoreUnavailable]:
        parts = _by_slot(self._script.keys(batch.types))
        answer: dict[int, Found | Refused | StoreUnavailable] = {}
        for (_, indices), reply in await self._evaluate(batch, parts):
            if not isinstance(reply, StoreUnavailable):
                answer |= {indices[index]: found for index, found in reply.items()}
            elif denies_a_key(reply):
                answer |= dict.fromkeys(indices, Refused.NOT_PERMITTED)
            else:
                answer |= dict.fromkeys(indices, reply)
        return answer

    async def read(self, types: Sequence[str]) -> Sequence[bytes | None]:
        keys = self._script.keys(types)
        texts: list[bytes | None] = [None] * len(keys)
        for (_, indices), reply in await self._ask(
            _by_slot(keys), lambda _, indices: ("MGET", *(keys[index] for index in indices))
        ):
            if isinstance(reply, StoreUnavailable):
                raise reply
            for index, text in zip(indices, reply, strict=True):
                texts[index] = text
        return texts

    async def check(self) -> None:
        # Each master has rights, memory, a disk and replicas of its own.
        slots = await self._commands.slots()
        keys = [in_slot(self._script.check_key, slot) for slot in slots]
        told = await self._evaluate(CommitBatch(), [(slot, ()) for slot in slots])
        told += await self._ask(_by_slot(keys), lambda _, indices: ("GET", keys[indices[0]]))
        told += await self._ask(_by_slot(keys), lambda *_: RIGHT_TO_TEACH)
        # XX: only where the key exists, so never. Memory, role, disk and rights are looked at all the same.
        told += await self._ask(_by_slot(keys), lambda _, indices: ("SET", keys[indices[0]], "", "XX"))
        for _, reply in told:
            if isinstance(reply, StoreUnavailable) and not denies_a_key(reply):
                raise reply
        if (streams := self._script.streams) is not None:
            hashes = [in_slot(streams.entry_ids, slot) for slot in slots]
            for (_, (index,)), reply in await self._ask(
                _by_slot(hashes), lambda _, indices: ("HGET", hashes[indices[0]], self._script.check_key)
            ):
                if isinstance(reply, StoreUnavailable):
                    raise spoiled_ids(hashes[index], reply)

    async def close(self) -> None:
        await self._commands.close()

    async def _evaluate(self, batch: CommitBatch, parts: Sequence[_Part]) -> list[tuple[_Part, _Answer]]:
        strangers = {node: slot for slot, _ in parts if not self._times[node := self._commands.node_of(slot)].known}
        if strangers:
            times = await self._commands.calls([(slot, ("TIME",)) for slot in strangers.values()])
            for slot, reply in zip(strangers.values(), times, strict=True):
                if not isinstance(reply, StoreUnavailable):
                    self._time_at(slot).hear(milliseconds(reply))
        told = await self._call(batch, parts)
        late = [part for part, answer in told if isinstance(answer, StoreUnavailable) and answer.kind == "late"]
        if not late:
            return told
        return [(part, answer) for part, answer in told if part not in late] + await self._call(batch, late)

    async def _call(self, batch: CommitBatch, parts: Sequence[_Part]) -> list[tuple[_Part, _Answer]]:
        fences = {slot: self._time_at(slot).fence(self._commands.timeout) for slot, _ in parts}

        def arguments(slot: int, indices: Sequence[int]) -> Command:
            streams = self._script.streams
            stream_keys = () if streams is None else (in_slot(streams.entry_ids, slot),)
            until = fences[slot].there
            return tuple(self._script.arguments(batch.part(indices), stream_keys, (b"",) * len(indices), until=until))

        told = await self._ask(parts, lambda slot, indices: ("EVALSHA", SHA, *arguments(slot, indices)))
        untaught = [part for part, reply in told if _is_untaught(reply)]
        if untaught:
            # EVAL keeps the script too, so the next call is an EVALSHA again.
            taught = await self._ask(untaught, lambda slot, indices: ("EVAL", SCRIPT, *arguments(slot, indices)))
            told = [(part, reply) for part, reply in told if not _is_untaught(reply)] + taught
        answers: list[tuple[_Part, _Answer]] = []
        for part, reply in told:
            if isinstance(reply, StoreUnavailable):
                fences[part[0]].bounds(reply)
                answers.append((part, reply))
            else:
                answers.append((part, read_answer(reply, self._time_at(part[0]), batch)))
        return answers

    def _time_at(self, slot: int) -> ServerTime:
        return self._times[self._commands.node_of(slot)]

    async def _ask(
        self, parts: Sequence[_Part], command: Callable[[int, Sequence[int]], Command]
    ) -> list[tuple[_Part, Any]]:
        """The reply for each part; where fewer keys at once may go through, in smaller parts."""
        replies = await self._commands.calls([(slot, command(slot, indices)) for slot, indices in parts])
        told: list[tuple[_Part, Any]] = []
        again: list[_Part] = []
        for (slot, indices), reply in zip(parts, replies, strict=True):
            if len(indices) > 1 and _asks_for_less(reply):
                again += [(slot, half) for half in halves(indices)]
            else:
                told.append(((slot, indices), reply))
        return told + await self._ask(again, command) if again else told


def _by_slot(keys: Sequence[str]) -> list[_Part]:
    indices: defaultdict[int, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        indices[slot_of(key)].append(index)
    return list(indices.items())


def _is_untaught(reply: Any) -> bool:
    return isinstance(reply, StoreUnavailable) and reply.kind == "noscript"


def _asks_for_less(reply: Any) -> bool:
    # TRYAGAIN: the slot is on its way, some keys are here and some are there. Each by itself can be had.
    return isinstance(reply, StoreUnavailable) and (reply.kind == "tryagain" or denies_a_key(reply))
