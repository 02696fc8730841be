"""What goes along with a prompt, what a matrix asks for, and what is told before anything is sent."""

import pytest

from astria_sync import report
from astria_sync.rehearsal import rehearse


def test_a_file_beside_the_prompt_is_uploaded(studio):
    """`input_image: ./pose.jpg` arrives as the file it is; a URL arrives as `input_image_url`."""
    pose = studio.picture("looks/pose.jpg")
    studio.prompt("looks/a.prompt", "words", "input_image: ./pose.jpg")
    studio.prompt("looks/b.prompt", "words", "input_image: https://example.com/p.jpg")
    studio.run_once()
    posts = {bool(post.files): post for post in studio.posts("/prompts$")}
    (file,) = posts[True].files
    assert (file.field, file.filename, file.size) == (
        "prompt[input_image]",
        "pose.jpg",
        pose.stat().st_size,
    )
    assert posts[False].field("prompt[input_image_url]") == "https://example.com/p.jpg"
    assert posts[False].field("prompt[input_image]") is None


def test_a_picture_used_only_as_input_makes_no_tune(studio):
    """A folder whose only picture is the input of the prompt beside it is no image folder to be paid for."""
    studio.picture("looks/pose.jpg")
    studio.prompt("looks/a.prompt", "words", "input_image: pose.jpg")
    studio.run_once()
    assert studio.made() == (0, 1)
    assert studio.created().facts["text"] == "words"


@pytest.mark.parametrize("way", ["pose.jpg", "./pose.jpg", "../looks/pose.jpg"])
def test_an_input_beside_the_prompt_is_one_however_it_is_written(studio, way):
    """No tune is paid for a picture because the way to it leads around."""
    studio.picture("looks/pose.jpg")
    studio.prompt("looks/a.prompt", "words", f"input_image: {way}")
    studio.run_once()
    assert studio.made() == (0, 1)


@pytest.mark.parametrize("where", ["its own", "one above", "the configuration"])
def test_an_input_that_the_settings_name_for_all_prompts_is_no_subject(studio, where):
    """`[prompt] input_image` counts like the prompt's own, from wherever it is inherited: no tune is paid for a pose."""
    studio.picture("looks/pose.jpg")
    studio.prompt("looks/a.prompt", "words")
    table = '[prompt]\ninput_image = "./pose.jpg"'
    if where == "the configuration":
        studio.tables["prompt"] = {"input_image": "pose.jpg"}
    else:
        studio.write("looks/tune.toml" if where == "its own" else "tune.toml", table)
    planned = {one.kind: one for one in rehearse(studio.settings(), wall=1e9)}
    assert set(planned) == {"prompt"}
    assert planned["prompt"].uploads == [f"prompt[input_image]={studio.inbox}/looks/pose.jpg"]
    studio.run_once()
    assert studio.made() == (0, 1)


def test_settings_that_name_an_input_later_are_heard_while_the_tune_was_not_sent(studio):
    """A tune.toml that is edited has the pictures read anew: the tune goes if it was not paid for, and stays if it was."""
    studio.picture("looks/pose.jpg")
    studio.write("looks/tune.toml", 'model_type = "lora"')
    table = '[prompt]\ninput_image = "pose.jpg"'
    with studio.daemon() as daemon:
        daemon.command("pause")
        daemon.until(lambda: daemon.journal.tunes("state = 'queued'"))
        studio.write("looks/tune.toml", table)
        daemon.look()
        daemon.until(lambda: not daemon.journal.tunes())
        studio.write("looks/tune.toml", f'name = "woman"\n{table}')  # nothing that concerns the pictures
        daemon.look()
        daemon.until(lambda: daemon.journal.sources("json_extract(settings, '$.name') = 'woman'"))
        daemon.command("resume")
    studio.run_once()
    assert studio.made() == (0, 0)
    studio.write("looks/tune.toml", "")
    studio.run_once()
    assert studio.made() == (1, 0)
    studio.write("looks/tune.toml", table)
    studio.prompt("looks/a.prompt", "<looks> standing")
    studio.run_once()
    assert studio.made() == (1, 1)
    assert "faceid" in studio.created().facts["text"]


WRONG = "---\naspekt_ratio: 1:1\ninput_image: pose.jpg\n---\nwords"


