"""What was said just now is not said again, and yet is told."""

from astria_sync.core.repeats import WINDOW, Repeats


def test_the_same_words_are_held_back_and_told_with_their_number():
    """The first is said at once; those after it in the next ten minutes are one line with their number."""
    repeats = Repeats()
    assert [repeats.is_news("a", f"line {n}", float(n)) for n in range(15)] == [True] + [False] * 14
    assert list(repeats.over(WINDOW - 1)) == []
    assert list(repeats.over(WINDOW)) == [("line 14", 14)]
    assert list(repeats.over(WINDOW)) == []
    assert repeats.is_news("a", "line", WINDOW)


def test_what_is_different_is_never_held_back():
    """Another file, another level, other words: each has its first line."""
    repeats = Repeats()
    assert all(repeats.is_news(key, "", 0.0) for key in ("a", "b", ("a", 1)))


def test_nothing_is_due_where_nothing_is_held_back():
    """Whoever waits for the next line need not wake for what was said once."""
    repeats = Repeats()
    repeats.is_news("a", "", 5.0)
    assert repeats.next_due() is None
    repeats.is_news("a", "", 6.0)
    assert repeats.next_due() == 5.0 + WINDOW


def test_a_clock_that_is_set_back_holds_nothing_for_ever():
    """What was said in what is now the future counts as said long ago."""
    repeats = Repeats()
    repeats.is_news("a", "first", 1e9)
    assert repeats.is_news("a", "second", 5.0)


def test_at_the_end_all_is_told():
    """Also what has not been held back for long."""
    repeats = Repeats()
    for key in ("a", "b"):
        for _ in range(2):
            repeats.is_news(key, key, 1.0)
    assert list(repeats.over(1.0, everything=True)) == [("a", 1), ("b", 1)]


def test_it_stays_small():
    """A thousand different lines are remembered; the oldest give way, but none whose number is to be told yet."""
    repeats = Repeats()
    for n in range(3000):
        assert repeats.is_news(n, "", 1.0)
    assert len(repeats._known) == 1000
    assert repeats.is_news(5, "again", 1.0)
    for n in range(2001, 3000):
        repeats.is_news(n, "", 1.0)
    for n in range(4000, 5000):
        assert repeats.is_news(n, "", 1.0)
    assert sum(number for _, number in repeats.over(1.0, everything=True)) == 999
