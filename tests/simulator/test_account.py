"""Token, workspaces, packs, rate, models: what is around tunes and prompts."""

import io

import pytest
from PIL import Image

from astria_sync.simulator.forms import Upload

GEMINI = 3618064


def test_without_the_right_token_nothing_but_the_catalog_is_open(bench):
    """401 for no token and for a wrong one; /cli/models needs none."""
    for headers in ({"authorization": ""}, {"authorization": "Bearer sd_wrong"}):
        assert bench.call("GET", "/tunes", headers=headers).status == 401
        assert (
            bench.call("POST", f"/tunes/{GEMINI}/prompts", {"prompt[text]": "x"}, headers=headers).status
            == 401
        )
        assert bench.call("GET", "/cli/models", headers=headers).status == 200
    assert bench.ledger.created_prompts() == []
    assert {entry.authorised for entry in bench.ledger.requests()} == {False}


def test_the_token_is_random_and_never_written_down(make_bench):
    """Two stand-ins have two tokens, and no ledger holds one."""
    one, two = make_bench(), make_bench()
    assert one.astria.token != two.astria.token
    assert one.astria.token.startswith("sd_")
    one.prompt()
    assert one.astria.token not in repr(one.ledger.as_json())
    assert make_bench(token="chosen").astria.token == "chosen"


def test_the_catalog_names_the_models_by_id(bench):
    """The default model and the known ids are in /cli/models."""
    models = bench.get("/cli/models")
    assert models["models"]["gemini"]["tune_id"] == GEMINI
    assert models["default"] == "gemini"
    assert models["video_models"]


def test_a_workspace_is_a_scope_of_its_own(bench):
    """What is made in a workspace is seen there and in `all`, and not from the personal scope."""
    space, everywhere = {"x-workspace-id": "679"}, {"x-workspace-id": "all"}
    own, shared = bench.tune("own"), bench.tune("shared", headers=space)
    assert shared["workspace_id"] == 679

    def ids(headers=None):
        return [tune["id"] for tune in bench.get("/tunes", headers=headers)]

    assert ids() == [own["id"]]
    assert ids(space) == [shared["id"]]
    assert ids(everywhere) == [shared["id"], own["id"]]
    assert bench.call("GET", f"/tunes/{shared['id']}").status == 404
    assert bench.call("GET", f"/tunes/{GEMINI}", headers=space).status == 200
    assert bench.call("GET", "/tunes", headers={"x-workspace-id": "1"}).status == 403
    assert bench.prompt(workspace_id="680")["workspace_id"] == 680
    assert bench.ledger.created_tunes()[1].facts["workspace_id"] == 679


def test_workspaces_are_listed_made_and_changed(bench):
    """GET and POST /workspaces.json, GET and PATCH /workspaces/:id."""
    assert [space["id"] for space in bench.get("/workspaces.json")] == [679, 680]
    made = bench.call("POST", "/workspaces.json", {"workspace[title]": "New One"}).json()
    assert made["slug"] == "new-one"
    bench.call("PATCH", f"/workspaces/{made['id']}.json", {"workspace[brief]": "plain"})
    assert bench.get(f"/workspaces/{made['id']}")["brief"] == "plain"
    assert bench.call("POST", "/workspaces", {"workspace[title]": ""}).json()["message"]


def test_packs_are_found_by_slug_and_id_with_templates_and_costs(bench):
    """GET /p/:slug and /p/:id are the same pack; its costs are those of its templates."""
    pack = bench.get("/p/corporate-headshots")
    assert pack == bench.get("/p/260.json")
    women = [template for template in pack["template_prompts"] if template["class_name"] == "woman"]
    assert pack["costs"]["woman"]["cost_mc"] == sum(template["cost_mc"] for template in women)
    assert {pack["id"] for pack in bench.get("/gallery/packs")} == {260, 261}
    assert bench.call("GET", "/p/none").status == 404


def test_a_pack_runs_on_tunes_that_are_there(bench):
    """tune[tune_ids][] answers with the order and the prompts; overrides and brief reach every prompt."""
    face = bench.tune()
    fields = {
        "tune[tune_ids][]": str(face["id"]),
        "tune[brief]": "golden hour",
        "tune[prompt_attributes][num_images]": "1",
    }
    answer = bench.call("POST", "/p/corporate-headshots/tunes", fields).json()
    assert answer["order"]["tune_ids"] == [face["id"]]
    prompts = [bench.get(f"/prompts/{prompt_id}") for prompt_id in answer["prompt_ids"]]
    assert [prompt["num_images"] for prompt in prompts] == [1, 1]
    assert prompts[0]["text"] == (
        f"<faceid:{face['id']}:1> woman in a navy suit, office, soft window light, golden hour"
    )
    order = bench.get(f"/prompts?order_id={answer['order']['id']}")
    assert sorted(prompt["id"] for prompt in order) == sorted(answer["prompt_ids"])


