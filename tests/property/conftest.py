"""The same examples in every run, and no deadline: a slow machine is no reason to fail."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, max_examples=200, deadline=None)
settings.load_profile("repeatable")
