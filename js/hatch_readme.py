"""README as a package shows it: hatchling calls this for the metadata of wheels and sdists.

Links to files of the repository lead nowhere on PyPI. There they are the names of the files.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# Code first, which stays as it is; then a link or a picture: its text and its target.
CODE_OR_LINK = re.compile(
    r"^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)"
    r"|(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)"
    r"|!?\[(?P<text>[^\]]*)\]\(\s*<?(?P<target>[^)>\s]+)[^)]*\)",
    re.DOTALL | re.MULTILINE,
)
ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)


class LongDescription(MetadataHookInterface):
    """hatchling's hook that fills in ``readme``."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = Path(self.root, "README.md").read_text("utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": without_relative_links(text)}


def without_relative_links(markdown: str) -> str:
    """The same text, in which each relative link is the name of its file, as code."""
    return CODE_OR_LINK.sub(_named, markdown)


def _named(found: re.Match[str]) -> str:
    text, target = found["text"], found["target"]
    if target is None or ABSOLUTE.match(target):
        return found[0]
    # A place in README itself has no file, and PyPI gives its headings no names.
    name = target.partition("#")[0]
    if not name:
        return text
    return f"`{name}`" if text.strip("`") in ("", name) else f"{text} (`{name}`)"
