"""The engine on a port, for any client that speaks either surface."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from overshoot_nb import config
from overshoot_nb.errors import MissingDependencyError, ValidationError
from overshoot_nb.support.api_key import ApiKey, held_key
from overshoot_nb.support.installed import missing_packages

from .engine import Engine
from .streams import StreamRegistry

if TYPE_CHECKING:
    from .http_protocol import ConnectionLimits

#: What the configuration page of the service's Python SDK asks, so that it runs as it stands there.
SDK_MODELS = {"Qwen/Qwen3.5-9B": "local/auto"}
#: A WebSocket is pinged so often, and closed when no answer comes within as long.
PING_SECONDS = 20.0
#: What clients send over it: a key.
MAX_WEBSOCKET_BYTES = 64 * 1024
#: How long requests may go on once the server is told to stop.
GRACE_SECONDS = 1


MAX_PORT = 65_535


def _print(line: str) -> None:
    # At once: whoever starts a server reads its URL from a pipe.
    print(line, flush=True)


def _checked(key: ApiKey) -> ApiKey:
    """The key without the spaces around it, which clients leave out too."""
    if not isinstance(key.reveal(), str):
        raise ValidationError(f"the key must be text, not {type(key.reveal()).__name__}")
    key = ApiKey(key.reveal().strip())
    if not key.reveal():
        raise ValidationError("the key is empty; leave it out to accept any key")
    if not (key.reveal().isascii() and key.reveal().isprintable()):
        raise ValidationError(
            "the key has letters other than ASCII, which headers and WebSockets write differently"
        )
    return key


def _listen(host: str, port: int, *, open_to_all: bool) -> tuple[socket.socket, bool]:
    """A listening socket, and whether only this machine reaches it.

    Args:
        open_to_all: whether others may reach it.

    Raises:
        ValidationError: they would and may not; or it is no host.
        OSError: the address is not known or cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # An empty name is every address; and what was looked at is what is bound.
        found = socket.getaddrinfo(host or "0.0.0.0", port, family, socket.SOCK_STREAM)
    except ValueError:
        raise ValidationError(f"host={host!r} is not valid: it is no name or address") from None
    address = found[0][4]
    loopback = ip_address(str(address[0]).partition("%")[0]).is_loopback
    if not (loopback or open_to_all):
        raise ValidationError(
            f"other machines can reach {host or address[0]}, and without a key anybody there could "
            "use the engine: give a key (--key-env NAME, --key-file PATH), or say --insecure "
            "(insecure=True)"
        )
    return socket.create_server(address, family=family), loopback


