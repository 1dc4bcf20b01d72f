"""The engine on a port, for any client that speaks either surface."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from overshoot_nb import config
from overshoot_nb.errors import MissingDependencyError

from .engine import Engine, missing_packages
from .streams import StreamRegistry

__all__ = ["make_server", "serve"]


def make_server(
    host: str = "127.0.0.1", port: int = 8000, key: str | None = None
) -> tuple[Any, socket.socket, str, Engine]:
    """A uvicorn server that is not running yet, its bound socket, its URL and its engine.

    The socket listens from now on, so the URL can be given away before ``server.run``. Whoever
    runs the server closes the engine afterwards.

    Raises:
        MissingDependencyError: a package of the extra ``local`` is missing.
        OSError: the address cannot be bound.
    """
    if missing := missing_packages(("uvicorn", "starlette")):
        raise MissingDependencyError(
            f"serving the local engine needs {', '.join(missing)}: {config.LOCAL_INSTALL}"
        )
    import uvicorn

    from .app import Access, build_app

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listener.getsockname()[1]}"
    engine = Engine()
    app = build_app(engine, StreamRegistry(), Access(required=True, key=key))
    settings = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", ws="none", server_header=False
    )
    return uvicorn.Server(settings), listener, url, engine


def serve(
    host: str = "127.0.0.1",
    port: int = 8000,
    key: str | None = None,
    *,
    say: Callable[[str], object] = print,
) -> None:
    """Serve the embedded engine until interrupted.

    Args:
        host: address to listen on. Others than the loopback are reachable from outside.
        port: TCP port; 0 takes a free one, which is printed.
        key: the bearer key that clients must send; None accepts any that is not empty.
        say: called once with a line that has the URLs.

    Raises:
        MissingDependencyError: a package of the extra ``local`` is missing.
        OSError: the address cannot be bound.
    """
    server, listener, url, engine = make_server(host, port, key)
    try:
        say(f"overshoot-nb local engine: {url}/v1beta (chat completions), {url}/v0.2 (streams)")
        engine.preload()
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()
        engine.close()
