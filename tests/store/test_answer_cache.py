"""AnswerCache: kept across restarts and between kernels, bounded, and never in the way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from overshoot_nb.store import answer_cache as module
from overshoot_nb.store.answer_cache import AnswerCache, answer_cache
from overshoot_nb.types import ChatAnswer, Usage


def an_answer(content: str = "HAWKS 84", **fields) -> ChatAnswer:
    known = {
        "id": "chatcmpl-1",
        "model": "m",
        "content": content,
        "ok": True,
        "error": None,
        "output": {"score": [84, 2**70], "team": "\ud800 \u2028", "none": None},
        "finish_reason": "stop",
        "usage": Usage(10, 2, 12, 0.25),
        "latency_ms": 12.5,
        "attempts": 2,
    }
    return ChatAnswer(**{**known, **fields})


@pytest.fixture
def cache(tmp_path):
    cache = AnswerCache(tmp_path / "deep" / "answers.sqlite3", max_bytes=300_000)
    yield cache
    cache.close()


def test_an_answer_comes_back_as_it_was_and_after_a_restart(cache):
    assert cache.get("k") is None
    cache.put("k", an_answer())
    cache.put("plain", an_answer(output=None, usage=None, finish_reason=None))
    assert cache.get("k") == an_answer()
    cache.close()
    again = AnswerCache(cache.path)
    assert again.get("k") == an_answer()
    assert again.get("plain") == an_answer(output=None, usage=None, finish_reason=None)
    assert len(again) == 2
    again.put("k", an_answer("other"))
    assert cache.get("k").content == "other"
    again.close()


def test_nobody_else_may_read_it(cache):
    cache.put("k", an_answer())
    if os.name != "nt":
        assert stat.S_IMODE(cache.path.stat().st_mode) == 0o600


def test_it_is_cleared_disabled_and_enabled(cache):
    for number in range(200):
        cache.put(f"k{number}", an_answer("x" * 500))
    large = cache.path.stat().st_size
    assert cache.nbytes > 100_000
    cache.clear()
    assert len(cache) == 0
    assert cache.path.stat().st_size < large / 3
    cache.put("k", an_answer())
    cache.disable()
    assert not cache.enabled
    assert cache.get("k") is None
    cache.put("other", an_answer())
    assert "disabled" in repr(cache)
    cache.enable()
    assert cache.get("k") == an_answer()
    assert cache.get("other") is None
    assert "1 answers" in repr(cache)
    assert str(cache.path) in repr(cache)


def test_an_empty_one_is_a_cache_and_no_file(cache):
    assert cache
    assert (len(cache), cache.nbytes) == (0, 0)
    assert not cache.path.exists()


def test_it_stays_within_its_bytes_and_what_was_not_used_longest_goes(cache, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(module.time, "time", lambda: now)
    for number in range(100):
        cache.put(f"old{number}", an_answer("x" * 1000))
        now += 1
    now += 100
    assert cache.get("old0") is not None  # used again
    for number in range(140):
        cache.put(f"new{number}", an_answer("x" * 1000))
        now += 1
    assert cache.nbytes <= cache.max_bytes
    assert cache.path.stat().st_size <= cache.max_bytes + 2**16
    assert cache.get("old0") is not None
    assert cache.get("old1") is None
    assert cache.get("new139") is not None
    assert 150 < len(cache) < 240


def test_an_answer_too_large_for_it_drops_no_other(cache):
    cache.put("k", an_answer())
    cache.put("huge", an_answer("x" * 400_000))
    assert cache.get("huge") is None
    assert cache.get("k") is not None


@pytest.mark.parametrize("content", [b"this is no database" * 500, None], ids=["alien", "torn"])
def test_a_broken_file_is_set_aside(cache, content, caplog):
    for number in range(50):
        cache.put(f"k{number}", an_answer())
    cache.close()
    if content is None:
        whole = cache.path.read_bytes()
        content = whole[:4096] + os.urandom(len(whole) - 4096)
    cache.path.write_bytes(content)
    assert cache.get("k1") is None
    cache.put("k", an_answer())
    assert cache.get("k") == an_answer()
    assert cache.path.with_name(cache.path.name + ".broken").read_bytes() == content
    assert "damaged" in caplog.text


def test_a_row_that_something_else_wrote_is_no_answer(cache):
    cache.put("k", an_answer())
    with sqlite3.connect(cache.path) as database:
        (kept,) = database.execute("SELECT answer FROM answers").fetchone()
        wrong = [
            "{",
            "[]",
            '{"usage": null}',
            "null",
            "[" * 100_000,
            b"\xff\xfe",
            kept.replace('"HAWKS 84"', "84"),
            kept.replace("12.5", '"12.5"'),
            kept.replace('"prompt_tokens":10', '"prompt_tokens":"10"'),
        ]
        for key, text in enumerate(wrong):
            database.execute("INSERT INTO answers VALUES (?, ?, 0)", (str(key), text))
        database.execute("INSERT INTO answers VALUES ('time', ?, 'once')", (kept,))
    database.close()
    assert [cache.get(str(key)) for key in range(len(wrong))] == [None] * len(wrong)
    assert cache.get("time") == an_answer()


def test_a_file_that_is_taken_away_is_made_again(cache):
    cache.put("k", an_answer())
    cache.path.unlink()
    cache.put("k2", an_answer())
    cache.put("k3", an_answer())
    assert cache.get("k3") == an_answer()
    cache.close()
    assert cache.path.exists() or cache.get("k3") is None


def test_where_it_cannot_be_written_it_says_so_once(tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    cache = AnswerCache(tmp_path / "file" / "answers.sqlite3")
    cache.put("k", an_answer())
    assert cache.get("k") is None
    cache.clear()
    assert len(cache) == 0
    assert repr(cache)
    assert [r.levelname for r in caplog.records if "not kept" in r.message].count("WARNING") == 1


def test_while_another_kernel_writes_it_gives_up_soon(cache, monkeypatch, caplog):
    monkeypatch.setattr(module, "LOCKED_SECONDS", 0.1)
    cache.put("k", an_answer())
    cache.close()
    other = sqlite3.connect(cache.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert cache.get("k") is None
    cache.put("k2", an_answer())
    other.execute("COMMIT")
    other.close()
    assert cache.get("k") == an_answer()
    assert not cache.path.with_name(cache.path.name + ".broken").exists()


def test_what_can_be_read_is_known_while_another_kernel_is_about_to_write(cache, monkeypatch):
    monkeypatch.setattr(module, "LOCKED_SECONDS", 0.1)
    cache.put("k", an_answer())
    cache.close()
    other = sqlite3.connect(cache.path, isolation_level=None)
    other.execute("UPDATE answers SET used = 0")  # so that its use would be noted
    other.execute("BEGIN IMMEDIATE")
    assert cache.get("k") == an_answer()
    other.execute("ROLLBACK")
    other.close()


def test_any_thread_may_use_it(cache):
    wrong = []

    def work(name: str) -> None:
        for number in range(40):
            cache.put(f"{name}{number}", an_answer(f"{name}{number}"))
            found = cache.get(f"{name}{number}")
            if found is None or found.content != f"{name}{number}":
                wrong.append((name, number))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(cache) == 240


KERNEL = """
import sys
from overshoot_nb.store.answer_cache import AnswerCache
from overshoot_nb.types import ChatAnswer
path, name, other = sys.argv[1:]
cache = AnswerCache(path)
for k in range(150):
    cache.put(f"{name}{k}", ChatAnswer("", "m", name, True, None, None, None, None, 1.0, 1))
    assert cache.get(f"{name}{k}").content == name, k
    found = cache.get(f"{other}{k}")
    assert found is None or found.content == other
