"""A v0.2 server that goes through bad times on command, in a process of its own.

Its first line is its URL. Then it takes commands, a line each, and answers each with a line:
``kill`` breaks every WebSocket off without a word; ``stop`` stops the server and keeps its streams,
``start`` starts it again on its port; ``streams`` counts these.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from overshoot_nb.local.engine import Engine
from overshoot_nb.local.websocket_protocol import WebSocketProtocol

from gatewayserver import GatewayServer


def kill(server: GatewayServer) -> int:
    """Break off the WebSockets; how many there were."""
    found = [c for c in server.connections if isinstance(c, WebSocketProtocol)]
    for connection in found:
        connection.loop.call_soon_threadsafe(connection.transport.abort)
    return len(found)


def main() -> None:
    engine = Engine()
    engine.preload()
    server = GatewayServer(engine)
    print(server.url, flush=True)
    try:
        for line in sys.stdin:
            match line.strip():
                case "kill":
                    answer = kill(server)
                case "stop":
                    server.stop()
                    answer = 1
                case "start":
                    server.start()
                    answer = 1
                case "streams":
                    answer = server.streams
            print(answer, flush=True)
    finally:
        server.close()
        engine.close()


if __name__ == "__main__":
    main()
