"""Every default and every environment variable, once."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from .errors import ValidationError

# ---- sampling: the defaults of the service's SDK (its Configuration page) ---------------------
INTERVAL_SECONDS = 0.5
TARGET_FPS = 6
CLIP_LENGTH_SECONDS = 0.5
DELAY_SECONDS = 0.5
# The ranges of the API (v0.2, ``processing``).
INTERVAL_RANGE = (0.0, 60.0)  # lower end excluded
TARGET_FPS_RANGE = (1, 30)
CLIP_LENGTH_RANGE = (0.1, 60.0)
MIN_CLIP_FRAMES = 3

# ---- encoding ----------------------------------------------------------------------------------
MAX_SIZE = (1280, 720)  # the service works at 720p at most
JPEG_QUALITY = 80

# ---- the preview between samples -----------------------------------------------------------------
PREVIEW_SIZE = (640, 360)
#: Frames a second, at most.
PREVIEW_FPS = 15
PREVIEW_QUALITY = 70

# ---- requests ----------------------------------------------------------------------------------
TIMEOUT_SECONDS = 30.0
#: A server's limit on requests is waited for, for so many seconds at most; they are no part of
#: the time-out.
MAX_WAIT_SECONDS = 600.0
#: Bytes of an answer's body, or of a pushed result. A larger one is refused.
MAX_ANSWER_BYTES = 4 * 1024 * 1024
#: Answers of more bytes are read in a thread: they would hold up every stream of the loop.
LARGE_ANSWER_BYTES = 64 * 1024
#: A media connection that is not there after so many seconds will not come.
MEDIA_TIMEOUT_SECONDS = 10.0
#: v0.2: a stream ends so many seconds after its last keepalive where the server does not say.
LEASE_SECONDS = 45.0
#: Connections that one client keeps to its server.
MAX_CONNECTIONS = 100
#: v0.2: the most output tokens a second that a stream may ask for.
MAX_TOKENS_PER_SECOND = 128
#: One in flight: the newest frame wins, and a slow model is never asked about the past.
MAX_IN_FLIGHT = 1
#: Not real time, answers are awaited anyway, so several can be asked for at once.
MAX_IN_FLIGHT_BATCH = 4
#: What a sample of a file does that shows the very picture of the one before: "copy" its answer.
SAME_FRAME: Literal["copy", "ask"] = "copy"
#: Bytes of sampled JPEGs kept in memory for a stream; older ones go to a temporary file.
KEEP_FRAMES_BYTES = 256 * 1024 * 1024
#: The same of all streams of the process together, also of those that are over.
MEMORY_BYTES = 512 * 1024 * 1024
#: Bytes of that file, at most.
SPILL_FRAMES_BYTES = 10 * 1024**3
#: Bytes on their way there, at most: with a disk that is slower than the stream the oldest go.
SPILL_WAITING_BYTES = 32 * 1024**2
#: Bytes of the disk that are left to others.
SPILL_LEAVE_BYTES = 1024**3
#: Bytes of the file that keeps answers, so that identical requests are asked once.
ANSWER_CACHE_BYTES = 64 * 1024 * 1024

# ---- statistics ------------------------------------------------------------------------------
#: Of intervals, 0..1.
CONFIDENCE = 0.95

# ---- what one request may ask of the embedded engine ------------------------------------------
#: Pictures, frames of videos included: a video with more is thinned to what is left.
ENGINE_PICTURES = 64
#: Pixels of one picture, and of the frames that are kept of one video together.
ENGINE_PICTURE_PIXELS = 40_000_000
#: Pixels of all pictures and kept frames together: 64 of 1920x1080, 420 MB once decoded.
ENGINE_PIXELS = 140_000_000
#: Frames, pixels and seconds of all videos together: what has to be decoded to choose from it.
#: The longest clip of `CLIP_LENGTH_RANGE` has 1,800 frames of 1280x720, 1.7 thousand million.
ENGINE_VIDEO_FRAMES = 7_200
ENGINE_VIDEO_PIXELS = 2_000_000_000
ENGINE_VIDEO_SECONDS = 600.0
#: Letters of all texts together.
ENGINE_TEXT_LETTERS = 1_000_000
#: How long it may be worked on: less than `TIMEOUT_SECONDS`, so that its client learns why.
ENGINE_SECONDS = 20.0

# ---- connections of a served engine --------------------------------------------------------------
#: A request's head must have come by then, and its body: 20 MiB at 350 kB a second.
SERVE_HEAD_SECONDS = 10.0
SERVE_BODY_SECONDS = 60.0
#: The key must have come over a WebSocket by then.
SERVE_KEY_SECONDS = 10.0
#: Connections that have not said anything whole yet, at most.
SERVE_SILENT_CONNECTIONS = 128

# ---- where answers come from -------------------------------------------------------------------
DEFAULT_BASE_URL = "https://api.overshoot.ai/v1beta"
GATEWAY_BASE_URL = "https://api.overshoot.ai/v0.2"
#: ``base_url`` of the embedded engine: asked with chat completions, or as a v0.2 server.
LOCAL = "local"
LOCAL_GATEWAY = "local/v0.2"
LOCAL_MODEL = "local/auto"
#: The command that installs what the embedded engine and the demo video need.
LOCAL_INSTALL = 'pip install "overshoot-nb[local]"'
#: The same for all that the demo needs.
DEMO_INSTALL = 'pip install "overshoot-nb[local,notebook]"'

ENV_API_KEY = "OVERSHOOT_API_KEY"
ENV_BASE_URL = "OVERSHOOT_BASE_URL"
ENV_CACHE_DIR = "OVERSHOOT_CACHE_DIR"
#: "0" keeps no answers.
ENV_ANSWER_CACHE = "OVERSHOOT_ANSWER_CACHE"
#: Where pictures go that memory has no room for, and how many bytes of them; "0" keeps none there.
ENV_SPILL_DIR = "OVERSHOOT_SPILL_DIR"
ENV_SPILL_BYTES = "OVERSHOOT_SPILL_BYTES"
#: Bytes of pictures that all streams together keep in memory: "512MB", "2 GB" or digits alone.
ENV_MEMORY = "OVERSHOOT_MEMORY"
KEYRING_SERVICE = "overshoot"


def cache_dir() -> Path:
    """Folder for what can be made again: ``OVERSHOOT_CACHE_DIR``, else the user's cache folder."""
    if value := os.environ.get(ENV_CACHE_DIR):
        return Path(value)
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "overshoot-nb"