cache.close()
"""


def test_two_kernels_use_one_file_at_once(cache):
    kernels = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", KERNEL, str(cache.path), *names],
            stderr=subprocess.PIPE,
            text=True,
        )
        for names in (("a", "b"), ("b", "a"))
    ]
    for kernel in kernels:
        _, err = kernel.communicate(timeout=60)
        assert (kernel.returncode, err) == (0, "")
    assert len(cache) == 300
    assert cache.get("a149").content == "a"


def in_a_fresh_process(test) -> None:
    """Fork where no other test has been: PyAV 19 leaves scalers to its threads, whose children
    wait for them for ever.
    """
    process = multiprocessing.get_context("spawn").Process(target=test)
    process.start()
    process.join(60)
    try:
        assert process.exitcode == 0
    finally:
        process.kill()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_opens_the_file_for_itself(cache):
    in_a_fresh_process(partial(fork_and_use, cache.path))


def fork_and_use(path) -> None:
    cache = AnswerCache(path)
    cache.put("k", an_answer())

    def child(pipe) -> None:
        cache.put("child", an_answer("of the child"))
        pipe.send(cache.get("k") == an_answer())

    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=child, args=(there,))
    process.start()
    assert here.poll(10)
    assert here.recv()
    process.join(60)
    here.close()
    there.close()
    assert cache.get("child").content == "of the child"
    assert cache.get("k") == an_answer()
    cache.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_forked_while_a_thread_uses_it_does_not_wait_for_that_thread(cache):
    in_a_fresh_process(partial(fork_while_used, cache.path))


def fork_while_used(path) -> None:
    cache = AnswerCache(path)
    cache.put("k", an_answer())
    inside, leave = threading.Event(), threading.Event()

    def use(database: sqlite3.Connection) -> None:
        inside.set()
        leave.wait(60)

    busy = threading.Thread(target=lambda: cache._use(use, None))
    busy.start()
    assert inside.wait(60)
    child = os.fork()
    if not child:
        os._exit(0 if cache.get("k") == an_answer() else 1)
    try:
        deadline = time.monotonic() + 60
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.02)
        if ended == (0, 0):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        assert ended == (child, 0)
    finally:
        leave.set()
        busy.join()
    cache.close()


def test_the_users_own_is_in_the_cache_folder_and_can_be_disabled_for_good(tmp_path):
    assert answer_cache() is answer_cache()
    code = (
        "from overshoot_nb.store.answer_cache import answer_cache\n"
        "print(answer_cache().path, answer_cache().enabled)"
    )
    for value, enabled in (("0", "False"), ("1", "True"), ("", "True")):
        environment = {
            "PATH": os.environ["PATH"],
            "OVERSHOOT_CACHE_DIR": str(tmp_path),
            "OVERSHOOT_ANSWER_CACHE": value,
        }
        shown = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert shown.split() == [str(tmp_path / "answers-1.sqlite3"), enabled]
    assert list(tmp_path.iterdir()) == []


def test_a_user_without_a_home_has_no_cache_and_no_error(monkeypatch):
    def nowhere() -> None:
        raise RuntimeError("Could not determine home directory.")

    for name in ("OVERSHOOT_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pathlib.Path.home", nowhere)
    cache = AnswerCache()
    cache.put("k", an_answer())
    assert cache.get("k") is None
    assert len(cache) == 0


def test_a_bound_that_makes_no_sense_is_refused(tmp_path):
    with pytest.raises(ValueError, match="max_bytes=0"):
        AnswerCache(tmp_path / "x", max_bytes=0)
