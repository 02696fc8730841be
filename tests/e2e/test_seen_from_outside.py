"""What a stranger found when trying to break it."""

import pytest


@pytest.mark.parametrize("data", [b"", b"words", b"\xff\xd8\xff\xe0 cut"], ids=["empty", "text", "cut"])
def test_an_input_that_is_no_picture(studio, data):
    """A broken picture is told before it is sent, also where it is an input and no subject."""
    studio.write("inputs.txt", "")
    studio.prompt("p.prompt", "words", "input_image: sub/pose.jpg")
    studio.write("sub/pose.jpg", data)
    studio.run_once()
    assert studio.made() == (0, 0)
    assert "sub/pose.jpg" in studio.error("p.prompt")


def test_urls_without_an_address(studio):
    """A urls.txt of comments alone makes no tune of nothing."""
    studio.write("e/urls.txt", "# to come\n\n")
    studio.run_once()
    assert studio.made() == (0, 0)
    assert "no address" in studio.error("e")


def test_a_blank_line_above_the_block(studio):
    """It is a block all the same, and never a text that is paid for."""
    studio.write("p.prompt", "\n---\nnum_images: 2\n---\nhello\n")
    studio.run_once()
    (sent,) = studio.posts()
    assert sent.field("prompt[text]") == "hello"
    assert sent.field("prompt[num_images]") == "2"


def test_inputs_alone_are_no_broken_folder(studio):
    """A picture that is only an input of the prompt beside it is that prompt's trouble, not the folder's."""
    studio.write("n.jpg", b"no picture")
    studio.prompt("a.prompt", "words", "input_image: n.jpg")
    studio.run_once()
    assert studio.error("a.prompt")
    assert studio.error(".") is None


@pytest.mark.parametrize(
    "name", ["b.jpg.part", "b.jpg.crdownload", ".b.jpg.aB3xYz", "Unconfirmed 1.crdownload"]
)
def test_a_download_under_way_holds_its_folder_back(studio, name):
    """A folder is not taken up while a picture of it is still coming under another name, and goes whole when it is there."""
    studio.tables["timing"]["settle_seconds"] = 0.5
    studio.picture("jane/a.jpg")
    part = studio.write(f"jane/{name}", b"half")
    with studio.daemon() as daemon:
        for length in range(8):
            part.write_bytes(b"half" * (length + 2))
            daemon.look()
            end = daemon.clock.now() + 0.1
            while daemon.clock.now() < end:
                daemon.turn()
        assert studio.made() == (0, 0)
        part.unlink()
        studio.picture("jane/b.jpg")
        daemon.look()
        daemon.until(lambda: daemon.journal.tunes("state = 'ready'"))
    (sent,) = studio.posts()
    assert [file.filename for file in sent.files] == ["a.jpg", "b.jpg"]
