"""Every default and every environment variable, once; and where the API key comes from."""

from __future__ import annotations

import logging
import os
import re
import sys
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .recording.replay_address import SCHEME, ReplayAddress
from .support.installed import ENGINE_MODULES, missing_packages
from .support.redaction import LEFT_OUT, display_url, hidden, kind_of, lacks_secrets, split_url

if TYPE_CHECKING:
    import ssl

__all__ = [
    "DEFAULT_BASE_URL",
    "ENV_ANSWER_CACHE",
    "ENV_API_KEY",
    "ENV_BASE_URL",
    "ENV_CACHE_DIR",
    "ENV_MEMORY",
    "ENV_SPILL_BYTES",
    "ENV_SPILL_DIR",
    "GATEWAY_BASE_URL",
    "LOCAL",
    "LOCAL_GATEWAY",
    "ApiKey",
    "Endpoint",
    "Verify",
    "cache_dir",
    "find_api_key",
    "held_key",
    "memory_bytes",
    "reached_by",
    "resolve_endpoint",
    "resolve_gateway",
    "spill_bytes",
    "spill_dir",
]

logger = logging.getLogger("overshoot_nb")

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

#: How the URL of a server ends that samples the video itself.
_GATEWAY_PATH = "/v0.2"

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


#: What a server's certificate is checked against: the usual ones (True), those of a file or
#: folder, or a context; False checks nothing.
Verify: TypeAlias = "bool | str | os.PathLike[str] | ssl.SSLContext"


class ApiKey:
    """A key that shows itself nowhere: not in a repr, a log, an error or a pickle."""

    __slots__ = ("_value", "origin")

    def __init__(self, value: Any, origin: str = "argument") -> None:
        self._value: str = value
        #: Where it was found: "argument", the name of the environment variable, or "keyring".
        self.origin = origin

    def reveal(self) -> str:
        """The key itself, for the Authorization header alone."""
        return self._value

    def __repr__(self) -> str:
        return f"ApiKey('…', origin={self.origin!r})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApiKey) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("an API key is not pickled")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who answers: one server, its protocol and the key for it.

    Attributes:
        base_url: URL without a trailing slash, "local", "local/v0.2" or "replay:run.parquet".
        surface: "chat" (chat completions, we sample) or "gateway" (v0.2, the server samples).
        key: the key, or None for a server that needs none.
        headers: further header fields of every request; their values are secrets.
        verify: what its certificate is checked against.
        uds: path of the unix socket on which it listens, or None.
    """

    base_url: str = field(repr=False)
    surface: Literal["chat", "gateway"]
    key: ApiKey | None
    headers: tuple[tuple[str, ApiKey], ...] = field(default=(), repr=False)
    verify: Verify = field(default=True, repr=False)
    uds: str | None = None

    @property
    def shown(self) -> str:
        """``base_url`` without its user info and query values: for screens and messages."""
        plain = self.is_local or self.is_replay
        return self.base_url if plain else display_url(self.base_url)

    @property
    def is_local(self) -> bool:
        """True for the embedded engine."""
        return self.base_url in (LOCAL, LOCAL_GATEWAY)

    @property
    def is_replay(self) -> bool:
        """True for a recording that answers."""
        return self.base_url.startswith(SCHEME)

    @property
    def is_loopback(self) -> bool:
        """True for a server that is reached on this machine's loopback."""
        return self.is_local or _is_loopback(self.base_url)

    @property
    def is_overshoot(self) -> bool:
        """True where fields of Overshoot's own are understood (``thread_id``, statuses)."""
        return self.is_local or _is_overshoot_url(self.base_url)


def _is_gateway_url(url: str) -> bool:
    return split_url(url).path.rstrip("/").endswith(_GATEWAY_PATH)


