"""Proves a subscription: what is published on another connection must come through it."""

import asyncio
import contextlib
from typing import Any

import hiredis

from adapters.redis.any_node import UNLINKED, ProbeCommands
from adapters.redis.commands import Argument, Commands
from adapters.redis.drain import Drain
from adapters.redis.error_replies import unavailable
from adapters.redis.probe_copies import Copy, ProbeCopies
from adapters.redis.subscriber_watch import SubscriberWatch
from application.ports import (
    MessagesMissed,
    NodeCutOff,
    Observer,
    ProbeInconclusive,
    ProbeUnsent,
    StoreRefused,
    StoreUnavailable,
    SubscriptionLost,
    SubscriptionRefused,
)

PREFIX = b"kv-updater:probe:"

# Of the time for a probe, what passes until one that could not be sent is tried again.
_TURN = 0.1


class PubSubProbe:
    """One subscriber's probes, on a `channel` that no other listens to, published by the command `publish`.

    `timeout`: seconds of silence after a probe was sent that end the subscription. `is_the_only_proof`: what else
    comes through says nothing, as on a cluster, where what comes from one node says nothing of the others. There a
    probe that is late is awaited by the next call too; and where a later copy of it has come, an earlier one is lost.
    """

    def __init__(
        self,
        commands: Commands | ProbeCommands,
        name: str,
        *,
        timeout: float,
        observer: Observer,
        publish: str = "PUBLISH",
        is_the_only_proof: bool = False,
    ) -> None:
        self.channel = PREFIX + name.encode()
        self._publish = publish
        self._commands = commands
        self._is_the_only_proof = is_the_only_proof
        self._timeout = timeout
        self._watch = SubscriberWatch(commands, observer)
        self._copies = ProbeCopies()
        # Of the first that comes back; None: the subscription is gone.
        self._arrival: asyncio.Future[Copy | None] | None = None
        self._cut_off = False

    def check_role(self, role: Any) -> None:
        """What the subscriber's server answers to ROLE. Raises MasterReplaced where nothing can come by way of it."""
        self._watch.check_role(role)

    async def round_trip(self, drain: Drain, client_id: int | None) -> float:
        """Publish one and wait until `arrived` is told of it; seconds. `client_id` is the subscriber's.

        Raises what the port has it raise.
        """
        if not self._is_the_only_proof:
            self._copies.clear()
        if self._arrival is None or not self._is_the_only_proof:
            self._arrival = asyncio.get_running_loop().create_future()
        try:
            copy = await self._first_back(self._arrival, drain, client_id)
        except ProbeInconclusive:
            raise
        except BaseException:
            self._arrival = None
            raise
        self._arrival = None
        if copy is None:
            raise SubscriptionLost("subscribed anew")
        if self._copies.settle(copy) and self._is_the_only_proof:
            raise MessagesMissed("a probe has not come back, and a later one has")
        return asyncio.get_running_loop().time() - copy.sent_at

    @property
    def output_buffer_bytes(self) -> int:
        """As the port has it."""
        return self._watch.output_buffer_bytes

    def arrived(self, payload: bytes) -> None:
        """This has come through the subscription."""
        copy = self._copies.find(payload)
        if copy is None:
            return
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(copy)
        else:
            self._copies.drop(copy)

    async def close(self) -> None:
        """The subscription is gone; the next may be to another server."""
        self._watch.forget()
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
        self._arrival = None
        self._copies.clear()
        await self._commands.close()

    async def _first_back(
        self, arrival: asyncio.Future[Copy | None], drain: Drain, client_id: int | None
    ) -> Copy | None:
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        unsent = "" if arrival.done() else await self._send_in_time(arrival, drain, client_id)
        was_calm = self._is_calm(drain)
        last_sent_at = silent_since = loop.time() if self._is_the_only_proof else sent_at
        # Whatever has come meanwhile has come through, late perhaps; and what is not parsed yet may be the probe.
        while not (arrival.done() or (unsent and drain.heard_at > sent_at)):
            silence = loop.time() - max(silent_since, drain.heard_at)
            if silence >= self._timeout and not drain.bytes:
                self._give_up(drain, unsent)
            if drain.lost is not None:
                raise SubscriptionLost(str(drain.lost))
            if not unsent and loop.time() - last_sent_at >= self._timeout:
                # It waits behind a flood; or the nodes of a cluster have lost it, and then there is more to find out.
                await self._send_in_time(arrival, drain, client_id)
                is_calm = self._is_calm(drain)
                # After a flood the rest of it is still on its way, where nobody sees it.
                if self._is_the_only_proof and was_calm and is_calm and not arrival.done():
                    # Not by the same way once more.
                    await self._commands.close()
                    raise ProbeInconclusive(f"no probe came back within {self._timeout:g} s, though messages did")
                last_sent_at, was_calm = loop.time(), is_calm
                continue
            patience = self._timeout - silence if silence < self._timeout else self._timeout
            until_next = self._timeout if unsent else last_sent_at + self._timeout - loop.time()
            await asyncio.wait((arrival,), timeout=min(patience, until_next))
        if not arrival.done():
            raise ProbeUnsent(f"a probe has not come back{unsent}")
        return arrival.result()

    def _is_calm(self, drain: Drain) -> bool:
        """Whether nothing is known behind which a probe may wait."""
        return not drain.bytes and not self._watch.sees_flood

    async def _send_in_time(self, arrival: asyncio.Future[Copy | None], drain: Drain, client_id: int | None) -> str:
        """As `_try_to_send`; where nothing else is a proof, again and again, and then it is the end."""
        if not self._is_the_only_proof:
            return await self._try_to_send(drain, client_id, self._timeout)
        unsent = ", for it could not be published: no answer"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                # Half of the time: the node that it is to be published on may be frozen, and then it is another's turn.
                while not arrival.done() and (unsent := await self._try_to_send(drain, client_id, self._timeout / 2)):
                    await asyncio.wait((arrival,), timeout=self._timeout * _TURN)
        if not unsent or arrival.done():
            return ""
        self._give_up(drain, unsent)
        raise SubscriptionLost(str(drain.lost))

    def _give_up(self, drain: Drain, unsent: str) -> None:
        kind = NodeCutOff if unsent and self._cut_off else SubscriptionLost
        drain.give_up(kind(f"no probe came back within {self._timeout:g} s{unsent}"))

    async def _try_to_send(self, drain: Drain, client_id: int | None, within: float) -> str:
        """Why it could not be published; empty: it was."""
        try:
            async with asyncio.timeout(within):
                await self._send(client_id)
        except StoreRefused as error:
            raise SubscriptionRefused(f"a probe cannot be published: {error}") from None
        except SubscriptionLost as lost:
            drain.give_up(lost)
            raise
        except (StoreUnavailable, TimeoutError) as error:
            self._cut_off = isinstance(error, StoreUnavailable) and error.kind == UNLINKED
            # It may be dead for good: the next probe gets a new connection.
            await self._commands.close()
            return f", for it could not be published: {str(error) or 'no answer'}"
        return ""

    async def _send(self, client_id: int | None) -> None:
        """An account that may do no more than publish (no ROLE, CLIENT LIST, CONFIG GET) does that all the same."""
        copy = self._copies.make()
        role, clients, published = await self._call_twice_if_need_be(
            *self._watch.questions(client_id), (self._publish, self.channel, copy.payload)
        )
        if isinstance(published, hiredis.ReplyError):
            raise unavailable(published)
        copy.published = True
        await self._watch.look(role, clients)

    async def _call_twice_if_need_be(self, *commands: tuple[Argument, ...]) -> list[Any]:
        try:
            return await self._commands.calls(*commands)
        except StoreUnavailable as error:
            # Idle between two probes, it is cut off by servers and middle boxes with a time limit: no sign of anything.
            if error.kind != "connection" or self._arrival is None or self._arrival.done():
                raise
            return await self._commands.calls(*commands)
