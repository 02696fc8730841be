"""Files that went, came back under another name, or changed places: an order stays with what it was made for."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from astria_sync.core.lifecycle import PromptState, TuneState
from astria_sync.core.model import FileSight, FolderSight, Source
from astria_sync.journal import Journal, open_journal
from astria_sync.moves import drop_unsent, has_orders, is_heard_of, is_move, lost_sources, other_at_this_place

AT = {"created_at": 1.0, "updated_at": 1.0}
UNSENT = {*("settling", "queued", "failed"), *("waiting", "held")}


@pytest.fixture
def journal() -> Iterator[Journal]:
    one = open_journal(None, now=1.0)
    yield one
    one.close()


def source(
    journal: Journal, path: str = "a.prompt", kind: str = "prompt", root: str = "/inbox", **values: Any
) -> Source:
    return journal.source(journal.add("sources", kind=kind, root=root, path=path, **AT, **values))


def test_orders(journal):
    """A folder has orders if there is a tune of it, a prompt file if there is a prompt."""
    folder, file = source(journal, "jane", "folder"), source(journal)
    assert not has_orders(journal, folder)
    assert not has_orders(journal, file)
    journal.add("tunes", source_id=folder.id, state="ready", **AT)
    journal.add("prompts", source_id=file.id, state="failed", **AT)
    assert has_orders(journal, folder)
    assert has_orders(journal, file)


@pytest.mark.parametrize("kind", ["folder", "prompt"])
def test_an_order_that_was_given_up_keeps_its_file(journal, kind):
    """What may yet turn up at Astria needs to know where it belongs."""
    of = source(journal, "x", kind)
    assert not is_heard_of(journal, of)
    facts = {"kind": "tune" if kind == "folder" else "prompt", "workspace": "", "columns": "{}", "at": 1.0}
    journal.add("given_up", source_id=of.id, **facts)
    assert has_orders(journal, of)
    assert is_heard_of(journal, of)


@pytest.mark.parametrize("state", sorted(PromptState))
@pytest.mark.parametrize("armed", [None, 2.0], ids=["unarmed", "armed"])
def test_prompts_that_go_with_their_file(journal, state, armed):
    """Only what never went out goes: anything that was armed may be at Astria, and has been paid for."""
    file, other = source(journal), source(journal, "b.prompt")
    journal.add("prompts", source_id=file.id, state=state, armed_at=armed, **AT)
    journal.add("prompts", source_id=other.id, state="queued", **AT)
    drop_unsent(journal, file)
    assert bool(journal.prompts("source_id = ?", [file.id])) == (armed is not None or state not in UNSENT)
    assert len(journal.prompts("source_id = ?", [other.id])) == 1


@pytest.mark.parametrize("state", sorted(TuneState))
@pytest.mark.parametrize("armed", [None, 2.0], ids=["unarmed", "armed"])
def test_tunes_that_go_with_their_folder(journal, state, armed):
    """The same for a folder's tune; one that settles again, after Astria was searched for it in vain, goes too."""
    folder = source(journal, "jane", "folder")
    journal.add("tunes", source_id=folder.id, state=state, armed_at=armed, **AT)
    drop_unsent(journal, folder)
    kept = (armed is not None and state != "settling") or state not in UNSENT
    assert bool(journal.tunes()) == kept


def test_lost_sources(journal):
    """Lost is what is gone, or in a root that is watched no longer, with this very content and of this kind."""
    gone = source(journal, "gone.prompt", content="c", missing_since=5.0)
    unwatched = source(journal, "x.prompt", root="/old", content="c")
    source(journal, "there.prompt", content="c")
    source(journal, "other.prompt", content="d", missing_since=5.0)
    source(journal, "jane", "folder", content="c", missing_since=5.0)
    found = lost_sources(journal, "prompt", "c", watched=["/inbox", "/second"])
    assert {one.id for one in found} == {gone.id, unwatched.id}
    assert {one.id for one in lost_sources(journal, "prompt", "c", watched=["/inbox", "/old"])} == {gone.id}
    assert len(lost_sources(journal, "prompt", "c", watched=[])) == 3


