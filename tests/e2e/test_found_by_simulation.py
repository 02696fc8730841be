"""What schedules of tests/simulation brought to light, each as a short story of its own."""

import shutil

from astria_sync.core import work
from astria_sync.core.model import Tick


def test_a_comment_and_a_renamed_folder_between_two_looks(studio):
    """The file asks for what it asked for, and was renamed with its folder: no new order."""
    studio.folder("jane")
    prompt = studio.prompt("jane/p.prompt", "words", front="num_images: 1")
    studio.run_once()
    prompt.write_text("---\n# once more\nnum_images: 1\n---\nwords")
    (studio.inbox / "jane").rename(studio.inbox / "anne")
    studio.run_once()
    assert studio.made() == (1, 1)
    assert studio.states() == {"anne": "ready", "anne/p.prompt": "done"}


def test_a_folder_that_goes_while_its_tune_is_sent(studio):
    """Nothing was sent, and nobody wants it any more: it does not settle for ever."""
    folder, held = studio.folder("jane"), []
    with studio.daemon() as daemon:

        def hold(piece):
            (held.append if isinstance(piece, work.CreateTune) else daemon.workers.submit)(piece)

        daemon.engine.pool = type("Pool", (), {"submit": staticmethod(hold)})
        daemon.until(lambda: held)
        shutil.rmtree(folder)
        daemon.look()
        daemon.until(lambda: daemon.journal.sources("missing_since IS NOT NULL"))
        daemon.workers.submit(held.pop())
        assert daemon.run(10)
    assert studio.states() == {}
    assert studio.made() == (0, 0)


def test_an_error_file_that_could_not_be_written(studio):
    """The disk is full for a while: the error file comes with a later tick, although nothing happens to its prompt."""
    studio.prompt("p.prompt", "words", front="num_image: 3")
    with studio.daemon() as daemon:
        write = daemon.engine.ctx.write_file

        def full(path, data):
            raise OSError(28, "No space left on device", str(path))

        daemon.engine.ctx.write_file = full
        daemon.until(lambda: "failed" in studio.states().values())
        assert studio.error("p.prompt") is None
        daemon.engine.ctx.write_file = write
        daemon.engine.step(Tick(what="check"))
        assert "num_images" in studio.error("p.prompt")


def test_nothing_is_written_where_a_disk_is_away(studio):
    """An error is due for a file in a root that is unmounted: the empty mount point stays empty, and it is told once it is back."""
    studio.prompt("p.prompt", "words FAIL_USER_ERROR")
    away = studio.home / "away"
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.made() == (0, 1))
        studio.inbox.rename(away)
        studio.inbox.mkdir()
        daemon.until(lambda: "failed" in studio.states().values())
        assert list(studio.inbox.iterdir()) == []
        studio.inbox.rmdir()
        away.rename(studio.inbox)
        daemon.engine.step(Tick(what="check"))
        assert "safety filter" in studio.error("p.prompt")


def test_a_balance_topped_up_while_nobody_looked(studio):
    """Refused for the balance, ended before the balance was asked for, topped up meanwhile: one request tries."""
    studio.prompt("p.prompt", "words")
    with studio.journal() as journal:
        journal.put("gate:balance", "Astria: the balance is used up")
    studio.run_once()
    assert studio.made() == (0, 1)
    assert studio.value("gate:balance") is None


def test_a_balance_that_was_higher_at_an_earlier_refusal(make_studio):
    """What counts is the balance at the last 402, not at one before it."""
    studio = make_studio(balance_usd=0.0)
    studio.prompt("p.prompt", "words")
    with studio.journal() as journal:
        journal.put("balance_at_402", 10**9)
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.journal.get("balance_at_402") == 0)
        studio.sim.astria.add_balance(5)
        assert daemon.run(20)
        daemon.until(lambda: studio.made() == (0, 1))


def test_an_error_file_of_a_former_life(studio):
    """The state was lost, and the prompt is well meanwhile: the error file that lay beside it is removed."""
    studio.write("p.prompt.error.txt", "p.prompt could not be used.")
    studio.write("jane/tune.error.txt", "jane could not be used.")
    studio.folder("jane")
    studio.prompt("p.prompt", "words")
    studio.run_once()
    assert studio.error("p.prompt") is None
    assert studio.error("jane") is None


def test_an_error_file_that_went_with_a_step_that_never_was(studio):
    """The process died between removing the file and the commit that it belonged to: the failure stands, and is told again."""
    file = studio.prompt("p.prompt", "words", front="num_image: 3")
    studio.run_once()
    file.with_name("p.prompt.error.txt").unlink()
    studio.run_once()
    assert "num_images" in studio.error("p.prompt")
