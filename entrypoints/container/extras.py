"""What only some settings need: imported where they ask for it; where it is missing, it is said what to install."""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from entrypoints.settings import Settings, SettingsError

if TYPE_CHECKING:
    from adapters.observability.otel_traces import OtelTraces
    from entrypoints.container import Container
    from entrypoints.runner import Companion


def observed() -> "Callable[[Settings], tuple[Container, Sequence[Companion]]]":
    """For `http_port`. Raises SettingsError."""
    with _installed("http_port: run needs", "serve"):
        from entrypoints.observed import observed
    return observed


def otel_traces() -> "type[OtelTraces]":
    """For `tracing`. Raises SettingsError."""
    with _installed("tracing: it needs", "tracing"):
        from adapters.observability.otel_traces import OtelTraces
    return OtelTraces


def serve() -> Callable[[Settings], Coroutine[Any, Any, int]]:
    """For the API server. Raises SettingsError."""
    with _installed("serve needs", "serve"):
        from entrypoints.serve import serve
    return serve


def try_all(settings: Settings, *, service: str) -> None:
    """In the order in which the service would miss them. Raises SettingsError."""
    if service == "serve":
        serve()
        return
    if settings.http_port is not None:
        observed()
    if settings.tracing:
        otel_traces()


@contextmanager
def _installed(what: str, extra: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise SettingsError(f'{what} {error.name}: in the checkout, pip install ".[{extra}]"') from None
