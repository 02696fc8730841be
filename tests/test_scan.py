"""The walk over real directories: what is seen, what is left alone, what cannot be read."""

import errno
import os
import string
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_sync.core.model import FolderSight, Look
from astria_sync.scan import EMPTY, Root, contents, is_left_alone, look
from astria_sync.sights import concerns_us, is_plain, is_utf8, stamp_of, suffix_of


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    return inbox


def root_of(inbox: Path, *ignore: str, output: Path | None = None) -> Root:
    return Root(path=str(inbox), outputs=(str(output or f"{inbox}-output"),), ignore=ignore)


def put(inbox: Path, *paths: str) -> None:
    for path in paths:
        file = inbox / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(path.encode(errors="surrogateescape"))


def seen(inbox: Path, *ignore: str, output: Path | None = None) -> Look:
    found = look(root_of(inbox, *ignore, output=output))
    assert found.complete
    assert found.problem in {"", EMPTY.format(root=found.root)}  # `Places.suspicious` says what that means
    return found


def folders(found: Look) -> dict[str, FolderSight]:
    assert len({folder.path for folder in found.folders}) == len(found.folders)
    return {folder.path: folder for folder in found.folders}


def pictures(found: Look) -> dict[str, int]:
    return {folder.path: folder.pictures for folder in found.folders if folder.pictures}


def prompts(found: Look) -> list[str]:
    return [prompt.path for folder in found.folders for prompt in folder.prompts]


def test_picture_folders_at_any_depth(inbox: Path) -> None:
    """Every directory is told, the root as ".", with the number of pictures directly in it, parents first."""
    put(
        inbox,
        "top.jpg",
        "jane/a.jpg",
        "jane/b.png",
        "dresses/red/1.webp",
        "dresses/red/2.jpeg",
        "a/b/c/d/e/x.jpg",
    )
    found = seen(inbox)
    assert pictures(found) == {".": 1, "jane": 2, "dresses/red": 2, "a/b/c/d/e": 1}
    assert [folder.path for folder in found.folders] == [
        *(".", "a", "a/b", "a/b/c", "a/b/c/d", "a/b/c/d/e", "dresses", "dresses/red", "jane")
    ]


def test_suffixes_in_any_case(inbox: Path) -> None:
    """A camera's capitals are pictures and prompts too; what only looks like one is not."""
    put(inbox, "a.JPG", "b.Jpeg", "c.PNG", "d.WebP", "e.gif", "f.jpg.bak", "jpg", "g.PROMPT", "h.prompts")
    found = seen(inbox)
    assert pictures(found) == {".": 4}
    assert prompts(found) == ["g.PROMPT"]


def test_captions_belong_to_their_picture(inbox: Path) -> None:
    """A text file counts with a folder just when a picture has its stem; `urls.txt` is addresses, never a caption."""
    put(inbox, "a.jpg", "a.txt", "b.txt", "c.PNG", "c.TXT", "urls.jpg", "urls.txt")
    found = contents(root_of(inbox), ".")
    assert found.pictures == ("a.jpg", "c.PNG", "urls.jpg")
    assert found.captions == ("a.txt", "c.TXT")
    assert found.has_urls
    before = seen(inbox).folders[0]
    assert before.has_urls
    put(inbox, "d.txt")
    (inbox / "b.txt").write_text("more")
    assert seen(inbox).folders[0].stamp == before.stamp
    (inbox / "a.txt").write_text("another caption")
    assert seen(inbox).folders[0].stamp != before.stamp


def test_addresses_alone_make_a_folder(inbox: Path) -> None:
    """A folder with nothing but `urls.txt` has a stamp and no pictures."""
    put(inbox, "jane/urls.txt")
    jane = folders(seen(inbox))["jane"]
    assert (jane.pictures, jane.has_urls, bool(jane.stamp)) == (0, True, True)


def test_what_concerns_no_tune_has_no_stamp(inbox: Path) -> None:
    """Prompts, settings and notes have stamps of their own and leave the folder's alone."""
    put(inbox, "jane/a.prompt", "jane/tune.toml", "jane/notes.txt", "jane/film.mov")
    jane = folders(seen(inbox))["jane"]
    assert jane.stamp == ""
    assert jane.tune_stamp
    assert [prompt.path for prompt in jane.prompts] == ["jane/a.prompt"]
    stamps = {jane.tune_stamp, jane.prompts[0].stamp}
    put(inbox, "jane/front.jpg")
    after = folders(seen(inbox))["jane"]
    assert {after.tune_stamp, after.prompts[0].stamp} == stamps
    assert after.stamp not in {"", *stamps}


