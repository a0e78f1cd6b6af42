"""Whether the store does what it is for: the calls say so, and where there is nothing to call for, a check does."""

from collections.abc import Awaitable, Callable

from application.backoff import Backoff
from application.events import StoreFailed, StoreRecovered
from application.ports import Clock, Observer, StoreRefused, StoreUnavailable
from application.readiness import Readiness
from application.tally import Tally

STORE = "store"


class StoreHealth:
    """`check` raises StoreUnavailable. A refusal that no retry can mend is final only until the store has worked once.

    `check_interval`: seconds from one proof to the next; 0: only calls prove anything.
    """

    def __init__(
        self,
        *,
        check: Callable[[], Awaitable[None]],
        backoff: Backoff,
        clock: Clock,
        observer: Observer,
        readiness: Readiness,
        tally: Tally,
        check_interval: float,
    ) -> None:
        self._check = check
        self._backoff = backoff
        self._clock = clock
        self._observer = observer
        self._readiness = readiness
        self._tally = tally
        self._check_interval = check_interval
        self._worked_at: float | None = None
        self._failing_since: float | None = None
        self._calls_fail = False

    def worked(self) -> None:
        """The store has done what it was called for."""
        self._worked_at = self._clock.monotonic()
        self._calls_fail = False
        if self._failing_since is not None:
            self._backoff.reset()
            self._tally.reconnects[STORE] += 1
            self._observer.notice(StoreRecovered(self._worked_at - self._failing_since))
            self._failing_since = None
        self._readiness.holds(STORE)

    def failed(self, error: StoreUnavailable) -> float:
        """The store has refused a call, or did not answer; seconds until the next try. Raises StoreRefused."""
        # A check would say that all is well where it is the call's own keys or bytes that are refused.
        self._calls_fail = True
        return self._failed(error)

    def given_up(self) -> None:
        """What was refused is not tried any more, for it has expired: the next check says how the store is."""
        self._calls_fail = False

    async def watch(self) -> None:
        """Check it now, and whenever no call has shown it for a while; for ever. Raises StoreRefused."""
        while self._check_interval:
            if self._calls_fail or self._proved_for() > 0:
                await self._clock.sleep(max(self._proved_for(), self._check_interval / 5))
                continue
            try:
                await self._check()
            except StoreUnavailable as error:
                await self._clock.sleep(self._failed(error))
            else:
                # A call that has failed meanwhile knows better.
                if not self._calls_fail:
                    self.worked()

    def _proved_for(self) -> float:
        if self._worked_at is None or self._failing_since is not None:
            return 0.0
        return self._worked_at + self._check_interval - self._clock.monotonic()

    def _failed(self, error: StoreUnavailable) -> float:
        if self._worked_at is None and isinstance(error, StoreRefused):
            raise error
        if self._failing_since is None:
            self._failing_since = self._clock.monotonic()
        self._tally.store_errors[error.kind] += 1
        delay = self._backoff.next()
        self._observer.notice(StoreFailed(error.kind, str(error), delay))
        self._readiness.fails(STORE, error.kind)
        return delay
