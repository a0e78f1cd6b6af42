"""How many examples a property is tried on, in the short run and in the long one."""

from hypothesis import settings


def times(factor: float) -> settings:
    """So many times those of the profile: `repeatable`, or `thorough`, as in tests/conftest.py."""
    return settings(max_examples=round(factor * settings.default.max_examples))
