"""The Clock port on the machine's own clocks."""

import asyncio
import time
from datetime import UTC, datetime


class SystemClock:
    """Wall clock in UTC, the monotonic clock for durations."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
