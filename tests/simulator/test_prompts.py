"""Prompts in the stand-in, without HTTP."""

import pytest

from astria_sync.simulator.forms import Upload

GEMINI, SEEDREAM, GPT_IMAGE, FLUX = 3618064, 3691308, 4665564, 1504944
DAY = 86400


def test_pictures_appear_all_at_once_after_the_generation(bench):
    """Before its time a prompt has no pictures, then all of them."""
    path = f"/prompts/{bench.prompt(num_images='3')['id']}"
    bench.now += 29.9
    assert bench.get(path)["images"] == []
    assert bench.get(path)["trained_at"] is None
    bench.now += 0.1
    assert len(set(bench.get(path)["images"])) == 3
    assert bench.get(path)["trained_at"]


def test_pictures_can_trickle_in_one_after_the_other(make_bench):
    """With `trickle` an unfinished prompt already shows some."""
    bench = make_bench(trickle=True)
    path = f"/prompts/{bench.prompt(num_images='3')['id']}"
    seen = []
    for _ in range(3):
        bench.now += 10
        seen.append(bench.get(path)["images"])
    assert [len(images) for images in seen] == [1, 2, 3]
    assert seen[2][:2] == seen[1]


def test_a_prompt_waits_for_the_tune_it_is_sent_to_and_for_those_it_mentions(bench):
    """A prompt to a tune in training is queued: generation begins when the training ends."""
    checkpoint, lora = bench.tune("style", ""), bench.tune("dress", "lora")
    sent = [
        bench.prompt("<1> on a hill", checkpoint["id"]),
        bench.prompt(f"<lora:{lora['id']}:0.8> dress", FLUX),
    ]
    paths = [f"/prompts/{prompt['id']}" for prompt in sent]
    bench.now += 600
    assert [bench.get(path)["images"] for path in paths] == [[], []]
    bench.now += 30
    assert all(bench.get(path)["images"] for path in paths)


def test_a_flagged_text_ends_with_a_user_error_and_no_pictures(bench):
    """The word from the options makes a prompt fail after the generation time."""
    path = f"/prompts/{bench.prompt('a cat FAIL_USER_ERROR')['id']}"
    assert bench.get(path)["user_error"] is None
    bench.now += 30
    assert bench.get(path)["user_error"]
    assert bench.get(path)["images"] == []


@pytest.mark.parametrize(
    ("fields", "tune", "message"),
    [
        ({"text": " "}, GEMINI, "Text can't be blank"),
        ({"num_images": "9"}, GEMINI, "Num images must be between 1 and 8"),
        ({"num_images": "0"}, GEMINI, "Num images must be between 1 and 8"),
        ({"num_images": "x"}, GEMINI, "Num images is not a number"),
        ({"num_images": "5"}, SEEDREAM, "between 1 and 4 for Seedream"),
        ({"text": "<1> cat"}, SEEDREAM, "must not contain <1>"),
        ({"aspect_ratio": "184"}, GEMINI, "Aspect ratio is not included"),
        ({"resolution": "1K"}, SEEDREAM, "Resolution is not supported"),
        ({"resolution": "2K"}, FLUX, "Resolution is not supported"),
        ({"seed": "4294967297"}, GEMINI, "Seed must be between 0 and 4294967296"),
        ({"cfg_scale": "16"}, FLUX, "Cfg scale must be between 0 and 15"),
        ({"steps": "51"}, FLUX, "Steps must be between"),
        ({"w": "513"}, FLUX, "W must be a multiple of 8"),
        ({"text": "<faceid:77:1> woman"}, GEMINI, "mentions faceid 77"),
        ({"controlnet": "pose"}, FLUX, "Input image can't be blank"),
        ({"video_model": "kling30_standard"}, GEMINI, "Video prompt can't be blank"),
    ],
)
def test_what_cannot_be_made_is_refused_and_costs_nothing(bench, fields, tune, message):
    """Limits are a 422 whose message is in `error`."""
    before = bench.astria.balance_mc
    answer = bench.prompt(fields.pop("text", "a cat"), tune, expect=422, **fields)
    assert message in answer["error"]
    assert bench.astria.balance_mc == before
    assert bench.ledger.created_prompts() == []


def test_a_reference_is_mentioned_and_not_sent_to(bench):
    """A faceid takes no prompts itself; an unknown tune is a 404."""
    face = bench.tune()
    assert "base model" in bench.prompt("a cat", face["id"], expect=422)["error"]
    bench.prompt("a cat", 99, expect=404)
    bench.prompt(f"<faceid:{face['id']}:1> woman", SEEDREAM)


def test_costs_follow_model_resolution_and_number(bench):
    """cost_mc covers all pictures of a prompt and leaves the balance."""
    before = bench.astria.balance_mc
    default, four = bench.prompt(num_images="2"), bench.prompt(resolution="4K")
    assert default["resolution"] == "2K"
    assert default["cost_mc"] == 2 * 14_000
    assert four["cost_mc"] == 24_000
    assert bench.astria.balance_mc == before - 52_000
    assert bench.get("/users")["usd_balance_mc"] == before - 52_000
    assert bench.ledger.spent_mc() == 52_000


def test_an_empty_balance_is_a_402_until_money_comes(make_bench):
    """What cannot be paid for is not made."""
    bench = make_bench(balance_usd=0.2)
    bench.prompt()
    bench.prompt(expect=402)
    assert len(bench.ledger.created_prompts()) == 1
    bench.astria.add_balance(1)
    bench.prompt()