def spill_dir() -> Path:
    """Folder of the temporary files of pictures: ``OVERSHOOT_SPILL_DIR``, else the system's own.

    The system's is one for large files where that is another one: ``/tmp`` may be in memory.
    """
    import tempfile

    if value := os.environ.get(ENV_SPILL_DIR, "").strip():
        return Path(value)
    large = Path("/var/tmp")
    chosen = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    if os.name == "posix" and not chosen and os.access(large, os.W_OK):
        return large
    return Path(tempfile.gettempdir())


def spill_bytes() -> int:
    """Bytes of pictures that a stream may keep on disk, ``OVERSHOOT_SPILL_BYTES``; 0 for none.

    Raises:
        ValidationError: the variable holds no number of bytes.
    """
    value = os.environ.get(ENV_SPILL_BYTES, "").strip()
    if not value:
        return SPILL_FRAMES_BYTES
    if not (value.isascii() and value.isdigit()):
        raise ValidationError(
            f"{ENV_SPILL_BYTES}={value!r} is not a number of bytes: give digits alone, such as "
            f"{SPILL_FRAMES_BYTES}, or 0 to keep no pictures on disk"
        )
    return int(value)


_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def memory_bytes() -> int:
    """Bytes of pictures that all streams together keep in memory, ``OVERSHOOT_MEMORY``.

    Digits alone are bytes; KB, MB, GB and TB are binary, as everywhere here. Default 512 MB; with
    0 every picture goes to the disk at once.

    Raises:
        ValidationError: the variable holds no amount of memory.
    """
    value = os.environ.get(ENV_MEMORY, "").strip()
    if not value:
        return MEMORY_BYTES
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([KMGT]?)(?:I?B)?", value.upper(), re.A)
    if found is None or ("." in found[1] and not found[2]):
        raise ValidationError(
            f"{ENV_MEMORY}={value[:100]!r} is not an amount of memory: give bytes, such as "
            f"{MEMORY_BYTES}, or a number and a unit, such as 512MB or 2GB"
        )
    return int(float(found[1]) * _UNITS[found[2]]) if found[2] else int(found[1])
