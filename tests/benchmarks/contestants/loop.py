"""The per-message loop as people write it: what KV-Updater is measured against."""

import json
import os

import redis

validate = os.environ["KV_UPDATER_VALIDATE"] == "true"
url = os.environ["KV_UPDATER_REDIS_URL"]
r = redis.Redis.from_url(os.environ.get("KV_UPDATER_STORE_URL", url))
pubsub = redis.Redis.from_url(url).pubsub()
pubsub.subscribe(os.environ["KV_UPDATER_CHANNEL"])

for message in pubsub.listen():
    if message["type"] != "message":
        continue
    update = json.loads(message["data"])
    key = update["type"]
    record = {"updated": update["updated"], "valid": update["valid"], "values": update["values"]}
    r.set(key, json.dumps(record))
    if validate and json.loads(r.get(key)) != record:
        print("validation failed for", key)
