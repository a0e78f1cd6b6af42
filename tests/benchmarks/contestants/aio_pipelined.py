"""redis-py under asyncio as somebody writes it who knows the cost of a round trip: nobody waits for each SET.

Whatever has come is taken off the pubsub, of each key what came last is kept, and all of that goes in one pipeline
without a transaction (redis-py's documentation, "Pipelines"), of at most 500 commands.
"""

import asyncio
import json
import os

import redis.asyncio as redis

_MOST = 500


async def take(pubsub: redis.client.PubSub, newest: dict[str, str], wait: float | None) -> bool:
    message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=wait)
    if message is None:
        return False
    update = json.loads(message["data"])
    record = {"updated": update["updated"], "valid": update["valid"], "values": update["values"]}
    newest[update["type"]] = json.dumps(record)
    return True


async def main() -> None:
    async with redis.from_url(os.environ["KV_UPDATER_REDIS_URL"]) as r, r.pubsub() as pubsub:
        await pubsub.subscribe(os.environ["KV_UPDATER_CHANNEL"])
        while True:
            newest: dict[str, str] = {}
            if not await take(pubsub, newest, wait=None):
                continue
            while len(newest) < _MOST and await take(pubsub, newest, wait=0.0):
                pass
            async with r.pipeline(transaction=False) as pipeline:
                for key, record in newest.items():
                    pipeline.set(key, record)
                await pipeline.execute()


asyncio.run(main())
