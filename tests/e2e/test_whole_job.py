"""Drop folders, save prompts, get the pictures: the main job from end to end."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from astria_sync.core.model import Hint
from tests.studio_harness import Hands


def test_twenty_folders_and_two_hundred_prompts_dropped_at_once(make_studio):
    """20 tunes and 200 prompts are made, every picture is byte-equal, a second run creates nothing, and lists are asked
    for less than once in two prompts.
    """
    studio = make_studio(generate_seconds=0.3)
    for n in range(20):
        studio.folder(f"set{n % 4}/folder{n}", pictures=2, toml='name = "woman"\n')
        for m in range(9):
            studio.prompt(f"set{n % 4}/folder{n}/p{m}.prompt", f"number {m}", "aspect_ratio: 3:4")
    for n in range(20):
        studio.prompt(f"look{n}.prompt", f"<folder{n}> beside <folder{(n + 1) % 20}>")
    studio.run_once(timeout=40)
    assert studio.made() == (20, 200)
    assert studio.check_pictures() == 200
    assert studio.gets() < 100
    assert len({row.seed for row in studio.prompts()}) == 200
    before = len(studio.posts())
    studio.run_once()
    assert len(studio.posts()) == before == 220


def test_a_folder_and_a_prompt_become_a_tune_and_its_pictures(studio):
    """One folder is one tune with every picture as it is on disk; a prompt in it has its subject in front and its
    parameters as written, and the state says so.
    """
    studio.folder("jane", pictures=1, toml='name = "woman"\n')
    studio.picture("jane/side.PNG")
    studio.picture("jane/more.webp")
    studio.prompt("jane/hiking.prompt", "hiking in the alps", "aspect_ratio: 3:4\nnum_images: 2\nseed: 42")
    studio.run_once()
    assert studio.states() == {"jane": "ready", "jane/hiking.prompt": "done"}
    (post,) = studio.posts(r"^/tunes$")
    assert (post.field("tune[title]"), post.field("tune[name]")) == ("jane", "woman")
    assert post.field("tune[model_type]") == "faceid"
    on_disk = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in _pictures(studio, "jane")}
    assert {file.filename: file.sha256 for file in post.files} == on_disk
    (sent,) = studio.posts(r"/prompts$")
    tune = studio.tune("jane")
    assert sent.field("prompt[text]") == f"<faceid:{tune.remote_id}:1> woman hiking in the alps"
    assert sent.field("prompt[aspect_ratio]") == "3:4"
    assert sent.field("prompt[seed]") == "42"
    assert sent.path == "/tunes/3618064/prompts"
    row = studio.only("jane/hiking.prompt")
    folder = studio.output / "jane" / "hiking"
    names = {f"hiking-{row.remote_id}-1.jpg", f"hiking-{row.remote_id}-2.jpg", f"hiking-{row.remote_id}.json"}
    assert {path.name for path in folder.iterdir()} == names
    assert studio.check_pictures() == 2


def _pictures(studio, folder) -> list[Path]:
    return [p for p in (studio.inbox / folder).iterdir() if p.suffix.lower() in {".jpg", ".png", ".webp"}]


def test_two_files_with_the_same_words_are_two_prompts_with_two_seeds(studio):
    """Same words, two files: two requests, two seeds, two results."""
    studio.prompt("a.prompt", "a red cat")
    studio.prompt("b.prompt", "a red cat")
    studio.run_once()
    assert studio.made() == (0, 2)
    assert len({post.field("prompt[seed]") for post in studio.posts()}) == 2
    assert studio.check_pictures() == 2


def test_a_sidecar_tells_the_truth(studio):
    """Source text, parameters as sent, resolved text, seed, ids, cost, times, page, and each file's size and hash."""
    studio.folder("jane", toml='name = "woman"\n')
    text = "---\nnum_images: 2\nresolution: 4K  # big\n---\n<jane> at the sea — grüße\n"
    studio.write("sea.prompt", text)
    studio.run_once()
    row, created = studio.only("sea.prompt"), studio.created()
    (sent,) = studio.posts(r"/prompts$")
    found = studio.sidecar(row)
    assert found["source"]["text"] == text
    assert found["source"]["path"] == "sea.prompt"
    assert found["source"]["root"] == str(studio.inbox)
    assert found["source"]["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert found["text"] == sent.field("prompt[text]") == created.facts["text"]
    assert (found["id"], found["seed"], found["tune_id"]) == (created.id, created.facts["seed"], 3618064)
    told = {name[7:-1]: value for name, value in sent.fields if name != "prompt[text]"}
    assert {key: str(value) for key, value in found["parameters"].items()} == told
    assert found["cost_mc"] == created.facts["cost_mc"] == 48_000
    assert found["cost_usd"] == 0.48
    assert found["sent_at"] <= found["accepted_at"] <= found["finished_at"] <= found["saved_at"]
    assert f"/prompts/{created.id}" in found["page"]
    folder = studio.output / "sea"
    for image in found["images"]:
        data = (folder / image["file"]).read_bytes()
        assert (image["size"], image["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert [image["n"] for image in found["images"]] == [1, 2]


def test_output_names_are_safe_whatever_the_source_is_called(studio):
    """Names that Windows forbids, that end in dots, that are devices or very long, stay inside the output and readable."""
    names = [
        "con.prompt",
        "a:b?c.prompt",
        "dots....prompt",
        "日本語 ☂.prompt",
        "x" * 200 + ".prompt",
        "-rf.prompt",
    ]
    for n, name in enumerate(names):
        studio.prompt(f"odd folder. /{name}", f"number {n}")
    studio.run_once()
    assert studio.check_pictures() == len(names)
    for path in studio.output.rglob("*"):
        assert not set(path.name) & set('<>:"\\|?*')
        assert not path.name.endswith((".", " "))
        assert path.stem.lower() not in {"con", "nul"}
        assert len(path.name.encode()) <= 255


def test_a_crowd_above_the_limit_is_held_until_approved(studio):
    """More new prompts at one go than `hold_above` wait, say so, and go on `approve`."""
    studio.tables["limits"]["hold_above"] = 3
    for n in range(5):
        studio.prompt(f"p{n}.prompt", f"number {n}")
    studio.run_once()
    assert set(studio.states().values()) == {"held"}
    assert "approve" in studio.only("p0.prompt").reason
    assert studio.posts() == []
    assert studio.command("approve")["count"] == 5
    studio.run_once()
    assert set(studio.states().values()) == {"done"}
    assert studio.made() == (0, 5)


def test_one_of_the_held_is_approved_alone(studio):
    """`approve PATH` lets go what lies there, the rest stays."""
    studio.tables["limits"]["hold_above"] = 1
    for n in range(3):
        studio.prompt(f"p{n}.prompt", f"number {n}")
    studio.run_once()
    studio.command("approve", studio.inbox / "p1.prompt")
    studio.run_once()
    assert studio.states() == {"p0.prompt": "held", "p1.prompt": "done", "p2.prompt": "held"}


def test_what_waits_for_a_folder_counts_as_one_of_the_crowd(studio):
    """A crowd of prompts dropped together with their folder is held as well, once the folder is ready."""
    studio.tables["limits"]["hold_above"] = 3
    studio.folder("jane")
    for n in range(5):
        studio.prompt(f"jane/p{n}.prompt", f"number {n}")
    studio.run_once()
    assert studio.made() == (1, 0)
    assert set(studio.states().values()) == {"ready", "held"}


@pytest.mark.parametrize("fresh", [True, False], ids=["new files", "files older than the run"])
def test_a_crowd_stays_one_however_long_its_tune_takes(make_studio, fresh):
    """An hour of training does not let go what would have been held at once; approved meanwhile, it goes when the tune is there."""
    studio = make_studio(train_seconds=3600.0)
    studio.clock = Hands()
    studio.tables["limits"]["hold_above"] = 3

    def drop():
        studio.folder("jane", toml='model_type = "lora"\nname = "woman"\nbase_tune = "flux"\n')
        for n in range(5):
            studio.prompt(f"jane/p{n}.prompt", f"words {n}")

    if not fresh:
        drop()
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.engine.ctx.walked)
        if fresh:
            drop()
            daemon.look()
        daemon.until(lambda: daemon.journal.tunes("state = 'training'"))
        daemon.until(lambda: len(daemon.journal.prompts("state = 'waiting'")) == 5)
    studio.clock.slept += 7200
    studio.sim.advance(7200)
    if fresh:
        assert studio.command("approve", studio.inbox / "jane/p0.prompt")["count"] == 1
    studio.run_once()
    assert studio.made() == (1, int(fresh))
    states = [studio.only(f"jane/p{n}.prompt").state for n in range(5)]
    assert states == (["done"] if fresh else ["held"]) + ["held"] * 4


def test_a_crowd_that_is_mended_is_a_crowd(studio):
    """A picture that many prompts take along comes an hour later: they are held as if it had been there."""
    studio.clock = Hands()
    studio.tables["limits"]["hold_above"] = 3
    for n in range(5):
        studio.prompt(f"p{n}.prompt", f"words {n}", "input_image: pose.jpg")
    studio.run_once()
    assert {row.state for row in studio.prompts()} == {"failed"}
    studio.clock.slept += 7200
    studio.picture("pose.jpg")
    studio.run_once()
    assert studio.made() == (0, 0)
    assert {row.state for row in studio.prompts()} == {"held"}


def test_a_folder_that_grows_while_it_settles_is_sent_once_and_whole(studio):
    """A slow copy: nothing is sent before it stands still, and then everything."""
    studio.tables["timing"]["settle_seconds"] = 0.1
    with studio.daemon() as daemon:
        for n in range(6):
            studio.picture(f"jane/{n}.jpg")
            daemon.look()
            end = daemon.clock.now() + 0.04
            daemon.until(lambda end=end: daemon.clock.now() >= end)
            assert studio.posts() == []
        assert daemon.run(10)
    (post,) = studio.posts()
    assert len(post.files) == 6
    studio.run_once()
    assert studio.made() == (1, 0)


def test_a_prompt_that_is_written_to_is_sent_as_it_ends(studio):
    """A prompt saved in pieces is one request with the final words."""
    with studio.daemon() as daemon:
        for n in range(1, 4):
            studio.prompt("p.prompt", "word " * n)
            daemon.look()
            daemon.until(lambda: daemon.engine.intake.settling.next_due() is not None)
        assert daemon.run(10)
    assert [post.field("prompt[text]") for post in studio.posts()] == ["word word word"]


@pytest.mark.parametrize(
    "name", ["b.jpg.part", "b.crdownload", ".b.jpg", "b.tmp", "b.jpg~", "Thumbs.db", "~$b.jpg"]
)
def test_what_programs_leave_while_they_work_is_never_sent(studio, name):
    """Hidden files and half-written ones are left alone, and do not make a folder an image folder."""
    studio.picture("jane/a.jpg")
    studio.write(f"jane/{name}", studio.photo())
    studio.write(f"other/{name}", studio.photo())
    studio.write("c.prompt.part", "words")
    studio.write(".d.prompt", "words")
    studio.run_once()
    (post,) = studio.posts()
    assert [file.filename for file in post.files] == ["a.jpg"]
    assert studio.made() == (1, 0)


def test_ignored_and_hidden_folders_are_left_alone(studio):
    """The watch's own patterns in gitignore syntax, and everything below a hidden folder."""
    studio.watches[0]["ignore"] = ["drafts/", "*.draft.prompt", "!keep.draft.prompt"]
    for folder in ("drafts", ".git", "fine"):
        studio.picture(f"{folder}/a.jpg")
        studio.prompt(f"{folder}/p.prompt", "words")
    studio.prompt("x.draft.prompt", "words")
    studio.prompt("keep.draft.prompt", "words")
    studio.run_once()
    assert studio.states() == {"fine": "ready", "fine/p.prompt": "done", "keep.draft.prompt": "done"}


def test_an_output_inside_a_root_is_left_alone(studio):
    """Pictures that lie in an output inside the root make no tune, on this run or the next."""
    studio.watches[0]["output"] = str(studio.inbox / "made")
    studio.output = studio.inbox / "made"
    studio.folder("jane")
    studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    studio.run_once()
    assert studio.made() == (1, 1)
    assert studio.check_pictures() == 1


def test_links_that_lead_out_or_round_are_not_followed(studio, tmp_path):
    """A link to a folder elsewhere, to a file elsewhere, and to the folder above: nothing of it is sent."""
    elsewhere = tmp_path / "elsewhere"
    studio.write(elsewhere / "secret.jpg", studio.photo())
    studio.write(elsewhere / "p.prompt", "secret")
    studio.folder("jane")
    (studio.inbox / "out").symlink_to(elsewhere)
    (studio.inbox / "jane" / "secret.jpg").symlink_to(elsewhere / "secret.jpg")
    (studio.inbox / "p.prompt").symlink_to(elsewhere / "p.prompt")
    (studio.inbox / "jane" / "loop").symlink_to(studio.inbox)
    studio.run_once()
    (post,) = studio.posts()
    assert [file.filename for file in post.files] == ["1.jpg"]
    assert studio.states() == {"jane": "ready"}


def test_captions_and_urls_go_with_the_folder(studio):
    """`front.txt` beside `front.jpg` is uploaded, `urls.txt` becomes image_urls, other text files stay here."""
    studio.picture("jane/front.jpg")
    studio.write("jane/front.txt", "jane smiling")
    studio.write("jane/notes.txt", "mine")
    studio.write("jane/urls.txt", "# more\nhttps://example.com/a.jpg\n\nhttps://example.com/b.jpg # side\n")
    studio.run_once()
    (post,) = studio.posts()
    assert [(file.field, file.filename) for file in post.files] == [
        ("tune[images][]", "front.jpg"),
        ("tune[images][]", "front.txt"),
    ]
    urls = [value for name, value in post.fields if name == "tune[image_urls][]"]
    assert urls == ["https://example.com/a.jpg", "https://example.com/b.jpg"]


def test_a_folder_of_urls_alone_is_an_image_folder(studio):
    """`urls.txt` is enough, and so are image_urls in tune.toml."""
    studio.write("jane/urls.txt", "https://example.com/a.jpg\n")
    studio.write("joe/tune.toml", 'image_urls = ["https://example.com/b.jpg"]\n')
    studio.run_once()
    assert studio.states() == {"jane": "ready", "joe": "ready"}


def test_error_files_are_never_events_nor_work(studio):
    """Writing and removing error files leads to no request, no row and no second look."""
    studio.prompt("bad.prompt", "words", "aspect_ratoi: 3:4")
    studio.folder("jane", toml="nmae = 1\n")
    studio.run_once()
    assert studio.error("bad.prompt")
    assert studio.error("jane")
    with studio.daemon() as daemon:
        assert daemon.run(5)
        events = daemon.journal.value("SELECT count(*) FROM events")
        (studio.inbox / "bad.prompt.error.txt").write_text("x")
        for folder in (".", "jane"):
            daemon.engine.inbox.put(Hint(root=str(studio.inbox), path=folder))
        assert daemon.run(5)
        assert daemon.journal.value("SELECT count(*) FROM events") == events
    assert studio.posts() == []
    assert len(studio.states()) == 2


def test_the_journal_is_private_and_knows_no_token(studio):
    """The state is 0600 in a folder of 0700, and neither it nor a sidecar nor an error file holds the token."""
    studio.folder("jane")
    studio.prompt("jane/p.prompt", "words")
    studio.prompt("bad.prompt", "words FAIL_USER_ERROR")
    studio.run_once()
    assert os.stat(studio.state).st_mode & 0o777 == 0o600
    assert os.stat(studio.state.parent).st_mode & 0o777 == 0o700
    for file in (path for path in studio.home.rglob("*") if path.is_file()):
        assert studio.token.encode() not in file.read_bytes(), file
    assert not any(entry.authorization for entry in studio.sim.ledger.pictures_served())


def test_each_root_has_its_workspace_and_output(studio):
    """`workspace_id` of a watch is sent with every request for it, and its pictures go to its output."""
    other = studio.root("spring", workspace_id="680")
    studio.prompt("p.prompt", "words")
    studio.write(other / "q.prompt", "words")
    studio.write(other / "jane/1.jpg", studio.photo())
    studio.run_once()
    spaces = {post.workspace: post.path for post in studio.posts(r"/prompts$")}
    assert set(spaces) == {None, "680"}
    (tune,) = studio.posts(r"^/tunes$")
    assert tune.workspace == "680"
    assert studio.check_pictures() == 2
    assert len(studio.files(studio.home / "spring-out")) == 2


def test_a_file_in_the_sidecar_is_json_with_words_as_written(studio):
    """A sidecar is plain UTF-8 JSON that a person can read."""
    studio.prompt("p.prompt", "Grüße ☂")
    studio.run_once()
    (name,) = [name for name in studio.files() if name.endswith(".json")]
    text = (studio.output / name).read_text()
    assert "Grüße ☂" in text
    assert json.loads(text)["version"] == 1
