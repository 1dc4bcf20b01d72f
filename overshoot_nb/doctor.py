"""What is installed, where the key comes from, which server answers, which front end there is."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import platform
import sys

from ._version import __version__
from .asking.endpoint import Endpoint, find_api_key
from .client import Overshoot
from .errors import OvershootError
from .support.installed import ENGINE_MODULES, missing_packages

BASE = ("av", "httpx", "httpx-aiohttp", "numpy", "pandas", "pyarrow", "simplejpeg")
LOCAL = (
    "rapidocr",
    "onnxruntime",
    "opencv-python-headless",
    "pillow",
    "regex",
    "starlette",
    "uvicorn",
    "websockets",
)
# What publishing to a v0.2 server takes, by extra.
TRANSPORTS = {"webrtc": ("aiortc", "aioice"), "livekit": ("livekit",)}
FRONT_ENDS = ("jupyterlab", "notebook", "marimo", "ipykernel", "ipywidgets")


def report(endpoint: Endpoint) -> int:
    """Print what was found; returns 0 when the server answers, else 1."""
    _line("overshoot-nb", __version__)
    _line("Python", f"{platform.python_version()} ({sys.executable})")
    _line("packages", _versions(BASE))
    _line("FFmpeg", _ffmpeg())
    _line("local engine", _versions(LOCAL) + _missing(LOCAL, "local"))
    for extra, packages in TRANSPORTS.items():
        _line(extra, (_versions(packages) + _missing(packages, extra)).strip())
    _line("front ends", _versions(FRONT_ENDS) or "none: pip install jupyterlab")
    _line("widget", _widget())
    key = find_api_key()
    found = f"found ({key.origin})" if key else "none"
    if key is None and endpoint.is_local:
        found += "; the embedded engine is the default"
        if missing_packages(ENGINE_MODULES):
            found += ", which is not installed"
    elif key is not None and endpoint.key is None and not endpoint.is_local:
        found += f"; not sent to {endpoint.shown}: a key that is found goes to Overshoot alone "
        found += "(pass api_key= for another server)"
    elif key is not None and endpoint.key is None:
        found += "; not sent to this server, the embedded engine, which needs none"
    _line("API key", found)
    return _server(endpoint)


def _server(endpoint: Endpoint) -> int:
    _line("server", endpoint.shown)

    async def ask() -> str:
        # What is wrong is said at once, a limit of the server too.
        async with Overshoot(endpoint.key, base_url=endpoint.base_url, max_wait=0) as client:
            models = await client.get_models()
        return ", ".join(f"{m.model} ({m.status})" for m in models) or "answers, lists no model"

    try:
        _line("models", asyncio.run(ask()))
    except OvershootError as error:
        _line("models", f"{type(error).__name__}: {error}")
        return 1
    return 0


def _line(name: str, value: str) -> None:
    print(f"{name:13} {value}")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _versions(packages: tuple[str, ...]) -> str:
    return ", ".join(f"{p} {v}" for p in packages if (v := _version(p)))


def _missing(packages: tuple[str, ...], extra: str) -> str:
    missing = [p for p in packages if _version(p) is None]
    if not missing:
        return ""
    return f" missing {', '.join(missing)}: pip install 'overshoot-nb[{extra}]'"


def _widget() -> str:
    try:
        from .widget.stream_widget import FRONT_END
    except ImportError as error:
        return str(error)
    size = FRONT_END.stat().st_size
    return f"anywidget {_version('anywidget')}, front end built ({size:,} bytes)"


def _ffmpeg() -> str:
    import av

    version = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"libavcodec {version}, in PyAV"
