"""Tunes in the stand-in, without HTTP."""

import pytest

from astria_sync.simulator.forms import Upload

DAY = 86400
PHOTO = Upload("1.jpg", "image/jpeg", b"\xff\xd8\xff rest")


def test_a_faceid_is_ready_at_once_and_a_lora_after_its_training(bench):
    """`trained_at` is set immediately for a reference by face, and after train_seconds otherwise."""
    face, lora = bench.tune("jane"), bench.tune("dress", "lora")
    assert face["trained_at"]
    assert lora["trained_at"] is None
    bench.now += 599
    assert bench.get(f"/tunes/{lora['id']}")["trained_at"] is None
    bench.now += 1
    assert bench.get(f"/tunes/{lora['id']}.json")["trained_at"]


def test_without_title_or_pictures_nothing_is_made_and_both_are_named(bench):
    """A 422 maps each wrong field to its messages."""
    answer = bench.call("POST", "/tunes", {"tune[name]": "woman"})
    assert answer.status == 422
    assert answer.json() == {"title": ["can't be blank"], "images": ["can't be blank"]}
    assert bench.ledger.created_tunes() == []


@pytest.mark.parametrize("data", [b"", b"not a picture"])
def test_a_picture_that_is_none_is_refused_by_name(bench, data):
    """An empty or unreadable file among the images is a 422 that names it."""
    files = [("tune[images][]", PHOTO), ("tune[images][]", Upload("bad.jpg", "image/jpeg", data))]
    answer = bench.call("POST", "/tunes", {"tune[title]": "jane"}, files)
    assert answer.status == 422
    assert "bad.jpg" in answer.json()["images"][0]


def test_captions_come_with_the_images_but_are_none(bench):
    """A .txt among the images is taken and does not count as a picture."""
    files = [("tune[images][]", PHOTO), ("tune[images][]", Upload("1.txt", "text/plain", b"a caption"))]
    tune = bench.call(
        "POST", "/tunes", {"tune[title]": "jane", "tune[base_tune_id]": "1504944"}, files
    ).json()
    assert len(tune["orig_images"]) == 1
    assert tune["branch"] == "flux1"
    only_text = bench.call("POST", "/tunes", {"tune[title]": "x"}, files[1:])
    assert only_text.status == 422


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("base_tune_id", "12", "base_tune"),
        ("model_type", "gan", "model_type"),
        ("branch", "sd9", "branch"),
        ("characteristics", "[1]", "characteristics"),
        ("characteristics", "{", "characteristics"),
    ],
)
def test_a_wrong_parameter_is_named(bench, key, value, named):
    """Every parameter with a closed set of values is checked."""
    assert named in bench.tune(expect=422, **{key: value})


def test_thirty_days_after_training_a_tune_is_gone_unless_extended(bench):
    """Expiry is a 404 and an empty list; `auto_extend` keeps a tune."""
    gone, kept = bench.tune("gone"), bench.tune("kept", auto_extend="true")
    bench.now += 30 * DAY - 1
    assert bench.call("GET", f"/tunes/{gone['id']}").status == 200
    bench.now += 1
    assert bench.call("GET", f"/tunes/{gone['id']}").status == 404
    assert [tune["id"] for tune in bench.get("/tunes")] == [kept["id"]]


def test_lists_are_newest_first_and_paged_by_both_means(bench):
    """The default page is 20, the largest 120; before_id and offset continue where a page ended."""
    ids = [bench.tune(f"t{n}")["id"] for n in range(130)][::-1]
    assert [tune["id"] for tune in bench.get("/tunes")] == ids[:20]
    assert [tune["id"] for tune in bench.get("/tunes?limit=500")] == ids[:120]
    assert [tune["id"] for tune in bench.get(f"/tunes?limit=120&before_id={ids[119]}")] == ids[120:]
    assert [tune["id"] for tune in bench.get("/tunes?limit=5&offset=3")] == ids[3:8]
    assert bench.get(f"/tunes?before_id={ids[-1]}") == []


def test_a_deep_offset_is_refused_with_a_hint(bench):
    """Tunes may be skipped up to 200, prompts up to 10,000; beyond that the answer names before_id."""
    assert bench.call("GET", "/tunes?offset=200").status == 200
    deep = bench.call("GET", "/tunes?offset=201")
    assert deep.status == 400
    assert "before_id" in deep.json()["error"]
    assert bench.call("GET", "/prompts?offset=10000").status == 200
    assert bench.call("GET", "/prompts?offset=10001").status == 400


