// node-redis, as its pages "Pub/Sub" and "F.A.Q." (How are commands batched?) and the section "Auto-Pipelining" of its
// README advise: a duplicate of the client subscribes, and the commands of one turn of the event loop are sent
// together without being asked to. No SET is waited for: they are sent in their order.

import { isDeepStrictEqual } from "node:util";

import { createClient } from "redis";

const validate = process.env.KV_UPDATER_VALIDATE === "true";
const client = createClient({ url: process.env.KV_UPDATER_REDIS_URL });
const subscriber = client.duplicate();
client.on("error", console.error);
subscriber.on("error", console.error);
await Promise.all([client.connect(), subscriber.connect()]);

async function readBack(key, record) {
  if (!isDeepStrictEqual(JSON.parse(await client.get(key)), record)) console.log("validation failed for", key);
}

await subscriber.subscribe(process.env.KV_UPDATER_CHANNEL, (message) => {
  const { type, updated, valid, values } = JSON.parse(message);
  const record = { updated, valid, values };
  client.set(type, JSON.stringify(record)).catch(console.error);
  if (validate) readBack(type, record).catch(console.error);
});