def test_a_pack_makes_a_tune_and_all_its_prompts(bench):
    """With pictures the answer is the tune; its prompts are found by its id in their text."""
    fields = {"tune[title]": "Jo", "tune[name]": "dress", "tune[characteristics][mood]": "soft"}
    files = [("tune[images][]", Upload("1.jpg", "image/jpeg", b"\xff\xd8\xff"))]
    tune = bench.call("POST", "/p/261/tunes", fields, files).json()
    assert (tune["model_type"], tune["characteristics"]) == ("lora", {"mood": "soft"})
    assert [prompt["num_images"] for prompt in bench.get(f"/prompts?text=lora:{tune['id']}")] == [4]
    assert bench.call("POST", "/p/261/tunes", {"tune[title]": "x", "tune[name]": "car"}, files).status == 422


def test_with_idempotency_a_pack_makes_a_title_once(make_bench):
    """The same order again gives the tune that is there and no further prompts."""
    bench = make_bench(idempotency=True)
    fields = {"tune[title]": "Jo", "tune[name]": "man"}
    files = [("tune[images][]", Upload("1.jpg", "image/jpeg", b"\xff\xd8\xff"))]
    first, second = (bench.call("POST", "/p/260/tunes", fields, files).json() for _ in range(2))
    assert first["id"] == second["id"]
    assert len(bench.ledger.created_prompts()) == 2


@pytest.mark.parametrize(("prompt_ids", "count"), [(["501"], 1), (["501", "502"], 2), ([], 2)])
def test_a_pack_runs_in_part(bench, prompt_ids, count):
    """tune[prompt_ids][] picks templates."""
    fields = [("tune[tune_ids][]", str(bench.tune()["id"]))]
    fields += [("tune[prompt_ids][]", prompt_id) for prompt_id in prompt_ids]
    assert len(bench.call("POST", "/p/260/tunes", [*fields]).json()["prompt_ids"]) == count


def test_a_pack_of_ones_own_is_made_and_listed(bench):
    """POST /packs makes one; public ones are listed when asked for."""
    bench.call("POST", "/packs", {"pack[title]": "My Pack", "pack[base_tune_id]": str(GEMINI)})
    assert bench.get("/p/my-pack")["template_prompts"] == []
    assert {pack["slug"] for pack in bench.get("/packs?public=true&listed=true")} == {
        "corporate-headshots",
        "spring-lookbook",
    }


def test_too_many_requests_are_told_when_to_come_again(make_bench):
    """A token bucket: so many a second, then 429 with Retry-After, then again after that time."""
    bench = make_bench(rate_limit=0.5)
    assert bench.call("GET", "/tunes").status == 200
    refused = bench.call("GET", "/tunes")
    assert (refused.status, refused.headers["retry-after"]) == (429, "2")
    bench.now += 2
    assert bench.call("GET", "/tunes").status == 200


def test_pictures_are_inspected(bench):
    """POST /images/inspect warns about small ones and refuses what is none."""
    small = io.BytesIO()
    Image.new("RGB", (40, 40)).save(small, "PNG")
    files = [("file", Upload("a.png", "image/png", small.getvalue()))]
    assert bench.call("POST", "/images/inspect", {"name": "woman"}, files).json()["low_resolution"] is True
    files = [("file", Upload("a.png", "image/png", b"nothing"))]
    assert bench.call("POST", "/images/inspect", {"name": "woman"}, files).status == 422


@pytest.mark.parametrize("path", ["/", "/nothing", "/tunes/abc", "/tunes/1/nothing", "/prompts/1"])
def test_what_is_not_there_is_a_404(bench, path):
    """Unknown paths and ids."""
    assert bench.call("GET", path).status == 404


def test_a_field_that_is_two_kinds_of_thing_is_a_400(bench):
    """A body that contradicts itself is refused, not a crash."""
    fields = [("tune[title]", "x"), ("tune[title][]", "y")]
    assert bench.call("POST", "/tunes", fields).status == 400


def test_prompts_of_a_pack_may_appear_one_after_the_other(make_bench):
    """With `pack_seconds` the answer names all of them at once, and lists show them as time goes by."""
    bench = make_bench(pack_seconds=10)
    tune = bench.tune("jane")
    answer = bench.call("POST", "/p/260/tunes", {"tune[tune_ids][]": str(tune["id"])}).json()
    assert len(answer["prompt_ids"]) == 2
    assert [one["id"] for one in bench.get("/prompts")] == answer["prompt_ids"][:1]
    bench.now += 10
    assert sorted(one["id"] for one in bench.get("/prompts")) == answer["prompt_ids"]


def test_a_service_that_does_not_tell_of_packs(make_bench):
    """Without `tells_packs` no prompt shows of which pack or order it is; the filters work all the same."""
    bench = make_bench(tells_packs=False)
    tune = bench.tune("jane")
    bench.call("POST", "/p/260/tunes", {"tune[tune_ids][]": str(tune["id"])})
    shown = bench.get("/prompts?base_pack_id=260")
    assert len(shown) == 2
    assert not {"pack_id", "base_pack_id", "order_id", "orig_prompt_id"} & shown[0].keys()
