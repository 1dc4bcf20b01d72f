"""Each sample's time and fate, kept in step with what was asked for."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overshoot_nb.store.sample_log import FATES, SampleLog


def filled(count: int) -> SampleLog:
    log = SampleLog()
    for index in range(count):
        log.sampled(index, index * 0.5)
    return log


def test_a_sample_waits_until_its_fate_is_known():
    log = filled(3)
    log.answered(0, 0, ok=True)
    log.answered(2, 1, ok=False)
    assert log[0] == (0.0, "result", 0, None)
    assert log[1] == (0.5, "waiting", None, None)
    assert log[2] == (1.0, "error", 1, None)
    log.dropped(1, "paused")
    assert log[1] == (0.5, "drop", None, "paused")
    with pytest.raises(IndexError, match="no sample 3: there are 3"):
        log[3]
    with pytest.raises(IndexError):
        log[-1]


def test_indices_follow_one_another():
    log = filled(2)
    with pytest.raises(ValueError, match="sample 3 after sample 1"):
        log.sampled(3, 1.5)


@given(st.lists(st.sampled_from(["sample", "settle", "read"]), max_size=60), st.randoms())
def test_what_changed_is_enough_to_follow(steps, random):
    """A reader that takes only what changed ends with what the log holds."""
    log = SampleLog()
    times, fates = array("d"), bytearray()

    def follow() -> None:
        first = log.take_changed()
        if first is not None:
            new_times, new_fates = log.read(first)
            assert first <= len(fates)
            del times[first:]
            times.frombytes(new_times)
            fates[first:] = new_fates

    for step in steps:
        if step == "sample":
            log.sampled(len(log), random.random())
        elif step == "settle" and len(log):
            index = random.randrange(len(log))
            if random.random() < 0.5:
                log.answered(index, 7, ok=random.random() < 0.5)
            else:
                log.dropped(index, "late")
        else:
            follow()
    follow()
    assert log.take_changed() is None
    assert (times.tobytes(), bytes(fates)) == log.read()
    assert [FATES[code] for code in fates] == [log[i].fate for i in range(len(log))]