def test_our_own_error_files_are_no_news(inbox: Path) -> None:
    """Writing an error beside a file changes nothing that is seen, also where a picture has the error's stem."""
    put(inbox, "jane/a.prompt", "jane/front.jpg", "jane/tune.jpg")
    before = seen(inbox)
    put(inbox, "jane/a.prompt.error.txt", "jane/tune.error.txt")
    assert seen(inbox) == before


@pytest.mark.parametrize(
    "name",
    [
        *(
            ".hidden.jpg",
            ".a.jpg.Xy12Zz",
            "a.jpg.part",
            "a.jpg.crdownload",
            "a.jpg.tmp",
            "a.JPG.PART",
            "a.jpg~",
        ),
        *(
            "~$a.jpg",
            "#a.jpg#",
            "4913",
            "Thumbs.db",
            "thumbs.DB",
            "desktop.ini",
            "a.jpg.filepart",
            "a.jpg.swp",
        ),
        *("a.partial", "a.download", "lost+found", "__MACOSX", "@eaDir", "$RECYCLE.BIN"),
    ],
)
def test_names_that_are_left_alone(inbox: Path, name: str) -> None:
    """What systems and programs leave while they work is neither a file nor a folder to us."""
    assert is_left_alone(name)
    put(inbox, f"{name}/a.jpg", f"{name}/a.prompt", "jane/x.jpg")
    put(inbox, *([] if name.startswith("4") else [f"jane/{name}"]))
    found = seen(inbox)
    assert set(folders(found)) == {".", "jane"}
    assert pictures(found) == {"jane": 1}


@pytest.mark.parametrize(
    "name", ["a.jpg", "part", "a.tmp.jpg", "tmp", "a~b.jpg", "5913", "my.temple", "#1.jpg"]
)
def test_names_that_are_meant(name: str) -> None:
    """A name that only resembles a temporary one is somebody's file."""
    assert not is_left_alone(name)


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (("drafts/",), {"jane/a.jpg", "jane/deep/b.jpg", "x.png"}),
        (("*.png",), {"jane/a.jpg", "jane/deep/b.jpg", "drafts/c.jpg", "jane/drafts/d.jpg"}),
        (("/drafts",), {"jane/a.jpg", "jane/deep/b.jpg", "jane/drafts/d.jpg", "x.png"}),
        (("jane/*",), {"drafts/c.jpg", "x.png"}),
        (("jane/*", "!jane/deep"), {"jane/deep/b.jpg", "drafts/c.jpg", "x.png"}),
        (("/*", "!/jane"), {"jane/a.jpg", "jane/deep/b.jpg", "jane/drafts/d.jpg"}),
        (("*.jpg", "!a.jpg"), {"jane/a.jpg", "x.png"}),
        (("jane/", "!jane/a.jpg"), {"drafts/c.jpg", "x.png"}),
        (("**/deep",), {"jane/a.jpg", "drafts/c.jpg", "jane/drafts/d.jpg", "x.png"}),
        (
            ("# a comment", "", "*.png "),
            {"jane/a.jpg", "jane/deep/b.jpg", "drafts/c.jpg", "jane/drafts/d.jpg"},
        ),
        (("a.jpg/",), {"jane/a.jpg", "jane/deep/b.jpg", "drafts/c.jpg", "jane/drafts/d.jpg", "x.png"}),
    ],
    ids=lambda value: " ".join(sorted(value)),
)
def test_ignore_patterns(inbox: Path, patterns: tuple[str, ...], left: set[str]) -> None:
    """The patterns mean what they mean in a .gitignore: folders, negation, anchors, and nothing inside what is ignored."""
    put(inbox, "jane/a.jpg", "jane/deep/b.jpg", "drafts/c.jpg", "jane/drafts/d.jpg", "x.png")
    root = root_of(inbox, *patterns)
    found = {
        name if folder.path == "." else f"{folder.path}/{name}"
        for folder in look(root).folders
        for name in contents(root, folder.path).pictures
    }
    assert found == left


