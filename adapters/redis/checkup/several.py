"""What sentinels say of their master, and nodes of a cluster of their masters."""

from collections.abc import Sequence

from adapters.redis.checkup.findings import STEP, Place, Told, fail, ok, warn
from adapters.redis.checkup.sites import Site
from adapters.redis.cluster import Address, Cluster
from adapters.redis.commands import Commands
from adapters.redis.hash_slots import SLOTS
from application.ports import StoreUnavailable


async def masters_of(site: Site, places: Sequence[Place], reached: Sequence[Commands]) -> Sequence[Address]:
    """Where the masters are; none where nobody tells it. `reached` is the way to each of the named servers."""
    return await (_of_sentinels if site.kind == "sentinel" else _of_cluster)(site, places, reached)


async def _of_sentinels(site: Site, places: Sequence[Place], reached: Sequence[Commands]) -> Sequence[Address]:
    told: list[Address] = []

    async def ask(commands: Commands) -> Told:
        try:
            reply = await commands.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", site.service)
        except StoreUnavailable as error:
            if error.kind == "noperm":
                return fail(str(error), "append to its account there: +sentinel|get-master-addr-by-name")
            if error.kind == "unknown_command":
                return fail("this is no sentinel", f"begin {site.setting} with redis, or name the sentinels' ports")
            raise
        match reply:
            case [bytes(host), bytes(port)]:
                told.append((host.decode(), int(port)))
            case _:
                return fail(f"knows no service {site.service}", f"write another service into {site.setting}")
        found = "the master of {} is {}:{}".format(site.service, *told[-1])
        if told[-1] != told[0]:
            return warn(f"{found}, and another sentinel says {told[0][0]}:{told[0][1]}", "check again after a failover")
        return ok(found)

    for place, commands in zip(places, reached, strict=True):
        await place.look("sentinel", lambda commands=commands: ask(commands), vital=True)  # type: ignore[misc]
    return told[:1]


async def _of_cluster(site: Site, places: Sequence[Place], _: Sequence[Commands]) -> Sequence[Address]:
    masters: list[Address] = []

    async def ask(host: str, port: int) -> Told:
        cluster = Cluster([(host, port)], lambda address: site.way_to(*address).connector, timeout=STEP)
        try:
            await cluster.settle()
        except StoreUnavailable as error:
            if error.kind == "noperm":
                return fail(str(error), "append to the account: +cluster|slots +asking")
            if "cluster support disabled" in str(error):
                return fail("this is no node of a cluster", f"begin {site.setting} with redis, not redis+cluster")
            return fail(str(error), f"redis-cli --cluster check {host}:{port}")
        masters.extend(address for address in cluster.masters if address not in masters)
        nobodys = sum(cluster.master_of(slot) is None for slot in range(SLOTS))
        if nobodys:
            return warn(f"{nobodys} slots are served by nobody", f"redis-cli --cluster check {host}:{port}")
        return ok(f"{len(cluster.masters)} masters serve all slots")

    for place, way in zip(places, site.named, strict=True):
        await place.look("cluster", lambda way=way: ask(way.host, way.port), vital=True)  # type: ignore[misc]
    return masters
