"""How a server is reached: certificates, proxy and socket, from a client and its environment.

Standard library alone, so that a broken setting is told before a network library is loaded.
"""

from __future__ import annotations

import functools
import os
import ssl
import sys
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from overshoot_nb.errors import ValidationError
from overshoot_nb.support.notebook import warn
from overshoot_nb.support.redaction import hidden

from .endpoint import Verify

#: The variables of OpenSSL and httpx, of requests, and of curl; the first that is set counts.
CERTIFICATE_VARIABLES: Final = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
SOCKS: Final = ("socks5", "socks5h")
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that the environment names.

    Attributes:
        variable: the name of the variable.
        url: scheme, host and port, as they may be shown.
        auth: user name and password, or None.
    """

    variable: str
    url: str
    auth: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS."""
        return self.url.partition("://")[0] in SOCKS

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        return self.url.partition("://")[2]


@dataclass(frozen=True, slots=True)
class Route:
    """How one server is reached.

    Attributes:
        tls: what certificates are checked against; None where nothing is encrypted.
        proxy: the proxy, or None.
        uds: path of the unix socket, or None.
    """

    tls: ssl.SSLContext | None
    proxy: Proxy | None
    uds: str | None


def find_route(origin: str, verify: Verify = True, uds: str | None = None) -> Route:
    """How ``origin`` is reached. Reads certificates: 30 ms of work, not for an event loop.

    Args:
        origin: scheme, host and port of the server.
        verify: see ``Overshoot``.
        uds: path of a unix socket, by which no proxy is asked.

    Raises:
        ValidationError: a variable of the environment, or ``verify``, cannot be used.
    """
    proxy = None if uds is not None else environment_proxy(origin)
    encrypted = origin.startswith("https:") or (proxy and proxy.url.startswith("https:"))
    return Route(_context(origin, verify) if encrypted else None, proxy, uds)


# ---- certificates --------------------------------------------------------------------------------


def _context(origin: str, verify: Verify) -> ssl.SSLContext:
    if isinstance(verify, ssl.SSLContext):
        return verify
    if verify is False:
        _warn_unchecked(origin)
        return _unchecked()
    if verify is not True:
        return _read("verify", os.fspath(verify))
    for name in CERTIFICATE_VARIABLES:
        if value := os.environ.get(name):
            return _read(name, value)
    return _usual()


@functools.cache
def _usual() -> ssl.SSLContext:
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


@functools.cache
def _unchecked() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@functools.cache
def _warn_unchecked(origin: str) -> None:
    warn(f"verify=False: the certificate of {origin} is not checked")


def _read(name: str, value: str) -> ssl.SSLContext:
    """The certificates of a file or a folder.

    Raises:
        ValidationError: there are none; names the variable or parameter.
    """
    path = Path(value).expanduser()
    try:
        changed = path.stat().st_mtime_ns
        if path.is_dir():
            if not any(path.iterdir()):
                raise _unusable(name, value, "the folder is empty")
            return _loaded(str(path), True, changed)
        if name == "SSL_CERT_DIR":
            raise _unusable(name, value, "it is no folder")
        return _loaded(str(path), False, changed)
    except ssl.SSLError:
        reason = "it is no file of certificates in PEM form"
    except (OSError, ValueError) as error:
        if isinstance(error, ValidationError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
    raise _unusable(name, value, reason)


@functools.lru_cache(maxsize=16)
def _loaded(path: str, folder: bool, _changed: int) -> ssl.SSLContext:
    if folder:
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)


def _unusable(name: str, value: str, reason: str) -> ValidationError:
    what = "unset the variable" if name != "verify" else "leave it out"
    return ValidationError(
        f"{name}={value[:200]!r} cannot be used for certificates: {reason}; give the path of a "
        f"file of certificates (PEM), or {what}"
    )


# ---- proxies -------------------------------------------------------------------------------------


def environment_proxy(origin: str) -> Proxy | None:
    """The proxy that the environment names for ``origin``, or None.

    Looked up once: aiohttp's own ``trust_env`` asks in a thread for every request, which costs as
    much as the rest of the request.

    Raises:
        ValidationError: it cannot be used; names the variable.
    """
    parts = urlsplit(origin)
    proxies = getproxies()
    kind = parts.scheme if proxies.get(parts.scheme) else "all"
    url = hidden((proxies.get(kind) or "").strip(), server=True)
    proxies = {}
    if not url or _bypassed(parts):
        return None
    return _checked(_variable(kind), url)


def _variable(kind: str) -> str:
    """The variable as it is spelled in this environment; the lower case counts where both are."""
    name = f"{kind}_proxy"
    return name if os.environ.get(name) or not os.environ.get(name.upper()) else name.upper()


def _checked(variable: str, url: str) -> Proxy:
    url = hidden(url if "://" in url else f"http://{url}", server=True)
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        raise _no_proxy_url(variable, "its host or port cannot be read") from None
    if scheme == "socks":
        scheme = "socks5"
    if scheme not in ("http", "https", *SOCKS):
        raise _no_proxy_url(variable, f"a proxy of the kind {scheme[:20]!r} is not spoken to")
    if not host or any(c.isspace() for c in host):
        raise _no_proxy_url(variable, "it has no host")
    host = f"[{host}]" if ":" in host else host
    shown = f"{scheme}://{host}" if port is None else f"{scheme}://{host}:{port}"
    auth = None
    if parts.username or parts.password:
        auth = (unquote(parts.username or ""), unquote(parts.password or ""))
    if scheme in SOCKS:
        _require_socks(variable)
    return Proxy(variable, shown, auth)


def _require_socks(variable: str) -> None:
    import importlib.util

    if "socksio" in sys.modules or importlib.util.find_spec("socksio") is not None:
        return
    raise ValidationError(
        f'{variable} names a SOCKS proxy, for which socksio is needed: pip install "httpx[socks]" '
        "(or name the server in NO_PROXY)"
    )


def _no_proxy_url(variable: str, reason: str) -> ValidationError:
    # Its value is not shown: it may have a password in any place.
    return ValidationError(
        f"the environment variable {variable} cannot be used as a proxy: {reason}; give "
        "http://host:port or socks5://host:port, or unset it"
    )


def _bypassed(origin: SplitResult) -> bool:
    """Whether NO_PROXY names the server: by name, domain, address or network, with or without port.

    Without the variable the system's settings decide (macOS and Windows have their own).
    """
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    if not named:
        return bool(proxy_bypass(origin.netloc))
    host = (origin.hostname or "").rstrip(".")
    port = origin.port or _PORTS.get(origin.scheme)
    return any(_names(entry, host, port) for entry in named.replace(",", " ").split())


def _names(entry: str, host: str, port: int | None) -> bool:
    entry = entry.lower().partition("://")[2] or entry.lower()
    if entry == "*":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    name, wanted = _split_port(entry)
    if wanted is not None and wanted != port:
        return False
    if address is not None:
        try:
            return address in ip_network(name, strict=False)
        except ValueError:
            return False
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _split_port(entry: str) -> tuple[str, int | None]:
    """Host and port of an entry; ``::1`` and ``fd00::/8`` have none, ``[::1]:80`` has one."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        network, digits = (rest, "") if rest.startswith("/") else ("", rest.removeprefix(":"))
        return name + network, int(digits) if digits.isdecimal() else None
    if entry.count(":") == 1:
        name, _, digits = entry.partition(":")
        if digits.isdecimal():
            return name, int(digits)
    return entry, None
