"""The StoredTypes port in memory."""

from collections.abc import AsyncIterator, Sequence

from adapters.memory.store import MemoryStore


class MemoryStoredTypes:
    """Of what a store holds."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def scan(self) -> AsyncIterator[Sequence[str]]:
        yield [type_ for type_, value in self._store.values.items() if isinstance(value, bytes)]

    async def close(self) -> None:
        """Nothing to give back."""