def test_the_output_inside_the_root(inbox: Path) -> None:
    """Our own pictures are never taken for somebody's photos, nor by way of a link to them."""
    output = inbox / "generated"
    put(inbox, "jane/a.jpg", "generated/jane/a/a-1-1.jpg", ".hidden/x.jpg", "deeper/generated/b.jpg")
    (inbox / "results").symlink_to("generated")
    (inbox / "jane" / "mine").symlink_to(output / "jane")
    assert pictures(seen(inbox, output=output)) == {"jane": 1, "deeper/generated": 1}
    for scope in ("generated", "generated/jane", "results", "results/jane", "jane/mine"):
        assert look(root_of(inbox, output=output), scope).folders == ()


def test_an_output_inside_a_hidden_folder(inbox: Path) -> None:
    """A link to a hidden folder does not open the way to an output in it."""
    put(inbox, ".studio/out/a.jpg")
    (inbox / "studio").symlink_to(".studio")
    assert pictures(seen(inbox, output=inbox / ".studio" / "out")) == {}


def test_links_that_lead_out(inbox: Path, tmp_path: Path) -> None:
    """Neither files nor folders outside are reached by a link, also not one whose name begins like the root's."""
    put(tmp_path, "elsewhere/a.jpg", "inbox2/b.jpg")
    put(inbox, "jane/own.jpg")
    (inbox / "away").symlink_to(tmp_path / "elsewhere")
    (inbox / "twin").symlink_to("../inbox2")
    (inbox / "jane" / "a.jpg").symlink_to("../../elsewhere/a.jpg")
    assert pictures(seen(inbox)) == {"jane": 1}
    assert contents(root_of(inbox), "jane").pictures == ("own.jpg",)


def test_links_inside(inbox: Path) -> None:
    """A linked picture counts as one; a linked folder is walked just when the walk does not come to it anyway."""
    put(inbox, "jane/a.jpg", ".store/red/1.jpg", "drafts/x.jpg")
    (inbox / "jane" / "b.jpg").symlink_to("a.jpg")
    (inbox / "jane-again").symlink_to("jane")
    (inbox / "red").symlink_to(".store/red")
    (inbox / "final").symlink_to("drafts")
    assert pictures(seen(inbox, "/drafts/")) == {"jane": 2, "red": 1, "final": 1}
    assert pictures(seen(inbox)) == {"jane": 2, "red": 1, "drafts": 1}


def test_loops_and_broken_links(inbox: Path) -> None:
    """A link to itself, to a folder above, back and forth, or to nothing ends nowhere and is nothing."""
    put(inbox, "jane/a.jpg", ".store/b.jpg")
    (inbox / "jane" / "up").symlink_to("..")
    (inbox / "jane" / "here").symlink_to(".")
    (inbox / "self.jpg").symlink_to("self.jpg")
    (inbox / "gone.jpg").symlink_to("not-there.jpg")
    (inbox / "one").symlink_to("two")
    (inbox / "two").symlink_to("one")
    (inbox / "store").symlink_to(".store")
    (inbox / ".store" / "again").symlink_to("../.store")
    found = seen(inbox)
    assert pictures(found) == {"jane": 1, "store": 1}
    assert not found.unreadable


def test_a_root_that_is_a_link(inbox: Path, tmp_path: Path) -> None:
    """A root may be reached by a link; what leads out is judged from where it really is."""
    put(inbox, "jane/a.jpg")
    (inbox / "jane" / "b.jpg").symlink_to(inbox / "jane" / "a.jpg")
    (tmp_path / "door").symlink_to(inbox)
    assert pictures(look(root_of(tmp_path / "door"))) == {"jane": 2}


def test_what_is_no_file(inbox: Path) -> None:
    """A pipe, and a folder with a picture's name, are no pictures, and nothing waits for them."""
    put(inbox, "a.jpg", "folder.jpg/b.jpg")
    os.mkfifo(inbox / "x.jpg")
    os.mkfifo(inbox / "x.prompt")
    found = seen(inbox)
    assert pictures(found) == {".": 1, "folder.jpg": 1}
    assert prompts(found) == []
    assert contents(root_of(inbox), ".").pictures == ("a.jpg",)


