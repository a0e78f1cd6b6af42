"""Publishers as they are found around one Redis: weather, air, games, a door, a price, a sensor that comes late."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import count
from math import sin
from typing import Any

from application.ports import StoreUnavailable
from entrypoints.container import Container
from entrypoints.settings import mask_url

# Seconds until a publisher that nobody heard tries again.
_RETRY = 0.1


def _rfc_3339(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _us_minutes(instant: datetime) -> str:
    return _us(instant, "%M")


def _us_seconds(instant: datetime) -> str:
    return _us(instant, "%M:%S")


def _us(instant: datetime, minutes: str) -> str:
    there = instant.astimezone(timezone(timedelta(hours=-5)))
    return f"{there:%m/%d/%Y} {there.hour % 12 or 12}:{there:{minutes} %p %z}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One publisher: every `period` seconds `burst` messages with the next `values`, valid for so long.

    Every fourth time it lets `late` seconds more go by, so that its record falls overdue.
    """

    type: str
    period: float
    values: Callable[[int], Any]
    late: float = 0.0
    burst: int = 1
    updated: Callable[[datetime], str] = _rfc_3339
    valid: Callable[[datetime], str] = _rfc_3339

    def messages(self, update: int, now: datetime) -> list[bytes]:
        """What it sends for its update of this number."""
        times = {"updated": self.updated(now), "valid": self.valid(now + timedelta(seconds=self.period))}
        turns = range(update * self.burst, (update + 1) * self.burst)
        return [json.dumps({"type": self.type, **times, "values": self.values(turn)}).encode() for turn in turns]

    def wait(self, update: int) -> float:
        """Seconds from the update of this number to the next."""
        return self.period + (0 if update % 4 else self.late)


def _weather(mean: float, sky: str) -> Callable[[int], Any]:
    return lambda turn: {
        "temperature": round(mean + 2 * sin(turn / 5), 1),
        "wind": {"speed": round(4 + 3 * sin(turn / 3), 1), "from": ("W", "NW", "N")[turn // 4 % 3]},
        "sky": sky,
    }


def _air(turn: int) -> Any:
    return {"pm10": 18 + turn % 5, "pm2.5": round(9 + 3 * sin(turn), 1), "no2": 31 - turn % 7}


def _games(turn: int) -> Any:
    score = turn % 4
    if score == 3:  # noqa: PLR2004 - the day is over
        return []
    return [
        {"home": "Lions", "away": "Bears", "score": [score, 1]},
        {"home": "Owls", "away": "Foxes", "score": [0, score]},
    ]


def _door(turn: int) -> Any:
    return {"open": turn % 3 == 1, "battery": 93 - turn // 100}


def _price(turn: int) -> Any:
    bid = round(101.3 + 0.8 * sin(turn / 90), 2)
    return {"bid": bid, "ask": round(bid + 0.04, 2), "currency": "EUR"}


def _humidity(turn: int) -> Any:
    return {"humidity": 61 + turn % 4}


def _heater(turn: int) -> Any:
    return {"on": turn % 2 == 0, "target": 21.5}


SAMPLES = (
    Sample("weather:berlin", 5, _weather(7, "rain")),
    Sample("weather:lisbon", 7, _weather(17, "clear")),
    Sample("weather:oslo", 11, _weather(-2, "snow")),
    Sample("air:new-york", 15, _air, updated=_us_minutes, valid=_us_seconds),
    Sample("games:today", 20, _games),
    Sample("door:front", 4, _door),
    Sample("device:heater", 60, _heater),
    Sample("price:ACME", 2, _price, burst=20),
    Sample("sensor:cellar", 2, _humidity, late=8),
)


def destination(container: Container) -> str:
    """Where the messages go and the records are, for a person."""
    settings, of = container.settings(), mask_url(container.channel_url())
    store = f" of {mask_url(container.store_url())}" if settings.store_url else ""
    kind, channel = "stream" if settings.transport == "stream" else "channel", settings.publishing_channel()
    key = f"{settings.key_prefix}{SAMPLES[0].type}"
    return f"Samples go to the {kind} {channel} of {of}, their records to keys such as {key}{store}"


async def publish_samples(container: Container, *, channel: str) -> None:
    """Let all of them publish on `channel` until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        for sample in SAMPLES:
            tasks.create_task(_publish(container, sample, channel), name=sample.type)


async def _publish(container: Container, sample: Sample, channel: str) -> None:
    clock = container.clock()
    for update in count():
        while not await _heard(container, sample.messages(update, clock.now()), channel):
            await clock.sleep(_RETRY)
        await clock.sleep(sample.wait(update))


async def _heard(container: Container, messages: Sequence[bytes], channel: str) -> bool:
    publisher = container.publisher()
    try:
        return any(await asyncio.gather(*(publisher.publish(channel, message) for message in messages)))
    except StoreUnavailable:
        return False  # nothing to say: the updater has this server too, and reports it
