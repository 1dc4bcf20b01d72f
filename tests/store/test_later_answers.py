"""LaterAnswers: one answer for each version and sample, the best that came."""

from __future__ import annotations

import threading

from overshoot_nb.store.later_answers import LaterAnswers
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.types import StreamInferenceResult


def a_result(sample: int, version: int = 2, text: str = "x", ok: bool = True):
    return StreamInferenceResult(
        id="r", stream_id="s", mode="frame", model_name="m", prompt="p", result=text,
        inference_latency_ms=1.0, total_latency_ms=1.0, ok=ok, sample=sample,
        prompt_version=version,
    )  # fmt: skip


def test_answers_are_found_by_sample_and_version():
    later = LaterAnswers()
    assert (len(later), list(later), later.of(2), later.get(0, 2)) == (0, [], {}, None)
    for sample in (3, 1):
        later.put(a_result(sample))
    later.put(a_result(1, version=3, text="other"))
    assert later.get(1, 2).result == "x"
    assert later.get(1, 3).result == "other"
    assert later.get(2, 2) is None
    assert set(later.of(2)) == {1, 3}
    assert len(later) == len(list(later)) == 3
    later.of(2).clear()
    assert len(later.of(2)) == 2


def test_an_answer_that_can_be_used_is_never_replaced_by_one_that_cannot():
    later = LaterAnswers()
    later.put(a_result(0, text="", ok=False))
    later.put(a_result(0, text="cut", ok=False))
    assert later.get(0, 2).result == "cut"
    later.put(a_result(0, text="good"))
    changes = later.changes
    later.put(a_result(0, text="bad", ok=False))
    assert later.get(0, 2).result == "good"
    assert later.changes == changes
    later.put(a_result(0, text="better"))
    assert later.get(0, 2).result == "better"
    assert later.changes > changes


def test_columns_come_in_their_order_and_go():
    later = LaterAnswers()
    one, two = PromptVersion(1, "a", "m"), PromptVersion(2, "b", "m")
    later.show("b", two)
    later.show("a", one)
    assert list(later.columns.items()) == [("b", two), ("a", one)]
    later.show("b", one)
    assert later.columns == {"b": one, "a": one}
    before = later.changes
    later.hide("b")
    later.hide("never there")
    assert list(later.columns) == ["a"]
    assert later.changes > before


def test_any_thread_may_write_while_others_read():
    later = LaterAnswers()
    wrong = []

    def write(version: int) -> None:
        for sample in range(2000):
            later.put(a_result(sample, version))

    def read() -> None:
        while any(t.is_alive() for t in writers):
            for version in (1, 2, 3):
                if any(r.prompt_version != version for r in later.of(version).values()):
                    wrong.append(version)
            list(later)

    writers = [threading.Thread(target=write, args=(v,)) for v in (1, 2, 3)]
    reader = threading.Thread(target=read)
    for thread in (*writers, reader):
        thread.start()
    for thread in (*writers, reader):
        thread.join()
    assert wrong == []
    assert len(later) == 6000
    assert later.changes == 6000
