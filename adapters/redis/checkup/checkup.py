"""All that is looked at, in order."""

import asyncio
from collections.abc import Sequence
from itertools import chain

from adapters.redis.checkup.findings import Finding, Place
from adapters.redis.checkup.keyspace import Keyspace
from adapters.redis.checkup.needed_rights import NeededRights
from adapters.redis.checkup.network import reach
from adapters.redis.checkup.rights import try_rights
from adapters.redis.checkup.server import Server
from adapters.redis.checkup.service import Service
from adapters.redis.checkup.several import masters_of
from adapters.redis.checkup.sites import Site, Way, Work
from adapters.redis.cluster import Address
from adapters.redis.commands import Commands

_Examined = tuple[Place, Way, Commands]


class Checkup:
    """Of the servers of one or two sites. Nothing is written; it ends within some seconds, whatever they do."""

    def __init__(self, sites: Sequence[Site], work: Work, keyspace: Keyspace, service: Service) -> None:
        self._sites = sites
        self._work = work
        self._keyspace = keyspace
        self._service = service

    async def findings(self) -> list[Finding]:
        """Site by site, server by server."""
        return [*chain.from_iterable(await asyncio.gather(*map(self._look_at, self._sites)))]

    async def _look_at(self, site: Site) -> list[Finding]:
        named = [(Place(_where(site, way)), way) for way in site.named]
        reached = await asyncio.gather(*(reach(place, way, site.setting) for place, way in named))
        places = [place for place, _ in named]
        connections = [*reached]
        try:
            if site.kind == "server":
                masters = [(places[0], site.named[0], reached[0])]
            else:
                masters = await self._masters(site, places, reached)
                connections += [commands for *_, commands in masters]
            await asyncio.gather(*(self._examine(site, *master) for master in masters))
        finally:
            for commands in connections:
                await commands.close()
        examined = [place for place, *_ in masters]
        if any(not place.lost for place in places):
            for place in places:
                if place.lost and place not in examined:
                    place.soften()
        every = list(dict.fromkeys((*places, *examined)))
        whole = Place(examined[0].where if site.kind != "cluster" and examined else f"{site.name}{site.service}")
        if not examined or any(place.lost for place in examined):
            whole.lost = "a server cannot be used"
        whole.forbids_writes = any(place.forbids_writes for place in examined)
        await self._use(site, whole)
        return [*chain.from_iterable(place.findings for place in (*every, whole))]

    async def _masters(self, site: Site, places: Sequence[Place], reached: Sequence[Commands]) -> list[_Examined]:
        """Those that the named servers tell of, each with the way there looked at."""
        addresses = await masters_of(site, places, reached)
        known = zip(site.named, places, reached, strict=True) if site.kind == "cluster" else ()
        seen = {(way.host, way.port): (place, way, commands) for way, place, commands in known}

        async def way_to(address: Address) -> _Examined:
            if address in seen:
                return seen[address]
            way = site.way_to(*address)
            place = Place(f"{site.name}{way.connector.address}")
            return place, way, await reach(place, way, site.setting)

        return await asyncio.gather(*map(way_to, addresses))

    async def _examine(self, site: Site, place: Place, way: Way, commands: Commands) -> None:
        server, rights = Server(commands, site, self._work), NeededRights(site, self._work)
        await place.look("version", server.tell_version)
        await place.look("role", server.tell_role)
        if site.messages and self._work.transport != "stream":
            await place.look("output buffer", server.tell_buffer_limit)
        writes = site.records and not self._work.reads
        if writes or self._work.transport == "stream":
            await place.look("memory", server.tell_memory)
        await place.look("rights", lambda: try_rights(commands, way, rights, server.version))
        place.forbids_writes = rights.forbids_writes
        if writes:
            await place.look("keyspace", lambda: self._keyspace.tell(commands))

    async def _use(self, site: Site, place: Place) -> None:
        questions = [*self._service.of_messages()] if site.messages else []
        if site.records:
            questions += self._service.of_records(site.setting, forbidden=place.forbids_writes)
        for check, question in questions:
            await place.look(check, question)


def _where(site: Site, way: Way) -> str:
    kind = {"sentinel": "sentinel ", "cluster": ""}.get(site.kind, "")
    return f"{site.name}{kind}{way.connector.address}"