def make_server(
    host: str = "127.0.0.1",
    port: int = 8000,
    key: str | ApiKey | None = None,
    *,
    insecure: bool = False,
    allow_hosts: Iterable[str] = (),
    allow_origins: Iterable[str] = (),
    aliases: Mapping[str, str] | None = None,
    unlisted: Mapping[str, str] | None = None,
    engine: Engine | None = None,
    registry: StreamRegistry | None = None,
    limits: ConnectionLimits | None = None,
) -> tuple[Any, socket.socket, str, Engine]:
    """A uvicorn server that is not running yet, its bound socket, its URL and its engine.

    The socket listens from now on, so the URL can be given away before ``server.run``. Whoever
    runs the server closes the engine afterwards, and with it the registry; a signal that stops
    the server does, too. Until then another server may be made of both: streams, their leases,
    media and results go on meanwhile.

    Args:
        host, port, key, insecure, allow_hosts, allow_origins, aliases: see `serve`.
        unlisted: aliases that are no part of the list of models.
        engine: who answers; None makes one.
        registry: the v0.2 streams; None makes one.
        limits: how long and how many connections may be silent; None is as in `config`.

    Raises:
        MissingDependencyError: a package of the extra ``local`` is missing.
        ValidationError: a parameter is not valid; or others could ask without a key.
        OSError: the address cannot be bound.
    """
    key = held_key(key)
    key = None if key is None else _checked(key)
    if not 0 <= port <= MAX_PORT:
        raise ValidationError(f"port={port} is not valid: it must be from 0 to {MAX_PORT}")
    if missing := missing_packages(("uvicorn", "starlette", "websockets", "regex")):
        raise MissingDependencyError(
            f"serving the local engine needs {', '.join(missing)}: {config.LOCAL_INSTALL}"
        )
    import uvicorn

    from .access import Access
    from .app import build_app
    from .catalogue import Catalogue
    from .engine_server import EngineServer
    from .guard import Guard, named_host, named_origin
    from .http_protocol import ConnectionLimits, HTTPProtocol, SilentConnections
    from .websocket_protocol import WebSocketProtocol

    catalogue = Catalogue(aliases, unlisted)
    hosts = {named_host(name) for name in allow_hosts}
    origins = {named_origin(origin, key=key is not None) for origin in allow_origins}
    listener, loopback = _listen(host, port, open_to_all=insecure or key is not None)
    if not loopback:
        hosts.update(name.casefold() for name in (host, socket.gethostname()) if name)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listener.getsockname()[1]}"
    engine = engine or Engine()
    registry = registry or StreamRegistry()
    silent = SilentConnections(limits or ConnectionLimits())
    # uvicorn calls them, and says that they must be classes.
    http: Any = partial(HTTPProtocol, silent=silent)
    ws: Any = partial(WebSocketProtocol, silent=silent)
    access = Access(required=True, key=None if key is None else key.reveal())
    settings = uvicorn.Config(
        Guard(build_app(engine, registry, access, catalogue), hosts, origins),
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        http=http,
        ws=ws,
        ws_max_size=MAX_WEBSOCKET_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        ws_per_message_deflate=False,
    )
    return EngineServer(settings, engine.close), listener, url, engine


def serve(
    host: str = "127.0.0.1",
    port: int = 8000,
    key: str | ApiKey | None = None,
    *,
    insecure: bool = False,
    allow_hosts: Iterable[str] = (),
    allow_origins: Iterable[str] = (),
    aliases: Mapping[str, str] | None = None,
    say: Callable[[str], object] = _print,
) -> None:
    """Serve the embedded engine until SIGINT or SIGTERM; then every stream ends.

    Args:
        host: address to listen on. Others than the loopback are reachable from outside, and
            refused without a key.
        port: TCP port; 0 takes a free one, which is printed.
        key: the key that clients must send, ASCII; None accepts any that is not empty.
        insecure: whether others may ask without a key.
        allow_hosts: names by which the server is asked, as a proxy passes them on, besides
            localhost, the loopback's addresses, and where others may ask the address that they
            reach, ``host`` and this machine's name. Requests for any other Host are refused (403).
        allow_origins: origins whose pages may ask and read the answers (CORS), such as
            ``https://lab.example.org``. ``*``, which is every page, does not go with a key. Pages
            elsewhere are refused (403), but for those of the same host.
        aliases: further names of models, e.g. ``{"Qwen/Qwen3.5-9B": "local/auto"}``: a script
            that was written for a hosted model runs unchanged. Answers name the real model. The
            one of the service's SDK page is always understood, and never listed.
        say: called once with a line that has the URLs.

    Raises:
        MissingDependencyError: a package of the extra ``local`` is missing.
        ValidationError: a parameter is not valid; or others could ask without a key.
        OSError: the address cannot be bound.
    """
    key = held_key(key)
    made = make_server(
        host,
        port,
        key,
        insecure=insecure,
        allow_hosts=allow_hosts,
        allow_origins=allow_origins,
        aliases=aliases,
        unlisted=SDK_MODELS,
    )
    server, listener, url, engine = made
    try:
        say(f"overshoot-nb local engine: {url}/v1beta (chat completions), {url}/v0.2 (streams)")
        engine.preload()
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()
        engine.close()
