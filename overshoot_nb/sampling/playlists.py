"""HLS playlists: the variants of one video, and which of them is worth its bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from overshoot_nb.sources.kinds import FileSource, HLSSource
from overshoot_nb.support.redaction import hidden

from .web import MAX_TEXT_BYTES, header_pairs, read_text

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')
#: The beginnings of what CODECS calls audio and subtitles; anything else may be video.
_NO_VIDEO = (
    "mp4a",
    "ac-3",
    "ec-3",
    "ac-4",
    "opus",
    "flac",
    "alac",
    "mp3",
    "vorbis",
    "stpp",
    "wvtt",
)


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant of a video.

    Attributes:
        url: its own playlist: a URL, or a path where the master is a file.
        width, height: in pixels; 0 where the master does not say.
        bandwidth: bits a second at most; 0 where it is not said.
    """

    url: str
    width: int
    height: int
    bandwidth: int


def is_playlist_name(url: str) -> bool:
    """Whether a path or URL is called as playlists are."""
    path = urlsplit(url).path if "://" in url else url
    return path.lower().endswith((".m3u8", ".m3u"))


def playlists_of(source: FileSource | HLSSource, max_size: tuple[int, int] | None) -> list[str]:
    """Where the playlist to watch is: the variants of a master in turn, or itself.

    Args:
        source: of any kind; where it is no HLS playlist, or cannot be had, there is none: [].
        max_size: as in :func:`by_preference`.
    """
    try:
        if isinstance(source, HLSSource) or source.remote:
            text, base = read_text(source.url, source.timeout, header_pairs(source))
        elif Path(source.url).stat().st_size <= MAX_TEXT_BYTES:
            base = source.url
            text = Path(base).read_text("utf-8-sig", "replace")
        else:
            return []
    except (OSError, ValueError):
        return []  # FFmpeg says why it cannot be opened
    if not _is_playlist(text):
        return []
    variants = by_preference(variants_in(text, base), max_size)
    # Hidden: they may have secrets, and a traceback shows them.
    return [hidden(variant.url) for variant in variants] or [source.url]


def variants_in(text: str, base: str) -> list[Variant]:
    """The variants with video that a master playlist lists; [] for any other text.

    Args:
        text: the playlist.
        base: its own URL or path, which relative ones are added to. A playlist from a server may
            name servers alone, and one in a file may name files alone.
    """
    if not text.lstrip("\ufeff \r\n").startswith("#EXTM3U"):
        return []
    found: list[Variant] = []
    attributes: dict[str, str] | None = None
    for line in map(str.strip, text.splitlines()):
        if line.startswith("#EXT-X-STREAM-INF:"):
            pairs = _ATTRIBUTE.findall(line.partition(":")[2])
            attributes = {name: value.strip('"') for name, value in pairs}
        elif line and not line.startswith("#") and attributes is not None:
            url = _joined(base, line)
            if url is not None and _may_have_video(attributes):
                found.append(_variant(url, attributes))
            attributes = None
    sized = [variant for variant in found if variant.width and variant.height]
    # Where others say their size, one that does not is sound alone.
    return sized or found


def by_preference(variants: list[Variant], max_size: tuple[int, int] | None) -> list[Variant]:
    """The smallest that fills ``max_size`` first, else the largest, and then what comes near.

    Args:
        variants: of one video.
        max_size: width and height in pixels that pictures are fitted into; None: the larger the
            better.
    """
    # Of the same size the better picture, then the order of the playlist.
    ordered = sorted(variants, key=lambda v: (v.width * v.height, v.bandwidth), reverse=True)
    if max_size is None:
        return ordered
    filling = [v for v in ordered if v.width >= max_size[0] or v.height >= max_size[1]]
    smaller = [v for v in ordered if v not in filling]
    filling.sort(key=lambda v: (v.width * v.height, -v.bandwidth))
    return filling + smaller


def _is_playlist(text: str) -> bool:
    """Whether a text is an HLS playlist, and not only a list of what to play."""
    tags = ("#EXT-X-STREAM-INF:", "#EXT-X-TARGETDURATION:", "#EXT-X-MEDIA-SEQUENCE:")
    return text.lstrip("\ufeff \r\n").startswith("#EXTM3U") and any(tag in text for tag in tags)


def _variant(url: str, attributes: dict[str, str]) -> Variant:
    size = re.fullmatch(r"(\d{1,6})[xX](\d{1,6})", attributes.get("RESOLUTION", "").strip())
    width, height = (int(size[1]), int(size[2])) if size else (0, 0)
    bandwidth = re.match(r"\d{1,18}", attributes.get("BANDWIDTH", ""))
    return Variant(url, width, height, int(bandwidth[0]) if bandwidth else 0)


def _may_have_video(attributes: dict[str, str]) -> bool:
    codecs = [codec.strip().lower() for codec in attributes.get("CODECS", "").split(",")]
    return not any(codecs) or any(c and not c.startswith(_NO_VIDEO) for c in codecs)


def _joined(base: str, named: str) -> str | None:
    """Where a variant is, or None where it may not be."""
    if "://" not in base:
        scheme = urlsplit(named).scheme.lower()
        if scheme == "file":
            return unquote(urlsplit(named).path)
        # One letter is a drive of Windows.
        return str(Path(base).parent / named) if len(scheme) < 2 else None
    try:
        parts, here = urlsplit(urljoin(base, named)), urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            return None
        # The user info is for its own server: a playlist does not repeat it.
        info, _, place = here.netloc.rpartition("@")
        if info and (parts.scheme, parts.netloc) == (here.scheme, place):
            parts = parts._replace(netloc=here.netloc)
        return urlunsplit(parts)
    except ValueError:
        return None
