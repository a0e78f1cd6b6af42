"""Asynchronous work whose first step is done when it is asked for, not when it is awaited."""

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Begun(Generic[T]):
    """To await it does the rest, a call of `rest`. It is awaited once, and always: till then what was begun is open."""

    __slots__ = ("_arguments", "_rest")

    def __init__(self, rest: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> None:
        self._rest = rest
        self._arguments = arguments

    def __await__(self) -> Generator[Any, None, T]:
        return self._rest(*self._arguments).__await__()