def test_nothing_is_like_something_unread(journal):
    """What was never read has no content to be recognised by."""
    source(journal, "gone.prompt", missing_since=5.0)
    assert lost_sources(journal, "prompt", "", watched=["/inbox"]) == []


@pytest.mark.parametrize(
    ("missing_since", "inode", "mtime_ns", "moved"),
    [
        (None, 8, 80, True),
        (100.0, 8, 80, True),
        (99.9, 8, 80, False),
        (0.0, 7, 80, True),
        (0.0, 8, 70, True),
        (0.0, 8, 0, False),
    ],
)
def test_a_move_or_a_new_file(journal, missing_since, inode, mtime_ns, moved):
    """Gone and seen together is a move; later the inode or the time of modification must be the same."""
    old = source(journal, inode=7, mtime_ns=70, missing_since=missing_since)
    assert is_move(old, recent=100.0, inode=inode, mtime_ns=mtime_ns) is moved


def test_no_time_is_no_sign(journal):
    """Two folders, whose times are not looked at, are not the same for that."""
    old = source(journal, inode=7, mtime_ns=0, missing_since=0.0)
    assert not is_move(old, recent=100.0, inode=8, mtime_ns=0)


# Changing places


class Inbox:
    """Prompt files and folders on a real disk, with the rows that a scan made of them."""

    def __init__(self, journal: Journal, root: Path) -> None:
        self.journal, self.root = journal, root
        self.seen: dict[int, str] = {}

    def write(self, name: str, text: str) -> FileSight:
        (self.root / name).write_text(text)
        return self.look(name)

    def look(self, name: str) -> FileSight:
        info = (self.root / name).stat()
        return FileSight(path=name, stamp=f"{info.st_ino}", inode=info.st_ino, mtime_ns=info.st_mtime_ns)

    def know(self, name: str, content: str, **values: Any) -> Source:
        """A row of a file as it is now; no content: it was seen and not read yet."""
        sight = self.look(name)
        known = {"inode": sight.inode, "mtime_ns": sight.mtime_ns, "content": content}
        return source(
            self.journal, name, root=str(self.root), stamp=sight.stamp if content else "", **known | values
        )

    def other(self, here: Source, content: str = "") -> Source | None:
        """Who has changed places with `here`, as what lies there now shows."""
        sight = self.look(here.path)
        return other_at_this_place(self.journal, here, sight, content, lambda one: self.seen.get(one.id, ""))


@pytest.fixture
def inbox(journal: Journal, tmp_path: Path) -> Inbox:
    return Inbox(journal, tmp_path)


def swap(root: Path, one: str, other: str) -> None:
    (root / one).rename(root / "between")
    (root / other).rename(root / one)
    (root / "between").rename(root / other)


def test_two_files_that_change_places(inbox):
    """After a swap each path is known to hold the other one's file."""
    for name in ("a.prompt", "b.prompt"):
        inbox.write(name, name)
    a, b = inbox.know("a.prompt", "A"), inbox.know("b.prompt", "B")
    swap(inbox.root, "a.prompt", "b.prompt")
    assert inbox.other(a, "B") == b
    assert inbox.other(b, "A") == a


def test_a_file_renamed_over_another(inbox):
    """A file that replaces another one by a rename is still itself."""
    for name in ("a.prompt", "b.prompt"):
        inbox.write(name, name)
    a, b = inbox.know("a.prompt", "A"), inbox.know("b.prompt", "B")
    (inbox.root / "b.prompt").rename(inbox.root / "a.prompt")
    assert inbox.other(a, "B") == b


def save_in_place(file: Path) -> None:
    file.write_text("edited")


def save_by_rename(file: Path) -> None:
    file.with_name(".new").write_text("edited")
    file.with_name(".new").rename(file)


@pytest.mark.parametrize("save", [save_in_place, save_by_rename])
def test_an_edit_is_no_move(inbox, save: Callable[[Path], None]):
    """However an editor saves, the path holds its own file."""
    inbox.write("a.prompt", "old")
    inbox.write("b.prompt", "other")
    a = inbox.know("a.prompt", "A")
    inbox.know("b.prompt", "B")
    save(inbox.root / "a.prompt")
    assert inbox.other(a, "A2") is None


