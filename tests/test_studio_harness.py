"""What the other tests look through."""


def test_a_snapshot_is_of_one_moment(studio):
    """A daemon that adds or removes rows between two questions is not seen to, so that they fit each other."""
    with studio.journal() as daemon, studio.snapshot() as journal:
        assert journal.get("key") is None
        with daemon.transaction():
            daemon.put("key", 1)
        assert journal.get("key") is None
    assert studio.value("key") == 1
