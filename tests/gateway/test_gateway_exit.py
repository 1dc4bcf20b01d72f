"""A script that forgets to close its stream leaves none on the server."""

from __future__ import annotations

import subprocess
import sys
import time

from gatewayserver import KEY

SCRIPT = """
import asyncio
import overshoot_nb

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
    script = SCRIPT.format(key=KEY, url=f"{gateway.url}/v0.2", video=str(video))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Brightness" in done.stdout
    deadline = time.monotonic() + 60
    while gateway.streams:
        assert time.monotonic() < deadline, "the server still has the stream"
        time.sleep(0.02)
