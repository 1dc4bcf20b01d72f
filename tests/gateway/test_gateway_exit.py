"""A script that forgets to close its stream leaves none on the server."""

from __future__ import annotations

import subprocess
import sys

from gatewayserver import KEY
from waiting import LIMIT_SECONDS, eventually

SCRIPT = """
import asyncio
import overshoot_nb
from overshoot_nb.running import gateway_session
from overshoot_nb.runtime import event_loop

# On a busy machine too it has the time to say goodbye.
event_loop.EXIT_SECONDS = gateway_session.FAREWELL_SECONDS = {seconds}

async def main():
    client = overshoot_nb.Overshoot({key!r}, base_url={url!r})
    stream = await client.streams.create(
        overshoot_nb.FileSource({video!r}, loop=True), "Read", "local/scene"
    )
    async for result in stream:
        print(result.result, flush=True)
        break

asyncio.run(main())
"""


def test_the_end_of_the_interpreter_ends_the_stream(gateway, video):
    script = SCRIPT.format(
        key=KEY, url=f"{gateway.url}/v0.2", video=str(video), seconds=LIMIT_SECONDS
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=2 * LIMIT_SECONDS
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Brightness" in done.stdout
    # Its lease does not end: the server was told.
    assert eventually(lambda: not gateway.streams)
