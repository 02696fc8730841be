"""Every picture ends on disk whole, byte for byte, whatever the way there is like."""

import errno
import hashlib
import os

import pytest

from astria_sync.core.model import Hint
from astria_sync.disk import Disk
from astria_sync.simulator import Fault

PICTURES = {"host": "pictures", "method": "GET"}


def test_a_cut_download_is_resumed_and_nothing_half_gets_a_name(make_studio):
    """Cut in the middle: what came is kept under a hidden name, and only the rest is fetched."""
    studio = make_studio(picture_px=256)
    studio.sim.faults.add(Fault(kind="cut", cut_at=2500, **PICTURES))
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.output.exists() and any(studio.output.rglob(".*.part")))
        assert [name for name in studio.files() if "/." not in f"/{name}"] == []
        assert daemon.run(10)
    assert studio.check_pictures() == 1
    served = studio.sim.ledger.pictures_served()
    assert [entry.range is not None for entry in served] == [False, True]
    assert served[1].status == 206


def test_a_download_that_moves_is_gone_on_with_soon(make_studio):
    """Cut again and again, but each time further: no attempt is held against it, so that a long one is not put off ever longer."""
    studio = make_studio(picture_px=1400)
    studio.sim.faults.add(Fault(kind="cut", cut_at=20_000, **PICTURES, times=3))
    studio.prompt("p.prompt", "words")
    studio.run_once()
    assert studio.check_pictures() == 1
    assert len(studio.sim.ledger.pictures_served()) == 4
    with studio.journal() as journal:
        assert [image.attempt for image in journal.images()] == [1]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 404},
        {"kind": "status", "status": 200, "body": "<html>Please sign in</html>"},
        {"kind": "garbage", "body": "GIF89a no picture"},
        {"kind": "garbage", "body": ""},
        {"kind": "refuse"},
        {"kind": "cut", "cut_at": 0},
        {"kind": "cut", "cut_at": 200},
    ],
    ids=str,
)
def test_trouble_on_the_way_is_tried_again(studio, fault):
    """Errors, HTML in place of a picture, cuts: nothing wrong gets a final name, and the picture comes in the end."""
    studio.sim.faults.add(Fault(**fault, **PICTURES, times=2))
    studio.prompt("p.prompt", "words", "num_images: 2")
    studio.run_once()
    assert studio.check_pictures() == 2
    assert studio.made() == (0, 1)


def test_expired_links_are_asked_for_anew(make_studio):
    """A link that is no longer good is fetched from Astria again."""
    studio = make_studio(link_seconds=0.5)
    studio.sim.faults.add(Fault(kind="status", status=403, **PICTURES))
    studio.prompt("p.prompt", "words", "num_images: 2")
    studio.run_once()
    assert studio.check_pictures() == 2


def test_links_that_expired_while_the_daemon_was_down(make_studio):
    """Pictures that were listed before a crash have other addresses after it."""
    from astria_sync.core import work

    studio = make_studio(link_seconds=30)
    studio.prompt("p.prompt", "words", "num_images: 2")
    studio.crash(work.Download, sent=False)
    studio.sim.advance(60)
    studio.run_once()
    assert studio.check_pictures() == 2


def test_pictures_that_come_one_after_the_other_are_all_fetched(make_studio):
    """A prompt is done when the last of its pictures is here, not the first."""
    studio = make_studio(trickle=True, generate_seconds=0.8)
    studio.prompt("p.prompt", "words", "num_images: 8")
    studio.run_once()
    assert studio.check_pictures() == 8


@pytest.mark.parametrize(("kind", "suffix"), [("jpeg", ".jpg"), ("png", ".png"), ("webp", ".webp")])
def test_the_extension_follows_the_content(make_studio, kind, suffix):
    """Bytes are kept as served, under the suffix that they are."""
    studio = make_studio(picture_format=kind)
    studio.prompt("p.prompt", "words")
    studio.run_once()
    assert [name for name in studio.files() if name.endswith(suffix)]
    assert studio.check_pictures() == 1


def test_a_picture_that_the_user_deletes_is_not_fetched_again(studio):
    """Deleting a picture is the person's business; so is deleting all of them."""
    studio.prompt("p.prompt", "words", "num_images: 2")
    studio.run_once()
    served = len(studio.sim.ledger.pictures_served())
    for path in studio.output.rglob("*-1.jpg"):
        path.unlink()
    studio.run_once()
    assert len(studio.sim.ledger.pictures_served()) == served
    assert not list(studio.output.rglob("*-1.jpg"))


def test_another_file_under_the_final_name_is_never_replaced(studio):
    """A file of the person's that happens to lie there stays as it is; it is said, and moving it away helps."""
    studio.prompt("p.prompt", "words")
    studio.sim.faults.add(Fault(kind="status", status=503, **PICTURES))
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.prompts() and studio.only("p.prompt").state == "downloading")
        row = studio.only("p.prompt")
        mine = studio.write(studio.output / "p" / f"p-{row.remote_id}-1.jpg", "mine")
        daemon.until(lambda: "another file" in studio.only("p.prompt").reason)
        assert mine.read_text() == "mine"
        mine.unlink()
        assert daemon.run(10)
    assert studio.check_pictures() == 1


def test_an_output_that_cannot_be_written_loses_nothing(studio):
    """A file where a folder should be: nothing is lost, it is said, and it goes on when that is gone."""
    studio.output.mkdir()
    block = studio.write(studio.output / "p", "a file")
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.prompts() and "cannot be written" in studio.only("p.prompt").reason)
        block.unlink()
        assert daemon.run(10)
    assert studio.made() == (0, 1)
    assert studio.check_pictures() == 1


def test_a_sidecar_that_could_not_be_written_is_tried_again_however_much_else_goes_on(studio):
    """Its time comes between two messages, and no pause of the loop is needed to see that."""

    class FailsOnce(Disk):
        failed = 0

        def write_whole(self, path, data):
            if not self.failed:
                FailsOnce.failed = 1
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            super().write_whole(path, data)

    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.tasks._disk = FailsOnce()
        daemon.until(lambda: daemon.journal.prompts("reason LIKE '%cannot be written%'"))
        end = daemon.clock.now() + 5
        while not daemon.journal.prompts("state = 'done'"):
            assert daemon.clock.now() < end
            daemon.engine.inbox.put(Hint(root=str(studio.inbox), path="busy"))
            daemon.engine.step(daemon.engine.inbox.get())
    assert studio.check_pictures() == 1


def test_the_recorded_hash_is_that_of_the_file(studio):
    """The state knows each file's size and SHA-256."""
    studio.prompt("p.prompt", "words", "num_images: 3")
    studio.run_once()
    row = studio.only("p.prompt")
    with studio.journal() as journal:
        for image in journal.images("prompt_id = ?", [row.id]):
            data = (studio.output / row.folder / image.file).read_bytes()
            assert (image.size, image.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_a_prompt_deleted_at_astria_is_told(make_studio):
    """What Astria does not have any more is said, and the daemon comes to rest."""
    studio = make_studio(generate_seconds=0.5)
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.made()[1] == 1)
        studio.outside(f"/prompts/{studio.created().id}", {}, method="DELETE")
        assert daemon.run(10)
    assert studio.states() == {"p.prompt": "deleted"}
    assert "Astria does not have it" in studio.only("p.prompt").reason
    assert studio.made() == (0, 1)
