"""What was well a moment ago is trusted for a second; what was not is asked again."""

from astria_sync.seen import Seen


class Asked:
    """An answer that can be changed, and how often it was asked for."""

    def __init__(self) -> None:
        self.times, self.well, self.now = 0, True, 100.0

    def __call__(self) -> bool:
        self.times += 1
        return self.well


def test_a_yes_is_good_for_a_second():
    """As long as nothing else is known of it, and of that one thing alone."""
    asked = Asked()
    seen = Seen(lambda: asked.now)
    assert [seen.lately("a", asked) for _ in range(3)] == [True] * 3
    assert asked.times == 1
    assert seen.lately("b", asked)
    assert asked.times == 2
    asked.well = False
    asked.now += 0.9
    assert seen.lately("a", asked)
    asked.now += 0.2
    assert not seen.lately("a", asked)


def test_a_no_is_asked_again():
    """Whoever mounts the disk need not wait."""
    asked = Asked()
    seen = Seen(lambda: asked.now)
    asked.well = False
    assert not seen.lately("a", asked)
    asked.well = True
    assert seen.lately("a", asked)


def test_it_does_not_grow_without_end():
    """However many folders there are."""
    asked = Asked()
    seen = Seen(lambda: asked.now)
    for n in range(5000):
        seen.lately(n, asked)
    assert len(seen._until) <= 1000