@pytest.mark.parametrize("folder", ["", "looks/"])
def test_a_faulty_prompt_makes_no_tune_of_its_input(studio, folder):
    """While the prompt that takes the picture along is wrong no tune is paid for, and it is said why; mended, only the prompt goes."""
    studio.picture(f"{folder}pose.jpg")
    studio.write(f"{folder}a.prompt", WRONG)
    studio.run_once()
    studio.run_once()
    assert studio.made() == (0, 0)
    assert "pose.jpg may be an input of a.prompt, which is wrong" in studio.error(folder or ".")
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.engine.ctx.walked)
        studio.prompt(f"{folder}a.prompt", "words", "input_image: pose.jpg")
        daemon.look()
        daemon.until(lambda: daemon.journal.prompts("state = 'done'"))
        daemon.until(lambda: studio.error(folder or ".") is None)
    assert studio.made() == (0, 1)


def test_a_prompt_that_is_mended_and_takes_nothing_along_leaves_a_subject(studio):
    """The doubt is over: it is an image folder after all, and becomes a tune once."""
    studio.picture("looks/pose.jpg")
    studio.write("looks/a.prompt", WRONG)
    studio.run_once()
    studio.prompt("looks/a.prompt", "words")
    studio.run_once()
    assert studio.made() == (1, 1)
    assert studio.error("looks") is None


def test_a_faulty_prompt_does_not_stop_a_folder_that_it_does_not_name(studio):
    """Pictures of which the prompt says nothing are a subject, also beside one that it names."""
    studio.folder("jane")
    studio.write("jane/a.prompt", "---\naspekt_ratio: 1:1\n---\nwords")
    studio.picture("joan/pose.jpg")
    studio.picture("joan/2.jpg")
    studio.write("joan/a.prompt", WRONG)
    studio.run_once()
    assert studio.made() == (2, 0)


def test_status_names_the_root_of_the_doubt(studio):
    """The watched folder itself is called by its path."""
    studio.picture("pose.jpg")
    studio.write("a.prompt", WRONG)
    studio.run_once()
    stopped = {"running": False, "pid": None, "since": None}
    found = report.snapshot(studio.state, now=0, daemon=stopped)
    assert [one["text"].partition(": ")[0] for one in found["problems"]] == [str(studio.inbox)]


def test_plan_tells_of_the_doubt(studio):
    """Before anything is started `plan` says that no tune is made, and why."""
    studio.picture("pose.jpg")
    studio.write("a.prompt", WRONG)
    found = {one.kind: one for one in rehearse(studio.settings(), wall=1.7e9)}
    assert {kind: one.state for kind, one in found.items()} == {"tune": "failed", "prompt": "failed"}
    assert "pose.jpg may be an input" in found["tune"].reason


def test_prompts_wait_until_the_doubt_is_over(studio):
    """Whether the folder has a tune decides what a prompt beside the faulty one asks for: it waits, and says for what."""
    studio.picture("looks/pose.jpg")
    studio.write("looks/a.prompt", WRONG)
    studio.prompt("looks/fine.prompt", "hiking")
    studio.run_once()
    assert studio.made() == (0, 0)
    assert studio.states()["looks/fine.prompt"] == "waiting"
    studio.prompt("looks/a.prompt", "words")
    studio.run_once()
    assert studio.made() == (1, 2)
    token = f"<faceid:{studio.tune('looks').remote_id}:1>"
    assert {post.field("prompt[text]") for post in studio.posts("/prompts$")} == {
        f"{token} words",
        f"{token} hiking",
    }


@pytest.mark.parametrize("front", ["", "model: flux", "model: 3618064"])
def test_own_subject_waits_for_pictures(studio, front):
    """A prompt that was there before its pictures: `<1>` as it is would be paid for and show nobody."""
    studio.prompt("jane/p.prompt", "<1> hiking", front)
    studio.run_once()
    assert studio.made() == (0, 0)
    assert studio.states()["jane/p.prompt"] == "waiting"
    with studio.journal() as journal:
        assert "add pictures" in journal.value("SELECT reason FROM prompts")
    studio.folder("jane")
    studio.run_once()
    assert studio.made() == (1, 1)
    assert studio.created().facts["text"] == f"<faceid:{studio.tune('jane').remote_id}:1> hiking"


