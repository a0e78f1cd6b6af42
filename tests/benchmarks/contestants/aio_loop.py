"""redis-py under asyncio, one SET a message, as its "Asyncio Examples" (docs/examples, Pub/Sub Mode) show it.

The reader is a task over `get_message(timeout=None)` of a pubsub in `async with`; each message is awaited, so that
what is stored last is what came last.
"""

import asyncio
import json
import os

import redis.asyncio as redis

validate = os.environ["KV_UPDATER_VALIDATE"] == "true"


async def reader(channel: redis.client.PubSub, r: redis.Redis) -> None:
    while True:
        message = await channel.get_message(ignore_subscribe_messages=True, timeout=None)
        if message is None:
            continue
        update = json.loads(message["data"])
        key = update["type"]
        record = {"updated": update["updated"], "valid": update["valid"], "values": update["values"]}
        await r.set(key, json.dumps(record))
        if validate and json.loads(await r.get(key)) != record:
            print("validation failed for", key)


async def main() -> None:
    async with redis.from_url(os.environ["KV_UPDATER_REDIS_URL"]) as r, r.pubsub() as pubsub:
        await pubsub.subscribe(os.environ["KV_UPDATER_CHANNEL"])
        await asyncio.create_task(reader(pubsub, r))


asyncio.run(main())
