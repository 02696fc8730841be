"""Links out of the watched folders and of the output are neither read nor written through."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from astria_sync import backup, scan
from astria_sync.api import Api
from astria_sync.core.naming import temporary_name
from astria_sync.core.retry import NoAnswer
from astria_sync.core.work import CreateTune, Download, NotSaved, Saved, Upload, WriteSidecar
from astria_sync.disk import Disk, leads_out
from astria_sync.download import Downloader
from astria_sync.errors import StateError
from astria_sync.lock import StateLock
from astria_sync.secrets import Token
from astria_sync.tasks import Tasks
from tests.security.hostile import TOKEN, Says

SECRET = b"nobody's business"


@pytest.fixture
def elsewhere(tmp_path):
    """A folder that is no part of the studio, with things that look as if they were."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "victim").write_bytes(SECRET)
    return folder


def untouched(elsewhere: Path, *names: str) -> bool:
    """Whether nothing came to lie there, and the victim is as it was."""
    return (
        sorted(path.name for path in elsewhere.iterdir()) == sorted(["victim", *names])
        and (elsewhere / "victim").read_bytes() == SECRET
    )


# Reading


def test_links_that_lead_out_are_not_read(studio, elsewhere):
    """A prompt, a folder, its pictures, captions, addresses and settings: what lies elsewhere is not there."""
    (elsewhere / "p.prompt").write_text("from elsewhere")
    (elsewhere / "jane").mkdir()
    (elsewhere / "jane" / "1.jpg").write_bytes(studio.photo())
    (elsewhere / "urls.txt").write_text("https://elsewhere.example/a.jpg\n")
    (elsewhere / "tune.toml").write_text('title = "from elsewhere"')
    studio.folder("mary")
    for link, target in (
        ("p.prompt", "p.prompt"),
        ("sub/deep.prompt", "p.prompt"),
        ("jane", "jane"),
        ("up", "."),
        ("mary/2.jpg", "jane/1.jpg"),
        ("mary/1.txt", "victim"),
        ("mary/urls.txt", "urls.txt"),
        ("mary/tune.toml", "tune.toml"),
        ("only/urls.txt", "urls.txt"),
        ("only2/tune.toml", "tune.toml"),
    ):
        (studio.inbox / link).parent.mkdir(exist_ok=True)
        (studio.inbox / link).symlink_to(elsewhere / target)
    studio.run_once()
    (sent,) = studio.posts()
    assert sent.field("tune[title]") == "mary"
    assert [file.filename for file in sent.files] == ["1.jpg"]
    assert studio.states() == {"mary": "ready"}


def test_links_inside_and_hard_links_are_read(studio, elsewhere):
    """A file that lies in the watched folder under another name too is a file like any other."""
    (elsewhere / "p.prompt").write_text("a hard link")
    os.link(elsewhere / "p.prompt", studio.inbox / "hard.prompt")
    studio.prompt("one.prompt", "words")
    (studio.inbox / "two.prompt").symlink_to("one.prompt")
    studio.run_once()
    assert studio.states() == {"hard.prompt": "done", "one.prompt": "done", "two.prompt": "done"}


@pytest.mark.parametrize("how", ["a link", "a link in a folder's place", "by its name", "by its whole path"])
def test_an_input_from_elsewhere(studio, elsewhere, how):
    """A file that goes along is inside the watched folder, or the prompt is refused before anything is sent."""
    (elsewhere / "pose.jpg").write_bytes(studio.photo())
    written = "pose.jpg"
    if how == "a link":
        (studio.inbox / "pose.jpg").symlink_to(elsewhere / "pose.jpg")
    elif how == "a link in a folder's place":
        (studio.inbox / "sub").symlink_to(elsewhere)
        written = "sub/pose.jpg"
    else:
        written = str(elsewhere / "pose.jpg") if "whole" in how else "../../elsewhere/pose.jpg"
    studio.prompt("p.prompt", "words", f"input_image: {written}")
    studio.run_once()
    assert studio.made() == (0, 0)
    assert "outside" in studio.error("p.prompt")


def upload(path: Path, root: Path) -> Upload:
    return Upload(field="prompt[input_image]", path=str(path), name="pose.jpg", roots=(str(root),))


