"""The one error of a measurement that could not be taken: shown as failed, never skipped."""


class MeasurementError(RuntimeError):
    """What went wrong, in one line for the report."""
