"""Text that is not to be trusted as HTML.

Everything that came from outside (labels, prompts, answers) goes through :func:`escaped`, and every
fragment of HTML through :func:`fragment`. No colours are set but the theme's own, so that it is
legible in light and dark.
"""

from __future__ import annotations

import html
import re

#: Control characters but tab and newline, what turns the direction of the text that follows, and
#: halves of characters. Right-to-left letters and joiners are none of these.
_UNSEEN = re.compile(
    r"\r\n?|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
#: The line beside what is shown.
BAR = 'style="border-left: 3px solid currentColor; padding: 2px 0 2px 10px"'
#: What MathJax 3 and 4 (JupyterLab, Notebook 7) and 2 (nbconvert) leave alone.
_NO_MATHS = "mathjax_ignore tex2jax_ignore"


def visible(text: str) -> str:
    r"""``text`` in which control and bidirectional characters are seen: ``\x1b``, ``\u202e``.

    A line break of Windows is one of Unix.
    """
    return _UNSEEN.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    character = found[0]
    if character == "\r\n":
        return "\n"
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def escaped(text: str) -> str:
    """Text from outside as HTML, between tags and in attributes, all of it :func:`visible`."""
    return html.escape(visible(text))


def fragment(markup: str, attributes: str = "") -> str:
    """HTML as an output of a cell, in which no front end takes dollar signs for formulas.

    A formula of a model's could be a link that runs a script, or lie over the page.

    Args:
        markup: what is shown, all texts in it :func:`escaped`.
        attributes: of the element around it, but ``class``.
    """
    return f'<div class="{_NO_MATHS}" {attributes}>{markup}</div>'


def clock(seconds: float) -> str:
    """Media time as people write it: 0:07.5, 1:02:03.0."""
    tenths = round(seconds * 10)
    hours, rest = divmod(tenths, 36_000)
    minutes, rest = divmod(rest, 600)
    text = f"{minutes:02d}" if hours else f"{minutes}"
    return (f"{hours}:" if hours else "") + f"{text}:{rest // 10:02d}.{rest % 10}"


def cut(text: str, letters: int) -> str:
    """Text from outside as HTML, no longer than so many letters."""
    return escaped(text if len(text) <= letters else text[: letters - 1] + "…")
