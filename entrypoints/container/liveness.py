"""What knows whether messages come through and the store answers: the same for all that listen."""

from typing import Any

from application.readiness import Readiness
from application.store_health import StoreHealth
from application.subscription import Subscription
from entrypoints.container.foundations import Foundations
from entrypoints.container.injection import providers
from entrypoints.container.transports import Transports

# Seconds between two checks where the subscription is not probed: they need no right that the commits do not.
_CHECK_INTERVAL = 5.0

_shared: dict[str, Any] = {
    "backoff": Foundations.backoff,
    "clock": Foundations.clock,
    "observer": Foundations.observer,
    "tally": Foundations.tally,
}


def subscription(readiness: providers.Provider[Readiness]) -> providers.Singleton[Subscription]:
    """It says to `readiness` how it is."""
    return providers.Singleton(
        Subscription,
        subscriber=Transports.subscriber,
        readiness=readiness,
        probe_interval=Foundations.given.probe_interval,
        **_shared,
    )


def store_health(readiness: providers.Provider[Readiness], check: Any) -> providers.Singleton[StoreHealth]:
    """`check` provides what StoreHealth calls where nothing else has shown that the store answers."""
    return providers.Singleton(
        StoreHealth,
        check=check,
        readiness=readiness,
        check_interval=providers.Callable(
            lambda settings: settings.probe_interval or _CHECK_INTERVAL, Foundations.settings
        ),
        **_shared,
    )
