"""``AnswerCache``: identical requests are asked once, also after a restart.

One SQLite file in the user's cache folder, which any number of kernels may use at once. It holds
answers under hashes of what was asked: no prompt, no picture, no key and no URL.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar
from weakref import WeakSet

from overshoot_nb import config
from overshoot_nb.types import ChatAnswer, Usage

T = TypeVar("T")
logger = logging.getLogger("overshoot_nb")

#: Another form of the answers has another file: old kernels go on with the old one.
FILE_NAME = "answers-1.sqlite3"
#: A file that is no database, or a damaged one, is kept under its name and this.
ASIDE = ".broken"
#: Where there is no room, this share of the answers goes, those first that were not needed longest.
EVICTED_SHARE = 10
#: Seconds of another kernel's writing that are waited for; a cache that is waited for is useless.
LOCKED_SECONDS = 1.0
#: How often, in seconds, the last use of an answer is noted: most reading then writes nothing.
USE_SECONDS = 60.0

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_TABLES = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, answer TEXT NOT NULL, used REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS answers_by_use ON answers (used);
"""


class AnswerCache:
    """Answers by what was asked: model, prompt, schema, limits, pictures and server.

    Nothing that is wrong with its file (damaged, locked, a full disk, a folder that cannot be
    written) is an error of the caller: the answer is not there then, or not kept. Any thread and
    any number of processes may use one file.

    Args:
        path: the file. Default: ``answers-1.sqlite3`` in :func:`overshoot_nb.config.cache_dir`.
        max_bytes: the file grows no larger; what was not used longest goes. Default 64 MiB.

    Raises:
        ValueError: ``max_bytes`` is not positive.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        max_bytes: int = config.ANSWER_CACHE_BYTES,
    ) -> None:
        if max_bytes <= 0:
            raise ValueError(f"max_bytes={max_bytes} is not positive; disable() keeps no answers")
        self.path = Path(path) if path is not None else _users_file()
        self.max_bytes = max_bytes
        self._enabled = os.environ.get(config.ENV_ANSWER_CACHE, "").strip() != "0"
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._complained = False
        _caches.add(self)

    # ---- for whoever asks ----

    def get(self, key: str) -> ChatAnswer | None:
        """The answer kept under a key, or None."""
        return self._use(lambda database: _find(database, key), None) if self._enabled else None

    def put(self, key: str, answer: ChatAnswer) -> None:
        """Keep an answer under a key, in place of the one before."""
        if self._enabled:
            text = json.dumps(asdict(answer), separators=(",", ":"))
            if len(text) < self.max_bytes // 2:  # else it would drop all others
                self._use(lambda database: self._keep(database, key, text), None)

    # ---- for its user ----

    @property
    def enabled(self) -> bool:
        """Whether answers are looked up and kept."""
        return self._enabled

    def enable(self) -> None:
        """Look answers up, and keep them."""
        self._enabled = True

    def disable(self) -> None:
        """Neither look answers up nor keep them, in this process; those kept stay.

        ``OVERSHOOT_ANSWER_CACHE=0`` in the environment does it for good.
        """
        self._enabled = False

    def clear(self) -> None:
        """Forget every answer, those of other processes too."""
        self._use(_empty, None)

    def close(self) -> None:
        """Let go of the file; the next use opens it again. Idempotent."""
        with self._lock:
            self._disconnect()

    @property
    def nbytes(self) -> int:
        """Bytes of the file that answers take."""
        return self._use(_nbytes, 0) if self._is_there() else 0

    def __len__(self) -> int:
        return self._use(_count, 0) if self._is_there() else 0

    def __bool__(self) -> bool:
        return True  # an empty cache is one too

    def __repr__(self) -> str:
        state = "" if self._enabled else ", disabled"
        return (
            f"<AnswerCache {self.path}: {len(self):,} answers, {self.nbytes / 2**20:.1f} of "
            f"{self.max_bytes / 2**20:.0f} MB{state}>"
        )

    # ---- the file ----

    def _is_there(self) -> bool:
        try:
            return self.path.exists()
        except OSError:  # in a folder that nobody may look into
            return False

    def _keep(self, database: sqlite3.Connection, key: str, text: str) -> None:
        database.execute("REPLACE INTO answers VALUES (?, ?, ?)", (key, text, time.time()))
        while _nbytes(database) > self.max_bytes and (count := _count(database)) > 1:
            database.execute(
                "DELETE FROM answers WHERE key IN (SELECT key FROM answers ORDER BY used LIMIT ?)",
                (max(count // EVICTED_SHARE, 1),),
            )

    def _use(self, step: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """What ``step`` makes of the database; ``otherwise`` where it fails."""
        with self._lock:
            try:
                return self._carry_out(step)
            except sqlite3.DatabaseError as error:
                self._disconnect()
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                    return self._without(error, otherwise)
            except (sqlite3.Error, OSError) as error:
                self._disconnect()
                return self._without(error, otherwise)
            try:
                self._set_aside()
                return self._carry_out(step)
            except (sqlite3.Error, OSError) as error:
                self._disconnect()
                return self._without(error, otherwise)

    def _carry_out(self, step: Callable[[sqlite3.Connection], T]) -> T:
        database = self._connect()
        with database:  # one transaction
            return step(database)

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # What was asked about is nobody else's business; SQLite's journal gets the same mode.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            database = sqlite3.connect(self.path, timeout=LOCKED_SECONDS, check_same_thread=False)
            self._connection = database
            # No write-ahead log, whose shared memory fails on network folders; and no waiting for
            # the disk: what a power cut damages is set aside.
            database.execute("PRAGMA synchronous = OFF")
            database.executescript(_TABLES)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _begin_anew(self) -> None:
        """In a forked child, where another thread may have been using it."""
        self._lock = threading.Lock()
        if self._connection is not None:
            _parents.append(self._connection)
            self._connection = None

    def _set_aside(self) -> None:
        aside = self.path.with_name(self.path.name + ASIDE)
        self.path.replace(aside)
        self.path.with_name(self.path.name + "-journal").unlink(missing_ok=True)
        logger.warning("the answers kept in %s are damaged; begun anew (was: %s)", self.path, aside)

    def _without(self, error: Exception, otherwise: T) -> T:
        level = logging.DEBUG if self._complained else logging.WARNING
        self._complained = True
        logger.log(level, "answers are not kept: %s: %s", self.path, error)
        return otherwise


def _users_file() -> Path:
    try:
        return config.cache_dir() / FILE_NAME
    except RuntimeError:  # a user without a home, as in containers: nothing can be kept
        return Path(os.devnull) / FILE_NAME


def _find(database: sqlite3.Connection, key: str) -> ChatAnswer | None:
    found = database.execute("SELECT answer, used FROM answers WHERE key = ?", (key,)).fetchone()
    if found is None:
        return None
    text, used = found
    now = time.time()
    if not isinstance(used, float) or abs(now - used) > USE_SECONDS:
        with suppress(sqlite3.OperationalError):  # another kernel writes: the answer is known
            database.execute("UPDATE answers SET used = ? WHERE key = ?", (now, key))
    return _read(text)


def _read(text: str) -> ChatAnswer | None:
    """The answer in a row; None where something else wrote it."""
    try:
        fields = json.loads(text)
        if fields["usage"] is not None:
            fields["usage"] = Usage(**fields["usage"])
        answer = ChatAnswer(**fields)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return answer if _is_typed(answer) and _is_typed(answer.usage) else None


def _is_typed(kept: ChatAnswer | Usage | None) -> bool:
    if kept is None:
        return True
    wanted = _TYPES[type(kept)]
    return all(isinstance(getattr(kept, name), types) for name, types in wanted.items())


_TYPES: dict[type, dict[str, Any]] = {
    ChatAnswer: {
        **dict.fromkeys(("id", "model", "content"), str),
        "ok": bool,
        **dict.fromkeys(("error", "finish_reason", "reasoning"), (str, NoneType)),
        "latency_ms": (int, float),
        "attempts": int,
    },
    Usage: {
        **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), int),
        "cost_cents": (int, float, NoneType),
    },
}


def _empty(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM answers")
    database.commit()
    database.execute("VACUUM")  # the file becomes small


def _nbytes(database: sqlite3.Connection) -> int:
    pages, free, size = (
        database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _count(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT count(*) FROM answers").fetchone()[0])


_cache: AnswerCache | None = None
_cache_lock = threading.Lock()
_caches: WeakSet[AnswerCache] = WeakSet()
#: Connections of a forked child's parent: to close one, also as garbage, would undo on disk what
#: the parent is just writing.
_parents: list[sqlite3.Connection] = []


def _forked() -> None:
    global _cache_lock
    _cache_lock = threading.Lock()
    for cache in list(_caches):
        cache._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def answer_cache() -> AnswerCache:
    """The user's one cache: ``answer_cache().clear()``, ``.disable()``, ``.enable()``."""
    global _cache
    with _cache_lock:
        if _cache is None:
            _cache = AnswerCache()
            atexit.register(_cache.close)
        return _cache
