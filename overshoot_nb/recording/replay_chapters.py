"""``Chapters``: how far a recorded run may go on with what was asked so far."""

from __future__ import annotations

from overshoot_nb.errors import ValidationError
from overshoot_nb.running.run import Run
from overshoot_nb.store.prompts import PromptVersion, asked_as_text

from .replay_script import Part


class Chapters:
    """Which chapters of a part were asked for; see ``replay_script``.

    Args:
        run: the recorded run.
        part: the part of it.
        published: whether a v0.2 server answered. It goes on with an earlier prompt for a while,
            where nobody asked for it.

    Attributes:
        newest: number of the newest chapter that may be told; -1 for none.
    """

    def __init__(self, run: Run, part: Part, *, published: bool) -> None:
        self._run = run
        self._chapters = part.chapters
        self._published = published
        self._told: set[int] = set()
        self._versions: dict[int, int] = {}  # recorded number -> that of the stream
        self.newest = -1

    def number_of(self, prompt: PromptVersion) -> int:
        """The recorded number of a question.

        Raises:
            ValidationError: there is none.
        """
        asked = asked_as_text(prompt)
        for version in self._run.prompts:
            if asked_as_text(version) == asked:
                return version.version
        raise ValidationError(f"the recording has no answer to {short(prompt.text)}")

    def ask(self, prompt: PromptVersion) -> None:
        """The next chapter in which this is asked may be told, and what comes before it is past.

        Raises:
            ValidationError: the recording has no such question.
        """
        number = self.number_of(prompt)
        self._versions[number] = prompt.version
        for chapter in range(self.newest + 1, len(self._chapters)):
            if self._chapters[chapter] == number:
                self._tell(chapter)
                break
        while self._published and self.newest + 1 < len(self._chapters):
            if self._chapters[self.newest + 1] not in self._versions:
                break
            self._tell(self.newest + 1)

    def _tell(self, chapter: int) -> None:
        self.newest = chapter
        self._told.add(chapter)

    def told(self, chapter: int) -> bool:
        """Whether what is asked in a chapter was asked here, too."""
        return chapter in self._told

    def wanted(self, chapter: int) -> PromptVersion:
        """What is asked in a chapter."""
        return self._run.prompts[self._chapters[chapter]]

    def version_here(self, recorded: int) -> int:
        """The number that a recorded version has in the stream."""
        return self._versions[recorded]


def short(text: str) -> str:
    """The beginning of a text, on one line, in quotes."""
    words = " ".join(text.split())
    return repr(words if len(words) <= 60 else words[:59] + "…")
