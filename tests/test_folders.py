"""The tune.toml files above a folder: when they are news, and what they mean together."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_sync.errors import FileProblem
from astria_sync.folders import TuneFiles, above, parent
from astria_sync.settings import Astria, Settings

PATHS = st.lists(st.text("abé ", min_size=1, max_size=3), max_size=4).map(
    lambda parts: "/".join(parts) or "."
)


def tune_files(tmp_path: Path, **more) -> TuneFiles:
    return TuneFiles(
        Settings(file=None, state=tmp_path / "state.db", astria=Astria(token_file=tmp_path / "token"), **more)
    )


def write(files: TuneFiles, root: Path, folder: str, text: str, stamp: str = "1") -> bool:
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / folder / "tune.toml").write_text(text)
    return files.saw(str(root), folder, stamp)


@pytest.mark.parametrize(
    ("path", "chain"),
    [(".", ["."]), ("jane", ["jane", "."]), ("a/b/c", ["a/b/c", "a/b", "a", "."])],
)
def test_the_folders_above(path, chain):
    """From a folder up to the root, the root once."""
    assert list(above(path)) == chain


@settings(print_blob=True, deadline=None)
@given(PATHS)
def test_the_folders_above_are_parents(path):
    """Each folder in the chain is the parent of the one before it, and the root is at the end."""
    chain = list(above(path))
    assert chain[0] == path
    assert chain[-1] == "."
    assert [parent(folder) for folder in chain[:-1]] == chain[1:]


@pytest.mark.parametrize(
    ("path", "folder"), [("a.prompt", "."), ("jane/a.prompt", "jane"), ("a/b/c.prompt", "a/b")]
)
def test_the_folder_of_a_file(path, folder):
    """A file in the root lies in "."."""
    assert parent(path) == folder


def test_what_is_news(tmp_path):
    """A stamp is news when it is new, other, or gone; the same one again is none, nor no file where none was."""
    files = tune_files(tmp_path)
    seen = [files.saw("/r", "jane", stamp) for stamp in ("", "1", "1", "2", "", "")]
    assert seen == [False, True, False, True, True, False]
    assert files.saw("/other", "jane", "1")


def test_the_stamp_of_a_folder(tmp_path):
    """It changes with every file that the folder inherits from, in whichever place, and with no other."""
    files = tune_files(tmp_path)
    assert files.stamp("/r", "dresses/red") == ""
    stamps = []
    for folder, stamp in [
        ("dresses", "1"),
        (".", "1"),
        ("dresses/red", "1"),
        ("dresses", "2"),
        ("dresses", ""),
    ]:
        files.saw("/r", folder, stamp)
        stamps.append(files.stamp("/r", "dresses/red"))
    assert len({"", *stamps}) == 6
    for root, folder in [("/r", "jane"), ("/r", "dresses/red/deep"), ("/r", "dresses/red2"), ("/other", ".")]:
        files.saw(root, folder, "9")
    assert files.stamp("/r", "dresses/red") == stamps[-1]


def test_the_nearest_file_wins(tmp_path):
    """What a folder says comes before what the ones above say, and the configuration lies under them all."""
    files = tune_files(tmp_path, tune={"model_type": "lora", "steps": 100}, prompt={"num_images": 2})
    write(files, tmp_path, ".", 'name = "thing"\nbranch = "flux1"\n')
    write(files, tmp_path, "dresses", 'name = "dress"\n[prompt]\naspect_ratio = "3:4"\n')
    write(files, tmp_path, "dresses/red", 'title = "The red one"\nsteps = 300\n')
    red = files.merged(str(tmp_path), "dresses/red")
    assert (red.title, red.name, red.branch, red.model_type, red.steps) == (
        "The red one",
        "dress",
        "flux1",
        "lora",
        300,
    )
    assert red.prompt == {"num_images": 2, "aspect_ratio": "3:4"}
    blue = files.merged(str(tmp_path), "dresses/blue")
    assert (blue.title, blue.name, blue.steps) == (None, "dress", 100)
    assert files.merged(str(tmp_path), "jane").name == "thing"


def test_no_file_at_all(tmp_path):
    """Without any tune.toml the configuration alone holds, and no disk is read."""
    assert tune_files(tmp_path).merged("/not/there", "jane/deep").model_type == "faceid"


def test_every_problem_is_told(tmp_path):
    """What is wrong in any of the files stops the folder, all of it at once, each with its file's path."""
    files = tune_files(tmp_path)
    write(files, tmp_path, ".", "nme = 1\n")
    write(files, tmp_path, "dresses", 'name = "dress"\n')
    write(files, tmp_path, "dresses/red", "steps = \n")
    with pytest.raises(FileProblem) as raised:
        files.merged(str(tmp_path), "dresses/red")
    told = "\n".join(raised.value.problems)
    assert "dresses/red/tune.toml" in told
    assert '"nme"' in told
    assert len(raised.value.problems) >= 2
    with pytest.raises(FileProblem, match="nme"):
        files.merged(str(tmp_path), "dresses")


def test_a_file_is_read_once_for_each_stamp(tmp_path):
    """What was read holds until the scan has seen the file change, and then what stands there now."""
    files = tune_files(tmp_path)
    root = str(tmp_path)
    write(files, tmp_path, "jane", 'name = "woman"\n')
    assert files.merged(root, "jane").name == "woman"
    (tmp_path / "jane" / "tune.toml").write_text('name = "man"\n')
    assert files.merged(root, "jane").name == "woman"
    files.saw(root, "jane", "2")
    assert files.merged(root, "jane").name == "man"
    files.saw(root, "jane", "")
    assert files.merged(root, "jane").name is None
    files.saw(root, "jane", "2")
    assert files.merged(root, "jane").name == "man"


@pytest.mark.parametrize("what", ["gone", "folder"])
def test_a_file_that_cannot_be_read(tmp_path, what):
    """A file that went, or is none, between the scan and the reading is a problem with its name, not an end."""
    files = tune_files(tmp_path)
    if what == "folder":
        (tmp_path / "jane" / "tune.toml").mkdir(parents=True)
    files.saw(str(tmp_path), "jane", "1")
    with pytest.raises(FileProblem, match=r"jane/tune\.toml cannot be read"):
        files.merged(str(tmp_path), "jane")


@pytest.mark.parametrize("data", [b"\xff\xfe", b"\x00", b'name = "\xff"\n'], ids=repr)
def test_a_file_that_is_no_text(tmp_path, data):
    """Bytes that are no TOML are a problem with the file's name."""
    files = tune_files(tmp_path)
    write(files, tmp_path, "jane", "")
    (tmp_path / "jane" / "tune.toml").write_bytes(data)
    with pytest.raises(FileProblem, match=r"tune\.toml"):
        files.merged(str(tmp_path), "jane")
