"""Whether the service does its job right now: messages come through, and records can be written."""

from application.events import ReadinessChanged
from application.ports import Observer


class Readiness:
    """Ready while every condition holds. Each has one owner, who says so; none holds from the start."""

    def __init__(self, observer: Observer, *conditions: str) -> None:
        self._observer = observer
        self._why: dict[str, str | None] = dict.fromkeys(conditions, "not yet")
        self._ready = False

    @property
    def why_not(self) -> str | None:
        """What is wrong (the first of it), or None: ready."""
        return next((f"{condition}: {why}" for condition, why in self._why.items() if why is not None), None)

    def why_not_of(self, condition: str) -> str | None:
        """What is wrong with this one, or None: it holds."""
        return self._why[condition]

    def holds(self, condition: str) -> None:
        """It does from now on."""
        if self._why[condition] is not None:
            self._why[condition] = None
            self._tell()

    def fails(self, condition: str, why: str) -> None:
        """It does not hold any more, because of `why`."""
        self._why[condition] = why
        self._tell()

    def _tell(self) -> None:
        why_not = self.why_not
        if self._ready != (why_not is None):
            self._ready = why_not is None
            self._observer.notice(ReadinessChanged(why_not))
