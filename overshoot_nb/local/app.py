"""The Starlette app: v1beta (also as /v1) and v0.2 over one engine and its streams."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount

from .access import Access
from .catalogue import Catalogue
from .chat_surface import ChatSurface
from .engine import Engine
from .gateway_surface import GatewaySurface
from .responding import not_routed
from .streams import StreamRegistry


def build_app(
    engine: Engine,
    registry: StreamRegistry,
    access: Access,
    catalogue: Catalogue | None = None,
) -> Starlette:
    """The whole service as one ASGI app. It starts nothing and holds no event loop.

    Several apps may serve the same engine and registry, at once or one after the other. The
    engine's close ends the registry's streams.

    Args:
        catalogue: the models' names; None for those without aliases.
    """
    catalogue = catalogue or Catalogue()
    engine.at_close(registry.close)
    chat = ChatSurface(engine, access, catalogue)
    gateway = GatewaySurface(engine, registry, access, catalogue)
    app = Starlette(
        routes=[
            Mount("/v1beta", routes=chat.routes()),
            Mount("/v1", routes=chat.routes()),
            Mount("/v0.2", routes=gateway.routes()),
        ],
        exception_handlers={HTTPException: not_routed},
    )
    # Built now, because several event loops may bring their first request at once.
    app.middleware_stack = app.build_middleware_stack()
    return app
