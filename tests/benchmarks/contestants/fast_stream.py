"""FastStream with a pydantic model, as its pages "Channel Subscription" (Redis) and "Pydantic Serialization" advise.

Two choices are in its favour. It logs two lines a message unless told otherwise; nobody else here does, so that is
off, as on "Application and Access Logging". And it would hand its own client to the handler, but looks that up in
another thread for each message; so the handler has a client of redis-py. One worker, which is its default: with more of
them an older message could be stored after a newer one.
"""

import asyncio
import os
from typing import Any

from faststream import FastStream
from faststream.redis import RedisBroker
from pydantic import BaseModel
from redis.asyncio import Redis

validate = os.environ["KV_UPDATER_VALIDATE"] == "true"
redis = Redis.from_url(os.environ["KV_UPDATER_REDIS_URL"])
broker = RedisBroker(os.environ["KV_UPDATER_REDIS_URL"], logger=None)
app = FastStream(broker, logger=None)


class Record(BaseModel):
    updated: str | None = None
    valid: str | None = None
    values: dict[str, Any] | list[Any]


class Update(Record):
    type: str


@broker.subscriber(os.environ["KV_UPDATER_CHANNEL"])
async def keep(update: Update) -> None:
    record = update.model_dump_json(exclude={"type"})
    await redis.set(update.type, record)
    if validate and Record.model_validate_json(await redis.get(update.type)) != Record.model_validate_json(record):
        print("validation failed for", update.type)


asyncio.run(app.run())
