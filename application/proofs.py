"""What a probe of a subscription comes to: a proof, a doubt, or messages that were missed."""

import asyncio

from application.events import ProbeRefused, SubscribedInGap
from application.gaps import Gaps
from application.ports import (
    Clock,
    MessagesMissed,
    MessageSubscriber,
    Observer,
    ProbeInconclusive,
    ProbeUnsent,
    SubscriptionLost,
    SubscriptionRefused,
)
from application.readiness import Readiness
from application.tally import Tally

SUBSCRIPTION = "subscription"
"""The condition that messages come through."""


class Proofs:
    """Of one subscription. `interval`: seconds until the next probe, for whoever is told that this one was refused."""

    def __init__(
        self,
        *,
        subscriber: MessageSubscriber,
        gaps: Gaps,
        clock: Clock,
        observer: Observer,
        readiness: Readiness,
        tally: Tally,
        interval: float,
    ) -> None:
        self._subscriber = subscriber
        self._gaps = gaps
        self._clock = clock
        self._observer = observer
        self._readiness = readiness
        self._tally = tally
        self._interval = interval
        self._proved = False

    async def probe(self, change: asyncio.Event) -> None:
        """Once. `change` is set where the subscription is another one by now: then nothing is said of it.

        Raises SubscriptionRefused where no probe has come back yet.
        """
        sent_at = self._clock.monotonic()
        try:
            seconds = await self._subscriber.probe()
        except SubscriptionLost:
            # `receive` meets it too, and does what is to be done.
            await change.wait()
        except SubscriptionRefused as refused:
            if not self._proved:
                raise
            self._doubt(refused, change)
            self._observer.notice(ProbeRefused(str(refused), self._interval))
        except ProbeInconclusive as doubt:
            self._doubt(doubt, change)
        except ProbeUnsent:
            # It is heard; but what is heard may be late, and what was published since the last proof need not come.
            self._believe(change)
        except MessagesMissed as missed:
            self._gaps.lower_bound()
            self._observer.notice(SubscribedInGap(str(missed), *self._gaps.close()))
        else:
            self._proved = True
            self._tally.probe_seconds = seconds
            if self._subscriber.complete:
                # Not when it came: what is read after a stall, of us or of the network, was published long before.
                # Nor when it was asked for: it may be one that was late the last time.
                self._gaps.complete(min(sent_at, self._clock.monotonic() - seconds))
            self._believe(change)

    def _believe(self, change: asyncio.Event) -> None:
        if self._subscriber.complete and not change.is_set():
            self._readiness.holds(SUBSCRIPTION)

    def _doubt(self, why: SubscriptionRefused | ProbeInconclusive, change: asyncio.Event) -> None:
        self._readiness.fails(SUBSCRIPTION, str(why))
        if not change.is_set():
            self._gaps.doubt(noticed_late=isinstance(why, ProbeInconclusive))
