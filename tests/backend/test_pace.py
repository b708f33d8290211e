"""An acknowledgement goes before a posting, yet no entry waits for ever."""

from dataclasses import dataclass

from backend.pace import BREATH_S, PATIENCE_S, QUIET_S, Pace


@dataclass
class Clock:
    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_nothing_is_posted_for_a_moment_after_an_upload() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.wait_s() == 0
    pace.uploaded()
    assert 0 < pace.wait_s() <= QUIET_S
    clock.now_s += QUIET_S + 0.001
    assert pace.wait_s() == 0


def _turns(uploads_every_s: float, seconds: float) -> list[float]:
    """When turns are taken in a stream of uploads that leaves always something to post."""
    clock, taken = Clock(0.0), []
    pace, due = Pace(clock), 0.0
    while clock.now_s < seconds:
        if clock.now_s >= due:
            pace.uploaded()
            due += uploads_every_s
        if pace.wait_s() == 0:
            taken.append(clock.now_s)
            pace.posted(20)
        clock.now_s += 0.01
    return taken


def test_a_stream_of_uploads_puts_posting_off_no_longer_than_stated() -> None:
    taken = _turns(0.02, 2 * PATIENCE_S)
    assert PATIENCE_S <= taken[0] < PATIENCE_S + 2 * BREATH_S
    assert len(taken) <= PATIENCE_S / BREATH_S + 2  # and then in short turns


def test_between_uploads_that_are_further_apart_posting_goes_on() -> None:
    assert len(_turns(1.0, 3.0)) > 100


def test_patience_begins_anew_when_everything_is_posted() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.uploaded()
    clock.now_s += PATIENCE_S
    pace.posted(0)
    pace.uploaded()
    assert pace.wait_s() > 0
