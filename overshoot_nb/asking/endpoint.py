"""Who answers, and where the API key comes from."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from overshoot_nb import config
from overshoot_nb.errors import ValidationError
from overshoot_nb.support.api_key import ApiKey, held_key
from overshoot_nb.support.installed import ENGINE_MODULES, missing_packages
from overshoot_nb.support.notebook import warn
from overshoot_nb.support.redaction import display_url, hidden, kind_of, lacks_secrets, split_url
from overshoot_nb.support.replay_address import SCHEME, ReplayAddress
from overshoot_nb.support.secret_text import LEFT_OUT

if TYPE_CHECKING:
    import ssl

logger = logging.getLogger("overshoot_nb")

#: How the URL of a server ends that samples the video itself.
_GATEWAY_PATH = "/v0.2"

#: What a server's certificate is checked against: the usual ones (True), those of a file or
#: folder, or a context; False checks nothing.
Verify: TypeAlias = "bool | str | os.PathLike[str] | ssl.SSLContext"


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
        return self.base_url in (config.LOCAL, config.LOCAL_GATEWAY)

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
            raise ValidationError(f"api_key must be text, not {type(api_key.reveal()).__name__}")
        if api_key.reveal().strip():
            return ApiKey(api_key.reveal().strip(), api_key.origin)
    if value := os.environ.get(config.ENV_API_KEY, "").strip():
        return ApiKey(value, config.ENV_API_KEY)
    try:
        import keyring
    except ImportError:
        return None
    try:
        value = keyring.get_password(config.KEYRING_SERVICE, "api_key") or ""
    except Exception as error:  # a broken keyring backend must not break the default
        logger.debug("keyring could not be asked: %s", error)
        return None
    return ApiKey(value, "keyring") if value else None


def _normal(base_url: str) -> str:
    if not isinstance(base_url, str):
        raise ValidationError(
            f"base_url must be text such as {config.DEFAULT_BASE_URL!r}, not {kind_of(base_url)}"
        )
    url: str = hidden(base_url.strip().rstrip("/"), server=True)
    if url in (config.LOCAL, config.LOCAL_GATEWAY):
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
            f"as {config.DEFAULT_BASE_URL!r}, {config.LOCAL!r} for the embedded engine, or "
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
    warn(f"base_url ends in {_CALL_PATH}, which is cut off: asked is {display_url(short)}")
    return short


_told_local = False
#: Said once: in a kernel by the first stream that is shown.
LOCAL_NOTICE = (
    f"No API key (argument, {config.ENV_API_KEY} or keyring): answers come from the embedded local "
    "engine. It reads text and describes light, colour, motion and faces; it is not a language "
    "model."
)


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
        url = hidden(os.environ.get(config.ENV_BASE_URL) or None, server=True)
    if isinstance(url, str) and url.strip().startswith(SCHEME):
        return Endpoint(_normal(url), "chat", None)  # nobody is asked, so no key is looked for
    key = find_api_key(api_key)
    if url is None:
        url = config.DEFAULT_BASE_URL if key else config.LOCAL
        if key is None and not _told_local and not missing_packages(ENGINE_MODULES):
            _told_local = True
            warn(LOCAL_NOTICE)
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
        raise ValidationError(
            f"base_url={base_url!r} is a recording, which Overshoot(base_url=...) asks; "
            f"ApiClient needs a v0.2 server such as {config.GATEWAY_BASE_URL!r} or "
            f"{config.LOCAL_GATEWAY!r}"
        )
    if base_url is None:
        named = hidden(os.environ.get(config.ENV_BASE_URL, "").strip(), server=True)
        base_url = named if _is_gateway_url(named) else config.GATEWAY_BASE_URL
    url = _normal(base_url)
    return Endpoint(url, "gateway", _key_for(url, key))


def reached_by(endpoint: Endpoint, verify: Verify = True, uds: str | None = None) -> Endpoint:
    """The endpoint with how it is reached, as httpx names it.

    Raises:
        ValidationError: a value is of no use, or nothing is connected to.
    """
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
