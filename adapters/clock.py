"""The Clock port on the machine's own clocks."""

import asyncio
import time
from datetime import UTC, datetime


class SystemClock:
    """Wall clock in UTC, the monotonic clock for durations."""

    # Asked several times for each commit: a method around it would take longer than the clock.
    monotonic = staticmethod(time.monotonic)

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