def test_own_subject_of_a_tune_that_is_named(studio):
    """Somebody's own checkpoint by its id: `<1>` is Astria's to read."""
    studio.prompt("p.prompt", "<1> hiking", "model: 1234567")
    studio.run_once()
    assert [post.path for post in studio.posts("/prompts$")] == ["/tunes/1234567/prompts"]


def test_several_files_keep_their_order(studio):
    """`image_references` are uploaded in the order that they are written in."""
    for name in ("b", "a", "c"):
        studio.picture(f"refs/{name}.jpg")
    front = "video_model: seedance2_fast_720p\nvideo_prompt: she walks\nimage_references: [../refs/b.jpg, ../refs/a.jpg]"
    studio.prompt("p/p.prompt", "words", front)
    studio.run_once()
    (post,) = studio.posts("/prompts$")
    assert [(file.field, file.filename) for file in post.files] == [
        ("prompt[image_references][]", "b.jpg"),
        ("prompt[image_references][]", "a.jpg"),
    ]


@pytest.mark.parametrize("path", ["../../secret.jpg", "/etc/hostname", "link.jpg"])
def test_a_path_that_leads_out_of_the_root_is_refused(studio, path):
    """Nothing outside the watched root is ever sent, whether by dots, by an absolute path or by a link."""
    (studio.home / "secret.jpg").write_bytes(studio.photo())
    studio.write("looks/x.txt", "")
    (studio.inbox / "looks/link.jpg").symlink_to(studio.home / "secret.jpg")
    studio.prompt("looks/a.prompt", "words", f"input_image: {path}")
    studio.run_once()
    assert "outside" in studio.error("looks/a.prompt")
    assert studio.posts() == []


def test_an_input_that_comes_later_lets_the_prompt_go(studio):
    """A file that is not there is told; when it comes the prompt goes and the error file with it."""
    studio.prompt("a.prompt", "words", "input_image: poses/pose.jpg")
    studio.run_once()
    assert "pose.jpg" in studio.error("a.prompt")
    studio.write("poses/.keep", "")
    studio.picture("poses/pose.jpg")
    studio.run_once()
    assert studio.error("a.prompt") is None
    assert studio.states()["a.prompt"] == "done"


def test_every_aspect_ratio_reaches_astria_as_it_is_written(studio):
    """`3:4` is text, never a number."""
    ratios = ["1:1", "16:9", "9:16", "21:9", "9:21", "3:2", "2:3", "5:4", "4:5", "4:3", "3:4"]
    studio.prompt("p.prompt", "words", f"matrix:\n  aspect_ratio: [{', '.join(ratios)}]")
    studio.run_once()
    assert sorted(post.field("prompt[aspect_ratio]") for post in studio.posts()) == sorted(ratios)


def test_a_matrix_is_one_request_for_each_combination(studio):
    """Names stand in the text, parameters are set, and a value added later asks only for what is new."""
    for name in ("brown", "red"):
        studio.folder(f"dresses/{name}", toml='name = "dress"\n')
    front = "matrix: {{dress: [brown, red{more}], aspect_ratio: [3:4, 1:1]}}"
    studio.prompt("p.prompt", "a <{dress}> on white, {{keep}}", front.format(more=""))
    studio.run_once()
    assert studio.made() == (2, 4)
    ids = {studio.tune(f"dresses/{name}").remote_id for name in ("brown", "red")}
    wanted = {
        (f"a <faceid:{one}:1> dress on white, {{{{keep}}}}".replace("{{keep}}", "{{keep}}"), ratio)
        for one in ids
        for ratio in ("3:4", "1:1")
    }
    sent = {
        (post.field("prompt[text]"), post.field("prompt[aspect_ratio]")) for post in studio.posts("/prompts$")
    }
    assert {ratio for _, ratio in sent} == {"3:4", "1:1"}
    assert len(sent) == len(wanted) == 4
    assert studio.check_pictures() == 4
    studio.folder("dresses/blue", toml='name = "dress"\n')
    studio.prompt("p.prompt", "a <{dress}> on white, {{keep}}", front.format(more=", blue"))
    studio.run_once()
    assert studio.made() == (3, 6)
    studio.run_once()
    assert studio.made() == (3, 6)