def _is_loopback(url: str) -> bool:
    host = split_url(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _is_overshoot_url(url: str) -> bool:
    host = split_url(url).hostname or ""
    return host == "overshoot.ai" or host.endswith(".overshoot.ai")


def held_key(api_key: object) -> ApiKey | None:
    """A key as it may stand in a local variable, whatever was given; checked by what takes it.

    A frame that takes a key from the user begins with this.
    """
    return api_key if api_key is None or isinstance(api_key, ApiKey) else ApiKey(api_key)


def find_api_key(api_key: str | ApiKey | None = None) -> ApiKey | None:
    """The key from the argument, ``OVERSHOOT_API_KEY`` or the system keyring, in that order.

    The keyring is asked for service "overshoot", user name "api_key", and only when the
    ``keyring`` package is installed. Returns None when there is none anywhere.

    Raises:
        ValidationError: the argument is no text.
    """
    api_key = held_key(api_key)
    if api_key is not None:
        if not isinstance(api_key.reveal(), str):
            from .errors import ValidationError

            raise ValidationError(f"api_key must be text, not {type(api_key.reveal()).__name__}")
        if api_key.reveal().strip():
            return ApiKey(api_key.reveal().strip(), api_key.origin)
    if value := os.environ.get(ENV_API_KEY, "").strip():
        return ApiKey(value, ENV_API_KEY)
    try:
        import keyring
    except ImportError:
        return None
    try:
        value = keyring.get_password(KEYRING_SERVICE, "api_key") or ""
    except Exception as error:  # a broken keyring backend must not break the default
        logger.debug("keyring could not be asked: %s", error)
        return None
    return ApiKey(value, "keyring") if value else None


def _normal(base_url: str) -> str:
    from .errors import ValidationError

    if not isinstance(base_url, str):
        raise ValidationError(
            f"base_url must be text such as {DEFAULT_BASE_URL!r}, not {kind_of(base_url)}"
        )
    url: str = hidden(base_url.strip().rstrip("/"), server=True)
    if url in (LOCAL, LOCAL_GATEWAY):
        return url
    if url.startswith(SCHEME):
        return str(ReplayAddress.parse(url))
    if split_url(url).scheme.endswith("unix"):
        raise ValidationError(
            f"base_url={display_url(url)!r} names a unix socket: give its path as uds=, and as "
            'base_url what would be asked over a port, e.g. "http://localhost/v1"'
        )
    if split_url(url).scheme not in ("http", "https") or not split_url(url).hostname:
        raise ValidationError(
            f"base_url={display_url(base_url)!r} is not an http(s) URL; give a server's URL such "
            f"as {DEFAULT_BASE_URL!r}, {LOCAL!r} for the embedded engine, or "
            f"'{SCHEME}run.parquet' for a recording"
        )
    if lacks_secrets(url):
        raise ValidationError(
            f"base_url={display_url(url)!r} has {LEFT_OUT} where a secret was left out: "
            "give the whole URL"
        )
    return _without_call(url)


#: What people copy with a server's URL; it is the path of a call.
_CALL_PATH = "/chat/completions"


def _without_call(url: str) -> str:
    """``url`` without the path of the call, which is added to each request."""
    parts = split_url(url)
    path = parts.path.rstrip("/")
    if not path.endswith(_CALL_PATH):
        return url
    shorter = parts._replace(path=path.removesuffix(_CALL_PATH)).geturl()
    short: str = hidden(shorter, server=True)
    logger.warning(
        "base_url ends in %s, which is cut off: asked is %s", _CALL_PATH, display_url(short)
    )
    return short


_told_local = False
#: Said once: in a kernel by the first stream that is shown.
LOCAL_NOTICE = (
    f"No API key (argument, {ENV_API_KEY} or keyring): answers come from the embedded local "
    "engine. It reads text and describes light, colour, motion and faces; it is not a language "
    "model."
)
_notice: list[str] = []


def take_notice() -> str:
    """What was not said yet, for whoever shows it now; "" for nothing."""
    return _notice.pop() if _notice else ""


def in_kernel() -> bool:
    """Whether this is a Jupyter kernel, and not a terminal or a script."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def resolve_endpoint(api_key: str | ApiKey | None = None, base_url: str | None = None) -> Endpoint:
    """Who answers, from what the user gave, the environment, and the presence of a key.

    ``base_url`` None means ``OVERSHOOT_BASE_URL``, else the service when there is a key, else the
    embedded engine, which is said once: in the log, or in a kernel beside the first stream that is
    shown.

    A key found in the environment or the keyring is for Overshoot, and for a v0.2 server on this
    machine: another server gets only a key that was passed as an argument.

    Raises:
        ValidationError: ``base_url`` is not a URL.
    """
    global _told_local
    api_key = held_key(api_key)
    url = base_url = hidden(base_url, server=True)
    if url is None:
        url = hidden(os.environ.get(ENV_BASE_URL) or None, server=True)
    if isinstance(url, str) and url.strip().startswith(SCHEME):
        return Endpoint(_normal(url), "chat", None)  # nobody is asked, so no key is looked for
    key = find_api_key(api_key)
    if url is None:
        url = DEFAULT_BASE_URL if key else LOCAL
        if key is None and not _told_local and not missing_packages(ENGINE_MODULES):
            _told_local = True
            if in_kernel():
                # An output of its own would stand beside the widget, and hosts that count the
                # outputs of a cell (Voila) would lose later ones.
                _notice.append(LOCAL_NOTICE)
            else:
                logger.warning("%s", LOCAL_NOTICE)
    url = _normal(url)
    return Endpoint(url, "gateway" if _is_gateway_url(url) else "chat", _key_for(url, key))


def resolve_gateway(api_key: str | ApiKey | None = None, base_url: str | None = None) -> Endpoint:
    """The v0.2 server for the low-level client.

    ``base_url`` None means ``OVERSHOOT_BASE_URL`` where that ends in ``/v0.2``, else the service.

    Raises:
        ValidationError: ``base_url`` is not a URL, or a recording, which is asked by ``Overshoot``.
    """
    api_key, base_url = held_key(api_key), hidden(base_url, server=True)
    key = find_api_key(api_key)
    if isinstance(base_url, str) and base_url.strip().startswith(SCHEME):
        from .errors import ValidationError

        raise ValidationError(
            f"base_url={base_url!r} is a recording, which Overshoot(base_url=...) asks; "
            f"ApiClient needs a v0.2 server such as {GATEWAY_BASE_URL!r} or {LOCAL_GATEWAY!r}"
        )
    if base_url is None:
        named = hidden(os.environ.get(ENV_BASE_URL, "").strip(), server=True)
        base_url = named if _is_gateway_url(named) else GATEWAY_BASE_URL
    url = _normal(base_url)
    return Endpoint(url, "gateway", _key_for(url, key))


def reached_by(endpoint: Endpoint, verify: Verify = True, uds: str | None = None) -> Endpoint:
    """The endpoint with how it is reached, as httpx names it.

    Raises:
        ValidationError: a value is of no use, or nothing is connected to.
    """
    from .errors import ValidationError

    if verify is True and uds is None:
        return endpoint
    import ssl

    if not isinstance(verify, bool | str | os.PathLike | ssl.SSLContext) or verify == "":
        raise ValidationError(
            f"verify={kind_of(verify)} is not valid: it must be True, False, the path of a file or "
            "folder of certificates, or an ssl.SSLContext"
        )
    if uds is not None:
        if not isinstance(uds, str | os.PathLike) or not os.fspath(uds):
            raise ValidationError("uds must be the path of a unix socket, such as '/run/vllm.sock'")
        if os.name == "nt":
            raise ValidationError("uds= cannot be used: Windows has no unix sockets for it")
        uds = str(Path(uds).expanduser())
    if endpoint.is_local or endpoint.is_replay:
        raise ValidationError(
            f"base_url={endpoint.shown!r} is not asked over a network: leave verify and uds out"
        )
    return replace(endpoint, verify=verify, uds=uds)


def _key_for(url: str, key: ApiKey | None) -> ApiKey | None:
    """A key that was found rather than passed is Overshoot's, and goes to no other server.

    But to one on this machine that speaks Overshoot's own v0.2, as ``overshoot-nb serve`` does.
    """
    own = _is_overshoot_url(url) or (_is_gateway_url(url) and _is_loopback(url))
    return key if key is None or key.origin == "argument" or own else None


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
        from .errors import ValidationError

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
        from .errors import ValidationError

        raise ValidationError(
            f"{ENV_MEMORY}={value[:100]!r} is not an amount of memory: give bytes, such as "
            f"{MEMORY_BYTES}, or a number and a unit, such as 512MB or 2GB"
        )
    return int(float(found[1]) * _UNITS[found[2]]) if found[2] else int(found[1])