def test_prompts_are_listed_found_and_filtered(bench):
    """All prompts, those of a tune, and those that a filter leaves, newest first."""
    one, two = bench.prompt("a red cat"), bench.prompt("A blue DOG", SEEDREAM)
    film = bench.prompt("a bird", video_model="kling30_standard", video_prompt="it flies")
    bench.call("POST", f"/prompts/{one['id']}/likes")

    def ids(path):
        return [prompt["id"] for prompt in bench.get(path)]

    assert ids("/prompts") == [film["id"], two["id"], one["id"]]
    assert ids(f"/tunes/{SEEDREAM}/prompts") == ids(f"/prompts?tune_id={SEEDREAM}") == [two["id"]]
    assert ids("/prompts?text=dog") == [two["id"]]
    assert ids("/prompts?liked=true") == [one["id"]]
    assert ids("/prompts?liked=false") == [film["id"], two["id"]]
    assert ids("/prompts?is_video=true") == [film["id"]]
    assert ids("/prompts?is_api=true&limit=1") == [film["id"]]
    assert ids("/prompts?is_api=false") == ids("/prompts?today=false") == []
    assert ids(f"/prompts?before_id={two['id']}") == [one["id"]]
    assert ids("/prompts?today=true&limit=1") == [film["id"]]
    assert bench.call("GET", f"/tunes/{GEMINI}/prompts/{two['id']}").status == 404
    assert bench.call("GET", f"/tunes/{SEEDREAM}/prompts/{two['id']}.json").status == 200


def test_deleting_liking_and_moving(bench):
    """DELETE ends a prompt and its pictures; PATCH moves it to a pack or a workspace."""
    prompt = bench.prompt()
    path = f"/tunes/{GEMINI}/prompts/{prompt['id']}"
    assert bench.call("PATCH", path, {"prompt[pack_id]": "260"}).json()["pack_id"] == 260
    assert bench.call("POST", f"/prompts/{prompt['id']}/likes").status == 201
    bench.now += 30
    url = bench.get(path)["images"][0]
    assert bench.picture(url).status == 200
    assert bench.call("DELETE", path).status == 200
    assert bench.call("GET", path).status == 404
    assert bench.picture(url).status == 404


def test_a_duplicate_takes_over_everything_but_what_it_changes(bench):
    """POST /prompts/:id/duplicate is a new prompt that knows where it came from."""
    first = bench.prompt("a cat", aspect_ratio="3:4", seed="1")
    second = bench.call("POST", f"/prompts/{first['id']}/duplicate", {"prompt[seed]": "2"}).json()
    assert second["id"] != first["id"]
    assert (second["text"], second["aspect_ratio"], second["seed"]) == ("a cat", "3:4", 2)
    assert second["orig_prompt_id"] == first["id"]


def test_input_files_are_kept_and_shown_as_links(bench):
    """A file sent with a prompt comes back as an address that serves its bytes."""
    data = b"\xff\xd8\xff pose"
    files = [("prompt[input_image]", Upload("pose.jpg", "image/jpeg", data))]
    prompt = bench.call("POST", f"/tunes/{GEMINI}/prompts", {"prompt[text]": "cat"}, files).json()
    answer = bench.picture(prompt["input_image"])
    assert (answer.body, answer.headers["content-type"]) == (data, "image/jpeg")


def test_thirty_days_later_prompt_and_pictures_are_gone(bench):
    """What was generated is deleted like what was trained."""
    prompt = bench.prompt()
    bench.now += 30
    url = bench.get(f"/prompts/{prompt['id']}")["images"][0]
    bench.now += 30 * DAY
    assert bench.call("GET", f"/prompts/{prompt['id']}").status == 404
    assert bench.picture(url).status == 404


def test_idempotency_looks_at_the_documented_attributes_only(make_bench):
    """Two prompts that differ in aspect_ratio are one to it, two with seeds of their own are two."""
    bench = make_bench(idempotency=True)
    first = bench.prompt("cat", seed="1", aspect_ratio="1:1")
    assert bench.prompt("cat", seed="1", aspect_ratio="16:9", resolution="4K")["id"] == first["id"]
    assert bench.prompt("cat", seed="2")["id"] != first["id"]
    assert bench.prompt("cat", SEEDREAM, seed="1")["id"] != first["id"]
    assert bench.prompt("cat", seed="1", num_images="2")["id"] != first["id"]
    assert len(bench.ledger.created_prompts()) == 4


def test_without_idempotency_the_same_prompt_is_paid_for_twice(bench):
    """Off is the default, and twice the same is two."""
    assert bench.prompt(seed="1")["id"] != bench.prompt(seed="1")["id"]


def test_lists_can_lag_behind_single_objects(make_bench):
    """With list_lag_seconds a new prompt is known by its id before it is listed."""
    bench = make_bench(list_lag_seconds=20)
    prompt = bench.prompt()
    assert bench.call("GET", f"/prompts/{prompt['id']}").status == 200
    assert bench.get("/prompts") == []
    bench.now += 20
    assert [one["id"] for one in bench.get("/prompts")] == [prompt["id"]]


def test_a_parameter_cannot_pose_as_a_fact(bench):
    """What the service says of a prompt is not overwritten by a parameter of that name."""
    prompt = bench.prompt(id="1", cost_mc="0", images="x")
    assert prompt["id"] != 1
    assert prompt["cost_mc"] == 14_000
    assert prompt["images"] == []