def test_names_that_are_no_utf8(inbox: Path) -> None:
    """What could never be named in a request or a log is told of, and the rest of its folder is used without it."""
    put(inbox, "jane/a.jpg", "jane/\udcff.jpg", "\udcfe/b.jpg", "jane/\udcff.txt")
    found = seen(inbox)
    assert pictures(found) == {"jane": 1}
    assert set(found.unreadable) == {"jane/\\udcff.jpg", "jane/\\udcff.txt", "\\udcfe"}
    assert all("rename" in why for why in found.unreadable.values())
    inside = contents(root_of(inbox), "jane")
    assert inside.pictures == ("a.jpg",)
    assert inside.stamp == folders(found)["jane"].stamp


def test_names_that_are_no_utf8_and_do_not_matter(inbox: Path) -> None:
    """Nobody is told to rename what is left alone anyway."""
    put(inbox, "a.jpg", ".\udcff.jpg", "\udcff.mp3", "\udcff.jpg.part", "drafts-\udcff/a.jpg")
    assert not seen(inbox, "drafts-*").unreadable


@pytest.mark.parametrize("what", ["missing", "file"])
def test_a_root_that_is_not_there(tmp_path: Path, what: str) -> None:
    """A root that is missing, or a file, is a look that proves nothing: nothing may be taken for deleted."""
    inbox = tmp_path / "inbox"
    if what == "file":
        inbox.write_text("x")
    found = look(root_of(inbox))
    assert not found.complete
    assert found.folders == ()
    assert str(inbox) in found.problem


