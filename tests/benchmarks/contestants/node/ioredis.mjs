// ioredis, as the sections "Pub/Sub" and "Autopipelining" of its README advise: a connection that subscribes and
// another one for commands, which sends what was asked for in one turn of the event loop at once. No SET is waited
// for: they are sent in their order, and waiting would leave nothing to pipeline.

import { isDeepStrictEqual } from "node:util";

import { Redis } from "ioredis";

const validate = process.env.KV_UPDATER_VALIDATE === "true";
const redis = new Redis(process.env.KV_UPDATER_REDIS_URL, { enableAutoPipelining: true });
const subscriber = new Redis(process.env.KV_UPDATER_REDIS_URL);

async function readBack(key, record) {
  if (!isDeepStrictEqual(JSON.parse(await redis.get(key)), record)) console.log("validation failed for", key);
}

subscriber.on("message", (channel, message) => {
  const { type, updated, valid, values } = JSON.parse(message);
  const record = { updated, valid, values };
  redis.set(type, JSON.stringify(record)).catch(console.error);
  if (validate) readBack(type, record).catch(console.error);
});

await subscriber.subscribe(process.env.KV_UPDATER_CHANNEL);
