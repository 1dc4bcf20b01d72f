"""The engine of this process: opened when it is first asked, the same for everybody."""

from __future__ import annotations

import atexit
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from overshoot_nb import config
from overshoot_nb.errors import MissingDependencyError
from overshoot_nb.support.installed import ENGINE_MODULES, missing_packages

from .engine import Engine

if TYPE_CHECKING:
    import httpx

    from overshoot_nb.asking.socket import Socket


class _Shared(NamedTuple):
    """The engine of this process."""

    engine: Engine
    app: Any
    transport: httpx.AsyncBaseTransport


_lock = threading.Lock()
_shared: _Shared | None = None


def open_transport() -> httpx.AsyncBaseTransport:
    """A transport to the embedded engine of this process, for any ``httpx.AsyncClient``.

    All transports reach the same engine, from whatever event loop or thread; closing one closes
    nothing. The scheme and host of the URLs do not matter, only their paths (``/v1beta``,
    ``/v1``, ``/v0.2``). No key is needed.

    Raises:
        MissingDependencyError: the extra ``local`` is not installed; the message has the command.
    """
    return _open().transport


async def open_socket(path: str) -> Socket:
    """A WebSocket to the embedded engine of this process, for the running event loop.

    Args:
        path: such as ``/v0.2/ws/streams/<id>``.

    Raises:
        SocketClosed: the engine does not want the connection.
        MissingDependencyError: the extra ``local`` is not installed; the message has the command.
    """
    app = _open().app
    from .in_process import InProcessSocket

    opened = InProcessSocket(app, path)
    await opened.open()
    return opened


def _open() -> _Shared:
    global _shared
    with _lock:
        if _shared is None:
            missing = missing_packages(ENGINE_MODULES)
            if missing:
                raise MissingDependencyError(
                    f"the embedded engine needs {', '.join(missing)}: {config.LOCAL_INSTALL}"
                )
            import httpx

            from .access import Access
            from .app import build_app
            from .streams import StreamRegistry

            engine = Engine()
            app = build_app(engine, StreamRegistry(), Access())
            # A fault is answered 500, as a server would, instead of being raised in the client.
            _shared = _Shared(engine, app, httpx.ASGITransport(app, raise_app_exceptions=False))
            atexit.register(close_engine)
        return _shared


def close_engine() -> None:
    """End the engine of this process, its streams and its threads; it is made anew when needed.

    Requests that wait or are being answered are refused (503). Streams end, and their listeners
    are told.
    """
    global _shared
    with _lock:
        shared, _shared = _shared, None
    if shared is not None:
        atexit.unregister(close_engine)
        shared.engine.close()
