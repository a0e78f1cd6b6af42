"""Whether the service does its job right now: messages come through, and records can be written."""

from application.events import ReadinessChanged
from application.ports import Observer


class Readiness:
    """Ready while every condition holds. Each has one owner, who says so; none holds from the start."""

    def __init__(self, observer: Observer, *conditions: str) -> None:
        self._observer = observer
        self._why: dict[str, str | None] = {condition: f"{condition}: not yet" for condition in conditions}
        self._ready = False

    @property
    def why_not(self) -> str | None:
        """What is wrong (the first of it), or None: ready."""
        return next((why for why in self._why.values() if why is not None), None)

    def holds(self, condition: str) -> None:
        """It does from now on."""
        self._why[condition] = None
        self._tell()

    def fails(self, condition: str, why: str) -> None:
        """It does not hold any more, because of `why`."""
        self._why[condition] = f"{condition}: {why}"
        self._tell()

    def _tell(self) -> None:
        why_not = self.why_not
        if self._ready != (why_not is None):
            self._ready = why_not is None
            self._observer.notice(ReadinessChanged(why_not))