def test_one_wrong_value_of_a_matrix_stops_only_itself(studio):
    """A combination that cannot go is told; the others go."""
    studio.folder("red")
    studio.prompt("p.prompt", "{text} here", "matrix:\n  num_images: [1, 2]\n  text: [a, b]")
    studio.prompt("q.prompt", "<{d}> here", "model: seedream\nmatrix:\n  d: [red]\n  num_images: [4, 5]")
    studio.run_once()
    assert studio.made() == (1, 5)
    assert "5" in studio.error("q.prompt")
    assert studio.states()["q.prompt"] in {"done+failed", "failed+done"}


@pytest.mark.parametrize(
    ("path", "front", "text", "told"),
    [
        ("p.prompt", "num_images: 9", "words", "num_images"),
        ("p.prompt", "num_images: 0", "words", "num_images"),
        ("p.prompt", "model: seedream\nnum_images: 5", "words", "Seedream"),
        ("p.prompt", "model: seedream", "<1> words", "<1>"),
        ("p.prompt", "aspect_ratio: 3:5", "words", "aspect_ratio"),
        ("p.prompt", "aspect_ratoi: 3:4", "words", "aspect_ratio"),
        ("p.prompt", "seed: -1", "words", "seed"),
        ("p.prompt", "num_images: 2", "", "text"),
        ("p.prompt", "", "", "text"),
        ("p.prompt", "", "  \n\n", "text"),
        ("jane/p.prompt", "num_images: 2", "", "text"),
        ("jane/p.prompt", "", " \n", "text"),
        ("p.prompt", "input_image: no.jpg", "words", "no.jpg"),
    ],
)
def test_a_limit_is_told_before_anything_is_sent(studio, path, front, text, told):
    """Each with one clear sentence beside the file, and no request; mended, it goes and the sentence is gone."""
    studio.folder("jane")
    studio.prompt(path, text, front)
    studio.run_once()
    assert told in studio.error(path)
    assert studio.states()[path] == "failed"
    assert studio.posts("/prompts$") == []
    studio.prompt(path, "fine words")
    studio.run_once()
    assert studio.error(path) is None
    assert studio.states()[path] == "done"
    assert studio.made() == (1, 1)


@pytest.mark.parametrize(
    "data", [b"\xff\xfe\x00w", b"\x00\x01\x02", b"---\nnum_images: 2\nwords", b"---\n: :\n---\nx"]
)
def test_a_file_that_cannot_be_read_is_told(studio, data):
    """Binary, another encoding, a block that is never closed, YAML that is none: told, nothing sent."""
    studio.write("p.prompt", data)
    studio.run_once()
    assert "p.prompt" in studio.error("p.prompt")
    assert studio.posts() == []


def test_extra_is_passed_through_unread(studio):
    """What Astria adds later goes through `extra:`."""
    studio.prompt("p.prompt", "words", "extra:\n  brand_new: 7\n  flags: [a, b]")
    studio.run_once()
    (post,) = studio.posts()
    assert post.field("prompt[brand_new]") == "7"
    assert [value for name, value in post.fields if name == "prompt[flags][]"] == ["a", "b"]


def test_an_edit_of_a_file_that_was_wrong_pays_once(studio):
    """Wrong, then right, then touched: one prompt."""
    studio.prompt("p.prompt", "words", "num_images: 9")
    studio.run_once()
    studio.prompt("p.prompt", "words", "num_images: 2")
    studio.run_once()
    studio.prompt("p.prompt", "words", "num_images: 9")
    studio.run_once()
    assert studio.error("p.prompt")
    studio.prompt("p.prompt", "words", "num_images: 2")
    studio.run_once()
    assert studio.error("p.prompt") is None
    assert studio.made() == (0, 1)
    assert studio.states() == {"p.prompt": "done"}


def test_a_video_is_an_mp4(studio):
    """The extension follows the content."""
    studio.prompt("p.prompt", "words", "video_model: seedance2_fast_720p\nvideo_prompt: she walks")
    studio.run_once()
    assert [name.rpartition(".")[2] for name in studio.files() if not name.endswith(".json")] == ["mp4"]
    assert studio.check_pictures() == 1