def test_a_file_renamed_away_and_one_in_its_place(inbox):
    """If the old file lies under a new name that was not read yet, that is where the order belongs."""
    inbox.write("a.prompt", "old")
    a = inbox.know("a.prompt", "A")
    (inbox.root / "a.prompt").rename(inbox.root / "c.prompt")
    inbox.write("a.prompt", "new")
    c = inbox.know("c.prompt", "")
    assert inbox.other(a, "A2") == c


def test_hard_links_are_two_files(inbox):
    """A second name of the same file does not take the first one's place: it is there still."""
    inbox.write("a.prompt", "text")
    inbox.write("b.prompt", "other")
    a, b = inbox.know("a.prompt", "A"), inbox.know("b.prompt", "B")
    (inbox.root / "b.prompt").unlink()
    os.link(inbox.root / "a.prompt", inbox.root / "b.prompt")
    assert inbox.other(b, "A") is None
    assert inbox.other(a, "A") is None


def test_an_inode_used_again(inbox):
    """A new file that got an old one's inode is not the old one: time and content tell."""
    inbox.write("a.prompt", "text")
    a = inbox.know("a.prompt", "A", inode=1)
    sight = inbox.look("a.prompt")
    source(inbox.journal, "gone.prompt", root=str(inbox.root), inode=sight.inode, mtime_ns=1, content="B")
    assert inbox.other(a, "B") is None
    source(
        inbox.journal,
        "gone2.prompt",
        root=str(inbox.root),
        inode=sight.inode,
        mtime_ns=sight.mtime_ns,
        content="C",
    )
    assert inbox.other(a, "B") is None


def test_something_new_where_nothing_was(inbox):
    """A new path that holds a file known elsewhere, which is still looked for there, has it; one that is gone is joined later."""
    inbox.write("a.prompt", "text")
    a = inbox.know("a.prompt", "A")
    (inbox.root / "a.prompt").rename(inbox.root / "new.prompt")
    new = inbox.know("new.prompt", "")
    assert inbox.other(new, "A") == a
    inbox.journal.change("sources", a.id, missing_since=5.0)
    assert inbox.other(inbox.journal.source(new.id), "A") is None


def folder_sight(root: Path, name: str, stamp: str) -> FolderSight:
    inode = (root / name).stat().st_ino
    return FolderSight(path=name, inode=inode, stamp=stamp, pictures=1, has_urls=False, tune_stamp="")


def test_two_folders_that_change_places(journal, tmp_path):
    """Folders are known by inode and by the stamp of what is in them."""
    rows = {}
    for name, stamp in (("jane", "J"), ("joan", "K")):
        (tmp_path / name).mkdir()
        inode = (tmp_path / name).stat().st_ino
        rows[name] = source(
            journal, name, "folder", root=str(tmp_path), inode=inode, content=name, stamp=f"{stamp}|toml"
        )
    swap(tmp_path, "jane", "joan")
    sight = folder_sight(tmp_path, "jane", "K")
    assert other_at_this_place(journal, rows["jane"], sight, "", lambda _: "") == rows["joan"]
    changed = folder_sight(tmp_path, "jane", "other pictures")
    assert other_at_this_place(journal, rows["jane"], changed, "", lambda _: "") is None
    empty = folder_sight(tmp_path, "jane", "")
    assert other_at_this_place(journal, rows["jane"], empty, "", lambda _: "") is None


def test_a_folder_renamed_away_and_one_in_its_place(journal, tmp_path):
    """What settles under a new name with the old inode and the old pictures is the folder that was here."""
    (tmp_path / "jane").mkdir()
    inode = (tmp_path / "jane").stat().st_ino
    jane = source(journal, "jane", "folder", root=str(tmp_path), inode=inode, content="J", stamp="S|")
    (tmp_path / "jane").rename(tmp_path / "joan")
    (tmp_path / "jane").mkdir()
    joan = source(journal, "joan", "folder", root=str(tmp_path), inode=inode)
    sight = folder_sight(tmp_path, "jane", "T")
    assert other_at_this_place(journal, jane, sight, "", lambda _: "S|") == joan
    assert other_at_this_place(journal, jane, sight, "", lambda _: "U|") is None