@pytest.fixture
def send(studio):
    """Send one file to the stand-in; gives what came of it."""
    api = Api(studio.base_url, lambda: Token(TOKEN, source="x"), timeout=5)
    yield lambda one: api.send("POST", "/tunes", [("tune[title]", "x")], [one])
    api.close()


@pytest.mark.parametrize("what", ["the file", "its folder", "a pipe"])
def test_an_input_that_is_a_link_by_the_time_it_is_sent(studio, elsewhere, send, what):
    """What was judged good may be another thing minutes later; then nothing is sent, and it is judged anew."""
    (elsewhere / "pose.jpg").write_bytes(SECRET)
    place = studio.inbox / "sub" / "pose.jpg"
    if what == "its folder":
        place.parent.symlink_to(elsewhere)
    else:
        place.parent.mkdir()
        os.mkfifo(place) if what == "a pipe" else place.symlink_to(elsewhere / "pose.jpg")
    result = send(upload(place, studio.inbox))
    assert isinstance(result, NoAnswer)
    assert (result.sent, result.changed) == (False, True)
    assert not studio.posts()


def test_an_input_that_is_exchanged_between_look_and_sending(studio, elsewhere, monkeypatch):
    """In the whole program: it is judged anew, and told."""
    place = studio.picture("pose.jpg")
    studio.prompt("p.prompt", "words", "input_image: pose.jpg")
    right = Tasks._create_prompt

    def then_exchanged(self, piece):
        place.unlink()
        place.symlink_to(elsewhere / "victim")
        return right(self, piece)

    monkeypatch.setattr(Tasks, "_create_prompt", then_exchanged)
    studio.run_once()
    assert not studio.posts("/prompts$")
    assert "outside" in studio.error("p.prompt")


def test_a_watched_folder_that_is_reached_by_a_link(studio, elsewhere, send):
    """The root itself may be a link, or lie behind one."""
    (elsewhere / "pose.jpg").write_bytes(SECRET)
    (studio.home / "link").symlink_to(elsewhere)
    send(upload(studio.home / "link" / "pose.jpg", studio.home / "link"))
    assert len(studio.posts()) == 1


def test_a_picture_that_is_a_link_by_the_time_it_is_sent(studio, elsewhere, monkeypatch):
    """Between the last look at a folder and its sending a picture is exchanged for a link."""
    folder, right = studio.folder("jane"), scan.contents
    root = scan.Root(path=str(studio.inbox), outputs=())
    stamp = right(root, "jane").stamp

    def then_exchanged(*words):
        found = right(*words)
        (folder / "1.jpg").unlink()
        (folder / "1.jpg").symlink_to(elsewhere / "victim")
        return found

    monkeypatch.setattr(scan, "contents", then_exchanged)
    api = Api(studio.base_url, lambda: Token(studio.token, source="x"), timeout=5)
    downloader = Downloader(timeout=5, connections=1, plain_http=True)
    tasks = Tasks(api=api, downloader=downloader, roots={root.path: root})
    result = tasks(CreateTune(row_id=1, workspace="", root=root.path, path="jane", stamp=stamp, fields=()))
    api.close()
    downloader.close()
    assert isinstance(result, NoAnswer)
    assert (result.sent, result.changed) == (False, True)
    assert not studio.posts()


# Writing


def test_an_output_that_is_a_link(studio, elsewhere):
    """The configured output may be one, or lie behind one: that was somebody's wish."""
    (elsewhere / "real").mkdir()
    studio.output.symlink_to(elsewhere / "real")
    studio.prompt("p.prompt", "words")
    studio.run_once()
    assert len(studio.files(elsewhere / "real")) == 2
    studio.watches[0]["output"] = str(studio.output / "below")
    studio.prompt("q.prompt", "words")
    studio.run_once()
    assert len(studio.files(elsewhere / "real" / "below")) == 2


