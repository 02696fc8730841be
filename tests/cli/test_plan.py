"""`plan`: what would be sent."""

import json

import pytest

from astria_sync.cli import plan as module
from astria_sync.planned import Planned


@pytest.fixture
def drop(desk):
    """Folders with something of everything in them."""
    desk.configure()
    desk.picture("jane/a.jpg")
    (desk.inbox / "jane/hike.prompt").write_text("hiking")
    (desk.inbox / "look.prompt").write_text("<jane> and <nobody>")
    (desk.inbox / "bad.prompt").write_text("---\naspekt_ratio: 1:1\n---\nx")
    return desk


def test_plan_says_where_everything_would_go(drop):
    """The tune, the prompt with its tune mentioned, what waits and what cannot be sent; nothing is made."""
    result = drop("plan")
    assert result.exit_code == 0, result.output
    sent, _, rest = result.stdout.partition("WOULD WAIT")
    assert "POST /tunes, 1 file" in sent
    assert "POST /tunes/3618064/prompts" in sent
    assert "<id of the new tune>" in sent
    assert "<nobody>" in rest
    assert 'did you mean "aspect_ratio"' in rest.partition("CANNOT BE SENT")[2]
    assert result.stdout.endswith("Nothing was sent.\n")
    assert not drop.state.exists()
    assert not list(drop.inbox.rglob("*.error.txt"))


def test_plan_as_json(drop):
    """A program gets every request with its fields."""
    found = json.loads(drop("plan", "--json").stdout)
    assert [one["state"] for one in found["requests"] if one["kind"] == "tune"] == ["new"]
    tune = next(one for one in found["requests"] if one["kind"] == "tune")
    assert tune["request"] == "POST /tunes"
    assert ["tune[title]", "jane"] in tune["fields"]
    assert (found["estimate_usd"], found["unpriced"]) == (0, 3)


def test_verbose_shows_every_field(drop):
    """With --verbose each field and file stands below its request."""
    assert "tune[title] = jane" not in drop("plan").stdout
    assert "tune[title] = jane" in drop("--verbose", "plan").stdout


def test_nothing_to_plan(desk):
    """An empty folder would order nothing."""
    assert desk.configure()("plan").stdout == "Nothing would be sent.\n"


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ([0.5, 0.25], "about $0.75. Nothing"),
        ([0.5, None], "about $0.50, and 1 of them price not known yet. Nothing"),
        ([None, None], "2 prompts: price not known yet. Nothing"),
        ([0.0], "about $0.00. Nothing"),
    ],
)
def test_prices_add_up_as_far_as_they_are_known(capsys, prices, words):
    """What has no price yet is said, not taken for free."""
    planned = [
        Planned(
            kind="prompt",
            path=f"{number}.prompt",
            root="/in",
            state="new",
            method_path="POST /tunes/1/prompts",
            fields=[("prompt[text]", "x" * 200)],
            uploads=[],
            reason="",
            estimate_usd=price,
        )
        for number, price in enumerate(prices)
    ]
    module._for_people(planned, verbose=False)
    shown = capsys.readouterr().out
    assert words in shown
    assert "…" in shown


def test_what_was_made_long_ago_would_not_be_sent(desk, account):
    """With a state that is lost, the records beside the pictures are shown, and only the rest as requests."""
    desk.configure()
    desk.picture("jane/a.jpg")
    (desk.inbox / "jane/hike.prompt").write_text("hiking")
    assert desk("run", "--once", **account).exit_code == 0
    desk.state.unlink()
    (desk.inbox / "new.prompt").write_text("something new")
    shown = desk("plan").stdout
    sent, _, made = shown.partition("ALREADY MADE")
    assert "new.prompt" in sent
    assert "only if Astria does not know tune" in sent
    assert "hike.prompt" not in sent
    assert "jane/hike.prompt" in made
    assert "1 tune and 1 prompt" in made
    found = json.loads(desk("plan", "--json").stdout)
    assert [one["path"] for one in found["requests"]] == ["jane", "new.prompt"]
    assert [one["path"] for one in found["recorded"]] == ["jane/hike.prompt"]
    assert not desk.state.exists()


def test_nothing_is_planned_beside_an_output_that_cannot_be_read(desk):
    """What may have been paid for waits, and it is said why."""
    desk.configure()
    (desk.inbox / "p.prompt").write_text("words")
    (desk.home / "out").symlink_to("out")
    shown = desk("plan").stdout
    assert "WOULD WAIT (1)" in shown
    assert "may be recorded there" in " ".join(shown.split())


def test_what_is_wrong_behind_a_crowd_cannot_be_sent(desk):
    """A file that comes after a matrix of thousands is judged like any other."""
    desk.configure()
    numbers = list(range(40))
    (desk.inbox / "a.prompt").write_text(
        f"---\nmatrix: {{x: {numbers}, y: {numbers}}}\n---\na cat {{x}} {{y}}"
    )
    (desk.inbox / "z.prompt").write_text("---\nmodel: gemni\n---\na cat")
    found = json.loads(desk("plan", "--json").stdout)["requests"]
    (wrong,) = [one for one in found if one["path"] == "z.prompt"]
    assert (wrong["state"], 'did you mean "gemini"' in wrong["reason"]) == ("failed", True)


@pytest.mark.parametrize("text", ["150 files", "a matrix"])
def test_a_crowd_is_shown_as_held_on_a_new_state(desk, text):
    """What `run` would hold for `approve` is held in the plan too, although nothing was looked for in the account yet."""
    desk.configure()
    desk.picture("jane/a.jpg")
    if text == "a matrix":
        numbers = list(range(12))
        (desk.inbox / "jane/m.prompt").write_text(
            f"---\nmatrix: {{x: {numbers}, y: {numbers}}}\n---\na {{x}} {{y}}"
        )
    else:
        for n in range(144):
            (desk.inbox / f"jane/{n}.prompt").write_text(f"words {n}")
    (desk.inbox / "bad.prompt").write_text("---\nnum_images: 99\n---\nx")
    shown = desk("plan").stdout
    assert "WOULD BE HELD BACK (144)" in shown
    assert f"more than 100 new prompts at one go; `{desk.itself} approve --all` lets them go" in shown
    assert "what is in the account already is found there" in shown
    assert shown.partition("WOULD BE HELD BACK")[0].count("POST") == 1
    assert "CANNOT BE SENT (1)" in shown
    assert shown.endswith(" 144 of them would be held back. Nothing was sent.\n")
    assert not desk.state.exists()


def test_a_few_are_not_held(desk):
    """As many as `hold_above` go."""
    desk.configure()
    for n in range(100):
        (desk.inbox / f"{n}.prompt").write_text(f"words {n}")
    assert "WOULD BE SENT (100)" in desk("plan").stdout


def test_a_tune_that_is_there_is_counted_as_nothing_to_send(desk):
    """With `id` in tune.toml nothing is made of the folder; programs find it beside the requests."""
    desk.configure()
    desk.picture("jane/a.jpg")
    (desk.inbox / "jane/tune.toml").write_text("id = 123")
    shown = desk("plan").stdout
    assert "USED AS THEY ARE (1)" in shown
    assert shown.endswith("Nothing would be sent.\n")
    found = json.loads(desk("plan", "--json").stdout)
    assert (found["requests"], [one["path"] for one in found["used"]]) == ([], ["jane"])
