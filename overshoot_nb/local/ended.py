"""Why streams ended that are no more, for those who still ask."""

from __future__ import annotations

from typing import NamedTuple

#: Streams of one key, and of all together, that are remembered: the newest.
MAX_OF_ONE = 200
MAX_OF_ALL = 10_000


class Ended(NamedTuple):
    """Whose a stream was, and why it ended."""

    owner: str
    reason: str


class EndedStreams:
    """The ended streams by id. One key's many streams push out none of another's."""

    def __init__(self) -> None:
        self._all: dict[str, Ended] = {}
        self._by_owner: dict[str, dict[str, None]] = {}

    def add(self, stream_id: str, owner: str, reason: str) -> None:
        """Remember one, and forget the oldest where there are too many."""
        self._all[stream_id] = Ended(owner, reason)
        mine = self._by_owner.setdefault(owner, {})
        mine[stream_id] = None
        if len(mine) > MAX_OF_ONE:
            self.forget(next(iter(mine)))
        if len(self._all) > MAX_OF_ALL:
            self.forget(next(iter(self._all)))

    def get(self, stream_id: str) -> Ended | None:
        """What is known of one; None where nothing is."""
        return self._all.get(stream_id)

    def forget(self, stream_id: str) -> None:
        """As if it had never been."""
        owner = self._all.pop(stream_id).owner
        del self._by_owner[owner][stream_id]
        if not self._by_owner[owner]:
            del self._by_owner[owner]
