"""Coroutines of ours that say what to do where nobody awaits them, and work without a loop.

:func:`coroutine` is put on public ``async def`` functions. What they give is awaited as any
coroutine is; it has a repr for a notebook's last line, a warning for a script that forgot it, and
``.result(timeout)`` for code that has no loop.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload

from overshoot_nb.support.parameters import Given

from .event_loop import get_runtime

P = ParamSpec("P")
T = TypeVar("T")

WHAT_TO_DO = "write `await` before it, or `.result()` after it where nothing can be awaited"

Undo = Callable[[Any], Coroutine[Any, Any, object]]


class Call(Coroutine[Any, Any, T]):
    """One call of a public coroutine function: a coroutine, and :meth:`result` beside it."""

    __slots__ = ("__weakref__", "_begun", "_coro", "_finish", "_name", "_undo")

    def __init__(
        self, coro: Coroutine[Any, Any, T], name: str, undo: Undo | None, finish: bool
    ) -> None:
        self._begun = False
        self._name = name
        self._undo = undo
        self._finish = finish
        self._coro = coro

    def result(self, timeout: float | None = None) -> T:
        """Carry it out and block until it is done: for scripts, and cells without ``await``.

        A ``KeyboardInterrupt`` cancels it, and so does the timeout.

        Args:
            timeout: seconds; None waits for as long as it takes.

        Raises:
            RuntimeError: called on the event loop that would carry it out, or it was awaited.
            TimeoutError: it was not done in time.
        """
        if self._begun:
            raise RuntimeError(f"{self._name}() was awaited already, or has a result")
        runtime = get_runtime()
        if runtime.in_loop():
            raise RuntimeError(
                f"{self._name}().result() would wait for the loop that it is called on: in a "
                f"coroutine callback write `await` before {self._name}()"
            )
        self._begun = True
        return runtime.run(self._coro, timeout, undo=self._undo, finish=self._finish)

    # ---- a coroutine ----

    def __await__(self) -> Generator[Any, Any, T]:
        self._begun = True
        return self._coro.__await__()

    def send(self, value: Any) -> Any:
        """As of a coroutine."""
        self._begun = True
        return self._coro.send(value)

    @overload
    def throw(
        self,
        typ: type[BaseException],
        val: BaseException | object = None,
        tb: TracebackType | None = None,
        /,
    ) -> Any: ...
    @overload
    def throw(
        self, typ: BaseException, val: None = None, tb: TracebackType | None = None, /
    ) -> Any: ...
    def throw(self, typ: Any, val: Any = None, tb: Any = None, /) -> Any:
        """As of a coroutine."""
        self._begun = True
        error = typ if isinstance(typ, BaseException) else val
        if not isinstance(error, BaseException):
            error = typ() if val is None else typ(val)
        return self._coro.throw(error if tb is None else error.with_traceback(tb))

    def close(self) -> None:
        """As of a coroutine."""
        self._begun = True
        self._coro.close()

    def __getattr__(self, name: str) -> Any:
        # What asyncio's tasks, debuggers and `inspect` look at.
        if name.startswith("cr_") or name in ("__name__", "__qualname__"):
            return getattr(self._coro, name)
        raise AttributeError(f"{self!r} has no attribute {name!r}; it has to be awaited first")

    def __repr__(self) -> str:
        if self._begun:
            return f"<{self._name}(), awaited>"
        return f"<{self._name}() has not begun: {WHAT_TO_DO}>"

    def __del__(self) -> None:
        if not getattr(self, "_begun", True):
            # Closed, so that Python does not say it again.
            self.close()
            message = f"{self._name}() was never awaited, so nothing was done: "
            warnings.warn(message + WHAT_TO_DO, RuntimeWarning, stacklevel=2)


@overload
def coroutine(takes: Callable[P, Coroutine[Any, Any, T]], /) -> Callable[P, Call[T]]: ...
@overload
def coroutine(
    *, undo: Undo | None = None, finish: bool = False
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Call[T]]]: ...
def coroutine(takes: Any = None, /, *, undo: Undo | None = None, finish: bool = False) -> Any:
    """A public ``async def`` function whose calls are :class:`Call`; names are checked at once.

    Args:
        takes: the function.
        undo: closes a result that nobody took: ``result()`` was interrupted.
        finish: ``result()`` that is interrupted lets it go on to its end.
    """
    if takes is None:
        return functools.partial(_decorated, undo=undo, finish=finish)
    return _decorated(takes, undo=undo, finish=finish)


def _decorated(takes: Any, *, undo: Undo | None, finish: bool) -> Any:
    name = takes.__qualname__

    @functools.wraps(takes)
    def called(*args: Any, **kwargs: Any) -> Call[Any]:
        given = Given(args, kwargs)
        del args, kwargs  # they may be secrets
        error = given.settled(takes)
        if error is not None:
            raise error
        return Call(takes(*given.args(), **given.kwargs()), name, undo, finish)

    if hasattr(inspect, "markcoroutinefunction"):  # Python 3.12
        inspect.markcoroutinefunction(called)
    return called
