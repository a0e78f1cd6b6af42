"""The errors of a measurement that could not be taken: shown in the report, never skipped."""


class MeasurementError(RuntimeError):
    """What went wrong, in one line for the report."""


class CannotRunHere(MeasurementError):
    """A contestant that this machine has no means for: shown as not measured, which is no failure."""
