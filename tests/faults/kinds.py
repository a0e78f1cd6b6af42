"""Which servers a fault is tried on where it is none of the server's own."""

import pytest

from tests.kinds import ALL, ONE_UNLESS_LONG

one_kind_unless_long = pytest.mark.parametrize("server", ONE_UNLESS_LONG, indirect=True)
"""Every kind in the long run; in the short one the first will do."""

one_kind = pytest.mark.parametrize("server", ALL[:1], indirect=True)
"""The first will do, for the fault takes long."""