def test_a_sidecar_by_a_link_out_of_the_output(tmp_path, elsewhere):
    """Should a link come to lie there after the pictures were fetched, the sidecar is not written through it either."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "p").symlink_to(elsewhere)
    piece = WriteSidecar(
        prompt_id=1, path=tmp_path / "out" / "p" / "p-1.json", output=tmp_path / "out", data={}
    )
    downloader = Downloader(timeout=5, connections=1, plain_http=True)
    with pytest.raises(OSError, match="by a link"):
        Tasks(api=None, downloader=downloader, roots={})(piece)
    downloader.close()
    assert untouched(elsewhere)


def test_a_link_inside_the_output(studio):
    """A folder of the output may be kept elsewhere in it."""
    (studio.output / "kept").mkdir(parents=True)
    (studio.output / "p").symlink_to("kept")
    studio.prompt("p.prompt", "words")
    studio.run_once()
    assert len(studio.files(studio.output / "kept")) == 2


@pytest.mark.parametrize("where", ["p", "jane"])
def test_a_link_out_of_the_output(studio, elsewhere, where):
    """Nothing is written through it; it is said, and when the link is gone the pictures come."""
    studio.output.mkdir()
    (studio.output / where).symlink_to(elsewhere)
    path = "p.prompt" if where == "p" else "jane/deep/p.prompt"
    studio.prompt(path, "words")
    with studio.daemon() as daemon:
        (row,) = daemon.until(lambda: daemon.journal.prompts("reason LIKE '%by a link%'"))
        assert str(studio.output) in row.reason
        assert untouched(elsewhere)
        (studio.output / where).unlink()
        assert daemon.run(10)
    assert studio.states() == {path: "done"}
    assert studio.check_pictures() == 1
    assert untouched(elsewhere)


@pytest.fixture
def fetch(astria, tmp_path):
    """Fetch one picture into `out`, under names that are known beforehand."""
    downloader = Downloader(timeout=5, connections=1, plain_http=True)
    out = tmp_path / "out"
    out.mkdir()

    def go(etag=""):
        url = f"{astria.url}/pictures/1.jpg"
        piece = Download(image_id=1, url=url, folder=out, output=out, stem="p-1-1", resume_etag=etag)
        return downloader.fetch(piece)

    go.out, go.part, go.final, go.bytes = (
        out,
        out / temporary_name("p-1-1"),
        out / "p-1-1.jpg",
        astria.picture,
    )
    yield go
    downloader.close()


def _rest(data: bytes, wanted: str) -> Says:
    """A server that goes on from wherever it is told to."""
    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
    headers = {"ETag": '"kept"', "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
    return Says(status=206, body=data[start:], headers=headers)


@pytest.mark.parametrize("etag", ["", '"kept"'], ids=["new", "resumed"])
@pytest.mark.parametrize("how", ["link", "dangling", "hard link", "pipe"])
def test_the_temporary_name_is_taken(fetch, astria, elsewhere, how, etag):
    """What lies there goes; what it leads to is neither read, nor cut, nor written, nor gone on with."""
    astria.instead = lambda asked: (
        _rest(fetch.bytes, asked.headers["range"]) if "range" in asked.headers else None
    )
    if how == "pipe":
        os.mkfifo(fetch.part)
    elif how == "hard link":
        os.link(elsewhere / "victim", fetch.part)
    else:
        fetch.part.symlink_to(elsewhere / ("victim" if how == "link" else "nothing"))
    assert isinstance(fetch(etag), Saved)
    assert fetch.final.read_bytes() == fetch.bytes
    assert not fetch.final.is_symlink()
    assert [path.name for path in fetch.out.iterdir()] == ["p-1-1.jpg"]
    assert untouched(elsewhere)


@pytest.mark.parametrize("how", ["link", "dangling", "pipe", "folder", "link to the same bytes"])
def test_the_final_name_is_taken(fetch, elsewhere, how):
    """It is left as it is, nothing is read through it, and it is said."""
    names = []
    if how == "pipe":
        os.mkfifo(fetch.final)
    elif how == "folder":
        fetch.final.mkdir()
    else:
        names = ["same"] if "same" in how else []
        target = elsewhere / ("nothing" if how == "dangling" else "same" if names else "victim")
        if names:
            target.write_bytes(fetch.bytes)
        fetch.final.symlink_to(target)
    before = fetch.final.lstat().st_mode
    result = fetch()
    assert isinstance(result, NotSaved)
    assert result.local
    assert fetch.final.lstat().st_mode == before
    assert untouched(elsewhere, *names)


def test_a_crash_between_two_names(fetch, astria):
    """The picture has its final name and its temporary one still; what is fetched anew, and cut, does not cut it."""
    fetch.final.write_bytes(fetch.bytes)
    os.link(fetch.final, fetch.part)
    astria.instead = lambda _: Says(
        body=fetch.bytes[:400], headers={"Content-Length": "9999", "Connection": "close"}
    )
    assert isinstance(fetch(), NotSaved)
    assert fetch.final.read_bytes() == fetch.bytes
    astria.instead = lambda _: None
    assert isinstance(fetch(), Saved)
    assert [path.name for path in fetch.out.iterdir()] == ["p-1-1.jpg"]


def test_a_picture_with_another_name_elsewhere(fetch):
    """A person's own hard link, as backups make them, is no reason to doubt a picture."""
    assert isinstance(fetch(), Saved)
    os.link(fetch.final, fetch.out / "backup.jpg")
    assert isinstance(fetch(), Saved)


