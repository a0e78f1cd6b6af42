"""dependency_injector without the web frameworks that it imports where they are installed, to inject into them.

Nothing here is injected so, and to import them takes ten megabytes and a third of a second at each start.
"""

import sys
from typing import Any, cast

_FRAMEWORKS = ("fastapi", "fast_depends", "starlette", "werkzeug")

_modules = cast("dict[str, Any]", sys.modules)
_absent = [name for name in _FRAMEWORKS if name not in _modules]
_modules.update(dict.fromkeys(_absent))  # an import of what is None here fails
try:
    from dependency_injector import containers, providers
finally:
    for _name in _absent:
        del _modules[_name]

__all__ = ["containers", "providers"]
