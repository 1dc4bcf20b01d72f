"""Identical requests are asked once."""

from __future__ import annotations

from overshoot_nb.api.chat import ChatAnswer

__all__ = ["AnswerCache"]


class AnswerCache:
    def get(self, key: str) -> ChatAnswer | None: ...

    def put(self, key: str, answer: ChatAnswer) -> None: ...
