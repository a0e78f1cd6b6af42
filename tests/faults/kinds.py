"""Which servers a fault is tried on where it is none of the server's own."""

import pytest

from tests.servers import available_kinds

_kinds = available_kinds()

KINDS_UNLESS_LONG = [*_kinds[:1], *(pytest.param(kind, marks=pytest.mark.long) for kind in _kinds[1:])]
"""Every kind in the long run; in the short one the first will do."""

one_kind_unless_long = pytest.mark.parametrize("server", KINDS_UNLESS_LONG, indirect=True)
