"""Progress of a long read: seen, and not a flood."""

from __future__ import annotations

from pytest_ampls.progress import Progress


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


def test_a_short_read_says_nothing() -> None:
    """Whoever gets the answer at once needs no word of how it came about."""
    said: list[str] = []
    progress = Progress(said.append, clock=Clock())
    for page in range(100):
        progress(f"{page} pages")
    assert said == []


def test_a_long_read_says_a_line_now_and_then() -> None:
    """A thousand pages in a minute are seven lines, each the newest, with the time."""
    said: list[str] = []
    clock = Clock()
    progress = Progress(said.append, first=2, every=10, clock=clock)
    for page in range(1000):
        progress(f"{page} pages")
        clock.now += 0.06
    assert len(said) == 6
    assert said[0] == "ampls: 34 pages (2 s)"
    assert said[-1].startswith("ampls: 869 pages (52 s)")