def refuse(monkeypatch: pytest.MonkeyPatch, where: Path, code: int = errno.EACCES) -> None:
    """Let the system refuse to list one directory, as it would to others than root."""
    real = os.scandir

    def scandir(path):
        place = os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else os.fspath(path)
        if place == os.path.realpath(where):
            raise OSError(code, os.strerror(code), place)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_an_unreadable_root(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A root that cannot be listed is not an empty one."""
    put(inbox, "jane/a.jpg")
    refuse(monkeypatch, inbox)
    found = look(root_of(inbox))
    assert not found.complete
    assert found.folders == ()
    assert "Permission denied" in found.problem


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_an_unreadable_folder(inbox: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A folder that cannot be listed is named, not told as empty, and the others are seen."""
    put(inbox, "jane/a.jpg", "jane/deep/b.jpg", "red/c.jpg")
    refuse(monkeypatch, inbox / "jane", code)
    found = seen(inbox)
    assert set(folders(found)) == {".", "red"}
    assert found.unreadable == {"jane": os.strerror(code)}
    with pytest.raises(OSError, match=os.strerror(code)):
        contents(root_of(inbox), "jane")


class Entry:
    """A directory entry whose file the system does not show."""

    def __init__(self, entry: "os.DirEntry[str]", code: int) -> None:
        self.name, self.path = entry.name, entry.path
        self.is_file, self.is_dir, self.is_symlink = entry.is_file, entry.is_dir, entry.is_symlink
        self.code = code

    def stat(self) -> os.stat_result:
        raise OSError(self.code, os.strerror(self.code), self.path)


def hide_files(monkeypatch: pytest.MonkeyPatch, name: str, code: int) -> None:
    """List `name`, and let looking at it fail: it vanished in between, or its folder may be listed but not entered."""
    real = os.scandir

    class Listing:
        def __init__(self, path) -> None:
            self.listing = real(path)

        def __enter__(self):
            return (Entry(entry, code) if entry.name == name else entry for entry in self.listing)

        def __exit__(self, *_) -> None:
            self.listing.close()

    monkeypatch.setattr(os, "scandir", Listing)


def test_a_file_that_vanishes(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that goes between the listing and the look was never there."""
    put(inbox, "jane/a.jpg", "jane/b.jpg")
    hide_files(monkeypatch, "b.jpg", errno.ENOENT)
    found = seen(inbox)
    assert pictures(found) == {"jane": 1}
    assert not found.unreadable
    assert contents(root_of(inbox), "jane").pictures == ("a.jpg",)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
def test_a_file_that_is_not_shown(inbox: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A folder whose files cannot be looked at is unreadable: its files are not taken for deleted."""
    put(inbox, "jane/a.jpg", "jane/b.jpg")
    hide_files(monkeypatch, "b.jpg", code)
    found = seen(inbox)
    assert set(folders(found)) == {"."}
    assert found.unreadable == {"jane": os.strerror(code)}
    with pytest.raises(OSError, match=os.strerror(code)):
        contents(root_of(inbox), "jane")


def test_a_folder_that_vanishes(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that goes during the walk is left to the next look, and the walk goes on."""
    put(inbox, "jane/a.jpg", "red/c.jpg")
    refuse(monkeypatch, inbox / "jane", errno.ENOENT)
    found = seen(inbox)
    assert pictures(found) == {"red": 1}
    assert set(found.unreadable) == {"jane"}


def test_very_deep_folders(inbox: Path) -> None:
    """Folders nested as deep as a path can be are walked, or told as unreadable, without an end of the program."""
    inside = os.getcwd()
    try:
        os.chdir(inbox)
        for _ in range(2200):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(inside)
    found = seen(inbox)
    assert len(found.folders) > 1000
    assert set(found.unreadable.values()) == {os.strerror(errno.ENAMETOOLONG)}
    remove_deep(inbox)


def remove_deep(top: Path) -> None:
    """Lift the lower folders out one by one, which takes no recursion."""
    while (top / "d" / "d").exists():
        (top / "d" / "d").rename(top / "next")
        (top / "d").rmdir()
        (top / "next").rename(top / "d")


@pytest.mark.parametrize(
    ("scope", "recursive", "paths"),
    [
        (".", False, ["."]),
        ("jane", True, ["jane", "jane/deep"]),
        ("jane", False, ["jane"]),
        ("jane/deep", True, ["jane/deep"]),
        ("not-there", True, []),
        ("jane/a.jpg", True, []),
        ("jane/a.jpg/x", True, []),
        (".git", True, []),
        ("drafts", True, []),
        ("drafts/jane", True, []),
    ],
)
def test_a_part_of_the_root(inbox: Path, scope: str, recursive: bool, paths: list[str]) -> None:
    """A look at one folder shows it by the root's rules, and nothing of what a full walk would leave alone."""
    put(inbox, "jane/a.jpg", "jane/deep/b.jpg", ".git/c.jpg", "drafts/jane/d.jpg")
    root = root_of(inbox, "drafts/")
    found = look(root, scope, recursive=recursive)
    assert found.complete
    assert (found.root, found.scope, found.recursive) == (str(inbox), scope, recursive)
    everything = folders(look(root))
    assert list(found.folders) == [everything[path] for path in paths]


def test_a_part_that_cannot_be_reached(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose parent may not be entered is not a folder that is gone."""
    put(inbox, "jane/deep/a.jpg")
    real = os.stat

    def denied(path, *args, **kwargs):
        if os.fspath(path) == str(inbox / "jane" / "deep"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", denied)
    assert not look(root_of(inbox), "jane/deep").complete


def stamp(inbox: Path) -> str:
    return folders(seen(inbox))["jane"].stamp


def test_reading_is_no_change(inbox: Path) -> None:
    """Neither reading a file, nor listing, nor a file of no concern beside it changes a stamp."""
    put(inbox, "jane/a.jpg", "jane/b.jpg")
    before = stamp(inbox)
    (inbox / "jane" / "a.jpg").read_bytes()
    put(inbox, "jane/.hidden.jpg", "jane/c.jpg.part", "jane/deep/d.jpg", "jane/notes.md")
    assert stamp(inbox) == before


def set_back(file: Path, info: os.stat_result) -> None:
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))


def test_every_change_changes_the_stamp(inbox: Path) -> None:
    """Size, time, another file under the name, another name, one more, one less: each shows."""
    put(inbox, "jane/a.jpg", "jane/b.jpg")
    file = inbox / "jane" / "a.jpg"
    stamps = [stamp(inbox)]
    info = file.stat()
    file.write_bytes(b"longer than before")
    set_back(file, info)
    stamps.append(stamp(inbox))
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns + 1))
    stamps.append(stamp(inbox))
    twin = inbox / "twin"
    twin.write_bytes(file.read_bytes())
    set_back(twin, file.stat())
    twin.rename(file)
    stamps.append(stamp(inbox))
    file.rename(file.with_name("c.jpg"))
    stamps.append(stamp(inbox))
    put(inbox, "jane/d.jpg")
    stamps.append(stamp(inbox))
    (inbox / "jane" / "b.jpg").unlink()
    stamps.append(stamp(inbox))
    assert len(set(stamps)) == len(stamps)


@pytest.mark.parametrize("what", ["st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"])
def test_each_sign_counts_by_itself(what: str) -> None:
    """A stamp changes with each of the four signs alone, and neither with the device nor with the time of reading."""
    signs = {"st_ino": 1, "st_size": 2, "st_mtime_ns": 3, "st_ctime_ns": 4, "st_dev": 5, "st_atime_ns": 6}

    def stamp_with(**changed: int) -> str:
        info: Any = SimpleNamespace(**signs | changed)
        return stamp_of([("a.jpg", info)])

    assert stamp_with(**{what: 9}) != stamp_with() == stamp_with(st_dev=9, st_atime_ns=9)


def test_a_moved_folder_keeps_its_stamp(inbox: Path) -> None:
    """A folder that is renamed holds the same files: neither stamp nor inode changes."""
    put(inbox, "jane/a.jpg")
    before = folders(seen(inbox))["jane"]
    (inbox / "jane").rename(inbox / "joan")
    after = folders(seen(inbox))["joan"]
    assert (after.stamp, after.inode) == (before.stamp, before.inode)


FILES = st.sampled_from(
    [
        "a.jpg",
        "a.txt",
        "b.PNG",
        "b.txt",
        "urls.txt",
        "c.prompt",
        "tune.toml",
        ".h.jpg",
        "d.jpg.part",
        "e.md",
        "f.webp",
    ]
)
FOLDERS = st.sampled_from([".", "jane", "jane/deep", ".hid", "drafts", "drafts/x", "é"])
LINKS = st.tuples(
    FOLDERS,
    st.sampled_from(string.ascii_lowercase[:3]),
    st.sampled_from(["..", ".", "../.hid", "drafts", "nowhere"]),
)


@settings(print_blob=True, deadline=None, max_examples=60)
@given(st.sets(st.tuples(FOLDERS, FILES), max_size=12), st.sets(LINKS, max_size=4), st.booleans())
def test_every_way_of_looking_agrees(
    tree: set[tuple[str, str]], links: set[tuple[str, str, str]], ignore: bool
) -> None:
    """A full walk, a look at each folder alone and its contents tell the same stamps and the same pictures."""
    with tempfile.TemporaryDirectory() as place:
        inbox = Path(place, "inbox")
        inbox.mkdir()
        for folder, name in tree:
            put(inbox, f"{folder}/{name}")
        for folder, name, target in links:
            if (inbox / folder).is_dir() and not (inbox / folder / name).is_symlink():
                (inbox / folder / name).symlink_to(target)
        root = root_of(inbox, *(["drafts"] if ignore else []))
        found = look(root)
        assert found.complete
        assert not found.unreadable
        for folder in found.folders:
            inside = contents(root, folder.path)
            assert inside.stamp == folder.stamp
            assert len(inside.pictures) == folder.pictures
            assert inside.has_urls == folder.has_urls
            assert [Path(prompt.path).name for prompt in folder.prompts] == list(inside.prompts)
            assert look(root, folder.path, recursive=False).folders == (folder,)
        walked = {folder.path for folder in found.folders}
        for folder in ("jane", "drafts", ".hid", "jane/deep"):
            if folder not in walked:
                assert look(root, folder).folders == ()


@pytest.mark.parametrize(
    "name", ["a.jpg", "a.b.JPG", "a.", "a", "a b.Prompt", "ä.jpeg", "a.jpg.part", "x..png"]
)
def test_a_suffix_is_what_the_system_says(name: str) -> None:
    """The quick way to a file's suffix gives what os.path gives, for every name that a walk does not leave alone."""
    assert suffix_of(name) == os.path.splitext(name)[1].lower()


_WHOLE = st.text(st.characters(codec=None), min_size=1, max_size=8)
_ENDS = st.sampled_from(["", ".jpg", ".JPG", ".Png", ".webp", ".prompt", ".txt", ".part", "~", "#"])


@given(st.sampled_from(["", ".", "~$", "~", "#", "Thumbs"]), _WHOLE | st.just(""), _ENDS)
def test_the_short_way_is_no_other_way(head: str, middle: str, end: str) -> None:
    """What is taken for plainly ours at the first glance concerns us, is not left alone, and can be written down."""
    name = head + middle + end
    if name and is_plain(name):
        assert concerns_us(name)
        assert not is_left_alone(name)
        assert is_utf8(name)


@pytest.mark.parametrize("name", ["a.jpg", "000.JPEG", "b c.png", "x.y.webp", "look.prompt", "front.txt"])
def test_the_short_way_is_usual(name: str) -> None:
    """Names as people write them go the short way."""
    assert is_plain(name)