@pytest.mark.parametrize("which", ["its name", "its temporary name"])
@pytest.mark.parametrize("how", ["link", "hard link"])
def test_files_of_ours_that_are_replaced(tmp_path, elsewhere, which, how):
    """A sidecar or an error file takes the place of a link; what that led to stays."""
    place = tmp_path / "p.json"
    planted = place if which == "its name" else place.with_name(temporary_name(place.name))
    os.link(elsewhere / "victim", planted) if how == "hard link" else planted.symlink_to(elsewhere / "victim")
    Disk().write_whole(place, b"ours")
    assert place.read_bytes() == b"ours"
    assert not place.is_symlink()
    assert untouched(elsewhere)
    assert not planted.exists() or planted == place


def test_error_files_and_sidecars_of_a_run(studio, elsewhere):
    """In the whole program too."""
    (studio.inbox / "bad.prompt.error.txt").symlink_to(elsewhere / "victim")
    studio.prompt("bad.prompt", "words", "no_key: 1")
    studio.prompt("good.prompt", "words")
    studio.run_once()
    assert "no_key" in studio.error("bad.prompt")
    assert not (studio.inbox / "bad.prompt.error.txt").is_symlink()
    assert untouched(elsewhere)


@pytest.mark.parametrize("front", ["no_key: 1", ""], ids=["never sent", "sent"])
def test_a_folder_that_became_a_link(studio, elsewhere, front):
    """The error file of a prompt that was in it is neither written nor removed where the link leads."""
    studio.prompt("jane/bad.prompt", "FAIL_USER_ERROR", front)
    studio.prompt("other.prompt", "words")
    studio.run_once()
    assert studio.error("jane/bad.prompt")
    (studio.inbox / "jane").rename(studio.home / "jane")
    (elsewhere / "bad.prompt.error.txt").write_bytes(SECRET)
    (studio.inbox / "jane").symlink_to(elsewhere)
    studio.run_once()
    assert studio.states().pop("other.prompt") == "done"
    assert untouched(elsewhere, "bad.prompt.error.txt")


@pytest.mark.parametrize(
    ("path", "out"),
    [("a", False), (".", False), ("in", False), ("a/new/folder", False), ("o", True), ("o/x", True)],
)
@pytest.mark.parametrize("by", ["itself", "a link"])
def test_what_leads_out(tmp_path, elsewhere, path, out, by):
    """Links below a folder are judged by where they lead, the folder itself by where it is; what is not there leads nowhere."""
    top = tmp_path / "top"
    (top / "a").mkdir(parents=True)
    (top / "o").symlink_to(elsewhere)
    (top / "in").symlink_to("a")
    (tmp_path / "topmost").mkdir()  # begins with the same letters
    (top / "near").symlink_to(tmp_path / "topmost")
    if by == "a link":
        (tmp_path / "by").symlink_to(top)
        top = tmp_path / "by"
    assert leads_out(top / path, top) is out
    assert leads_out(top / "near", top)


# The state's own files


def test_links_beside_the_state(tmp_path, elsewhere):
    """In a folder that others can write to, a link under the name of a copy or a lock is not written through."""
    state = tmp_path / "s.db"
    sqlite3.connect(state).close()
    folder = backup.folder_of(state)
    folder.mkdir()
    (folder / ".2026-01-01.part").symlink_to(elsewhere / "victim")
    (folder / "2026-01-01.db").symlink_to(elsewhere / "victim")
    assert not backup.back_up(state, "2026-01-01").is_symlink()
    for suffix in (".lock", ".pid"):
        state.with_name(f"s.db{suffix}").symlink_to(elsewhere / "victim")
    with suppress(StateError):  # refused is as good as not followed
        lock = StateLock(state)
        lock.acquire()
        lock.release()
    assert untouched(elsewhere)