def test_tunes_are_filtered(bench):
    """title is a substring, name[] a set, model_type and branch exact."""
    jane, dress = bench.tune("Jane Doe"), bench.tune("Dress", "lora", name="dress", branch="fast")
    assert [t["id"] for t in bench.get("/tunes?title=jane")] == [jane["id"]]
    assert [t["id"] for t in bench.get("/tunes?name[]=dress&name[]=shoes")] == [dress["id"]]
    assert [t["id"] for t in bench.get("/tunes?model_type=faceid")] == [jane["id"]]
    assert [t["id"] for t in bench.get("/tunes?branch=fast")] == [dress["id"]]
    assert bench.get("/tunes?branch=partner-1") == []


def test_the_gallery_has_the_base_models_and_lists_of_ones_own_do_not(bench):
    """Public models can be fetched by id and are listed in the gallery alone."""
    known = {3618064, 3691308, 4665564, 1504944}
    assert {tune["id"] for tune in bench.get("/gallery/tunes")} == known
    assert bench.get("/tunes") == []
    assert bench.get("/tunes/3618064")["trained_at"]
    assert bench.call("DELETE", "/tunes/3618064").status == 403


def test_a_tune_can_be_changed_and_deleted(bench):
    """PATCH takes title, name, auto_extend and characteristics; DELETE is a 404 ever after."""
    path = f"/tunes/{bench.tune()['id']}"
    fields = {"tune[title]": "new", "tune[characteristics]": '{"a": "b"}', "tune[auto_extend]": "true"}
    changed = bench.call("PATCH", path, fields).json()
    assert (changed["title"], changed["characteristics"], changed["auto_extend"]) == ("new", {"a": "b"}, True)
    assert bench.call("PATCH", path, {"tune[name]": ""}).json()["name"] is None
    assert bench.call("PATCH", path, {"tune[title]": " "}).status == 422
    assert bench.call("DELETE", path).status == 200
    assert bench.call("GET", path).status == 404
    assert bench.call("DELETE", path).status == 404


def test_deleting_a_checkpoint_takes_its_prompts_and_a_reference_does_not(bench):
    """The prompts of a checkpoint are sent to it and go with it."""
    checkpoint, face = bench.tune("style", ""), bench.tune("jane")
    own = bench.prompt("<1> on a hill", checkpoint["id"])
    other = bench.prompt(f"<faceid:{face['id']}:1> woman")
    for tune in (checkpoint, face):
        bench.call("DELETE", f"/tunes/{tune['id']}")
    assert bench.call("GET", f"/prompts/{own['id']}").status == 404
    assert bench.call("GET", f"/prompts/{other['id']}").status == 200


def test_a_mock_tune_costs_nothing_nor_do_its_prompts(bench):
    """branch=fast is free from the training to the pictures."""
    before = bench.astria.balance_mc
    tune = bench.tune("mock", "", branch="fast")
    prompt = bench.prompt("<1>", tune["id"], resolution="2K")
    assert (tune["cost_mc"], prompt["cost_mc"]) == (0, 0)
    assert bench.astria.balance_mc == before


def test_prompts_can_be_ordered_with_the_tune(bench):
    """tune[prompts_attributes][] makes prompts that wait for the training."""
    fields = [
        ("tune[title]", "style"),
        ("tune[prompts_attributes][][text]", "<1> one"),
        ("tune[prompts_attributes][][num_images]", "2"),
        ("tune[prompts_attributes][][text]", "<1> two"),
    ]
    tune = bench.call("POST", "/tunes", fields, [("tune[images][]", PHOTO)]).json()
    found = bench.get(f"/tunes/{tune['id']}/prompts")
    assert [(prompt["text"], prompt["num_images"]) for prompt in found] == [("<1> two", 1), ("<1> one", 2)]


def test_with_idempotency_a_title_is_made_once(make_bench):
    """The same title gives the tune that is there; without the setting it gives another."""
    on, off = make_bench(idempotency=True), make_bench()
    assert on.tune("jane")["id"] == on.tune("jane")["id"]
    assert len(on.ledger.created_tunes()) == 1
    assert off.tune("jane")["id"] != off.tune("jane")["id"]
    on.call("DELETE", f"/tunes/{on.tune('jane')['id']}")
    on.tune("jane")
    assert len(on.ledger.created_tunes()) == 2
