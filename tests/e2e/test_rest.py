"""When is nothing left that could move by itself?"""


def test_one_full_output_does_not_end_the_other_roots(studio):
    """`run --once` waits for what can still move, whatever rests elsewhere."""
    other = studio.root("other")
    studio.write(other / "q.prompt", "theirs")
    studio.prompt("p.prompt", "ours")
    studio.write(studio.output, "in the way")
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.journal.get(f"output:{studio.output}"))
        daemon.until(lambda: daemon.journal.prompts("state = 'done'"))
        assert daemon.run(10)
        row = daemon.journal.prompts("state = 'done'")[0]
        daemon.journal.change("prompts", row.id, state="queued")
        assert not daemon.loop.idle
        daemon.journal.change("prompts", row.id, state="done")
        assert daemon.loop.idle
