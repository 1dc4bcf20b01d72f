"""How many pictures a page is sent, and when it counts as gone."""

from overshoot_nb.widget.pages import (
    GONE_DEAF_SECONDS,
    GONE_SECONDS,
    MOST,
    STALE_SECONDS,
    WINDOW,
    Pages,
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def pages(*, deaf: bool = False) -> tuple[Pages, Clock]:
    clock = Clock()
    return Pages(lambda: deaf, clock), clock


def sent_within(pages: Pages, clock: Clock, seconds: float, step: float = 1 / 15) -> int:
    """Pictures that a source of 15 a second gets away."""
    sent = 0
    for _ in range(round(seconds / step)):
        if pages.room():
            pages.send()
            sent += 1
        clock.now += step
    return sent


def test_nobody_there_nothing_is_sent():
    there, clock = pages()
    assert not there.room()
    there.hello("a", visible=False)
    assert there.any
    assert not there.watched
    assert sent_within(there, clock, 1) == 0


def test_the_window_closes_without_acks_and_opens_with_them():
    there, _ = pages()
    there.hello("a", visible=True)
    for _ in range(WINDOW):
        assert there.room()
        there.send()
    assert not there.room()
    there.ack("a", 0)
    assert there.room()
    there.send()
    there.ack("a", WINDOW)
    assert there.room()


def test_a_page_that_does_not_answer_gets_a_picture_now_and_then_and_then_none():
    there, clock = pages()
    there.hello("a", visible=True)
    assert sent_within(there, clock, GONE_SECONDS) == MOST
    assert sent_within(there, clock, 60) == 0
    assert not there.any


def test_a_slow_page_never_has_many_waiting():
    there, clock = pages()
    there.hello("slow", visible=True)
    drawn = sent = 0
    for _ in range(60):
        sent += sent_within(there, clock, 1)
        there.beat("slow", visible=True)
        if drawn < sent:
            there.ack("slow", drawn)  # one picture a second
            drawn += 1
        assert sent - drawn <= MOST
    assert drawn == 60


def test_while_no_page_can_be_heard_the_video_goes_on_for_a_while():
    there, clock = pages(deaf=True)
    there.hello("a", visible=True)
    sent = sent_within(there, clock, GONE_DEAF_SECONDS)
    assert (
        GONE_DEAF_SECONDS / STALE_SECONDS * 0.8 < sent <= WINDOW + GONE_DEAF_SECONDS / STALE_SECONDS
    )
    assert sent_within(there, clock, 60) <= 1
    assert not there.any


def test_the_slowest_page_sets_the_pace():
    there, _ = pages()
    there.hello("quick", visible=True)
    there.hello("slow", visible=True)
    for _ in range(WINDOW):
        there.ack("quick", there.send())
    assert not there.room()
    there.ack("slow", WINDOW - 1)
    assert there.room()
    there.bye("slow")
    assert there.room()


def test_a_page_that_comes_back_owes_nothing():
    there, _ = pages()
    there.hello("a", visible=True)
    there.hello("b", visible=True)
    there.beat("a", visible=False)
    for _ in range(10):
        there.ack("b", there.send())
    assert there.beat("a", visible=True)
    assert there.room()
    assert not there.beat("stranger", visible=True)


def test_acks_of_pictures_that_were_never_sent_open_nothing():
    there, _ = pages()
    there.hello("a", visible=True)
    there.ack("a", 10_000)
    for _ in range(WINDOW):
        there.send()
    assert not there.room()


def test_a_filter_is_kept_through_a_new_hello():
    there, clock = pages()
    there.hello("a", visible=True)
    there.ask("a", "goal")
    there.hello("a", visible=True)
    assert there.queries == {"a": "goal"}
    clock.now += GONE_SECONDS + 1
    assert there.queries == {}
