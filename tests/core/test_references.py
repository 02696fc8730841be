import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astria_sync.core.references import Index, Resolution, Subject, find, resolve

ROOT = "/home/u/inbox"


def folder(key, path, **changes):
    values = {"root": ROOT, "tune_id": key * 11, "ready": True, "model_type": "faceid", "class_noun": "woman"}
    return Subject(key=key, path=path, **(values | {"state": "ready"} | changes))


JANE = folder(1, "jane")
BROWN = folder(2, "dresses/brown-dress", class_noun="dress")
RED_DRESS = folder(3, "dresses/red", class_noun="dress")
RED_SHOES = folder(4, "shoes/red", class_noun="shoes")
STYLE = folder(5, "Moody Style", model_type="lora", class_noun="")
MODEL = folder(6, "my-model", model_type="")
SEVEN = folder(7, "people/7", class_noun="man")
PLACES = folder(8, ".", root="/srv/Places", class_noun="background")
ETE = folder(9, "été", class_noun="style")
ALL = (JANE, BROWN, RED_DRESS, RED_SHOES, STYLE, MODEL, SEVEN, PLACES, ETE)
INDEX = Index(ALL)


def told(text, *, subject=None, index=INDEX):
    result = resolve(text, subject=subject, index=index)
    assert (result.waits, result.reasons, result.problems) == ((), (), ())
    return result.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<jane> wearing <brown-dress>, white", "<faceid:11:1> woman wearing <faceid:22:1> dress, white"),
        ("<JANE>", "<faceid:11:1> woman"),
        ("<dresses/red>", "<faceid:33:1> dress"),
        ("<DRESSES/red>", "<faceid:33:1> dress"),
        ("<shoes/red/>", "<faceid:44:1> shoes"),
        ("<inbox/shoes/red>", "<faceid:44:1> shoes"),
        ("<./jane>", "<faceid:11:1> woman"),
        (f"<{ROOT}/jane>", "<faceid:11:1> woman"),
        ("in <Places>", "in <faceid:88:1> background"),
        ("<e\u0301te\u0301>", "<faceid:99:1> style"),
        ("<Moody Style>, rain", "<lora:55:1>, rain"),
        ("rain <Moody Style>", "rain <lora:55:1>"),
        ("<faceid:jane:1> smiles", "<faceid:11:1> smiles"),
        ("<lora:Moody Style:0.8>", "<lora:55:0.8>"),
        ("<lora:moody style:-.5>", "<lora:55:-.5>"),
        ("<faceid:dresses/red:1>", "<faceid:33:1>"),
        ("<7>", "<faceid:77:1> man"),
    ],
)
def test_mentions(text, expected):
    """A folder's name or path becomes Astria's token, with the class noun unless the token was spelled out."""
    assert told(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "<faceid:123:1> woman",
        "<faceid:7:1>",
        "<lora:123:0.8>",
        "<lora:epic-noise:0.5>",
        "<newkind:123:1>",
        "{{pose}} and {{ <jane> }} {{<a",
        "{{<jane>}}",
        "<{{who}}>",
        "{{<nobody>\n\\<}}",
        "{{",
        "a < b and c > d",
        "a <b",
        "<3 you",
        "<3>",
        "<2> <12>",
        "<>",
        "< jane>",
        "<jane >",
        "x <- y",
        "<-> <=>",
        "<ja\nne>",
        "bold</b>",
        f"<{'x' * 256}>",
        "<1>",
        "a \\ b \\\\ c",
        "",
        "plain white background #fff",
    ],
)
def test_what_passes_through(text):
    """Astria's own tokens, templates, and a `<` that opens no mention reach Astria as they were written."""
    assert told(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\\<jane>", "<jane>"),
        ("\\\\<jane>", "\\<jane>"),
        ("a \\< <jane>", "a < <faceid:11:1> woman"),
        ("<\\<jane>", "<<jane>"),
        ("<<jane>>", "<<faceid:11:1> woman>"),
    ],
)
def test_escapes(text, expected):
    """A backslash right before `<` makes it text, and is itself gone."""
    assert told(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<jane> woman wearing", "<faceid:11:1> woman wearing"),
        ("<jane>  Woman wearing", "<faceid:11:1> Woman wearing"),
        ("<jane>woman", "<faceid:11:1> woman"),
        ("<jane> womanly", "<faceid:11:1> woman womanly"),
        ("<jane> woman-like", "<faceid:11:1> woman woman-like"),
        ("<jane>, woman", "<faceid:11:1> woman, woman"),
        ("<jane>walks", "<faceid:11:1> woman walks"),
        ("<jane>'s hat", "<faceid:11:1> woman's hat"),
        ("<jane><brown-dress>", "<faceid:11:1> woman <faceid:22:1> dress"),
        ("<jane>\nwalks", "<faceid:11:1> woman\nwalks"),
    ],
)
def test_the_noun_stands_once_after_the_token(text, expected):
    """The class noun follows the token after one space, is not repeated, and does not run into the next word."""
    assert told(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<1> hiking", "<faceid:11:1> woman hiking"),
        ("<1> woman hiking", "<faceid:11:1> woman hiking"),
        ("a photo of <jane>", "a photo of <faceid:11:1> woman"),
        ("a photo of <./jane>", "a photo of <faceid:11:1> woman"),
        ("<faceid:jane:1> hiking", "<faceid:11:1> hiking"),
        ("<faceid:11:1> hiking", "<faceid:11:1> hiking"),
        ("hiking", "<faceid:11:1> woman hiking"),
        ("  hiking ", "<faceid:11:1> woman hiking "),
        ("woman hiking", "<faceid:11:1> woman hiking"),
        ("wearing <brown-dress>", "<faceid:11:1> woman wearing <faceid:22:1> dress"),
        ("\\<jane> on a sign", "<faceid:11:1> woman <jane> on a sign"),
        ("<faceid:111:1> hiking", "<faceid:11:1> woman <faceid:111:1> hiking"),
        ("", "<faceid:11:1> woman"),
    ],
)
def test_a_prompt_in_a_reference_folder_speaks_of_it(text, expected):
    """The folder's own tune is in every prompt of a reference folder, once, wherever it was put."""
    assert told(text, subject=JANE) == expected


def test_a_reference_without_a_noun_in_front():
    """Without a class noun the text follows the token after one space."""
    assert told("rainy street", subject=STYLE) == "<lora:55:1> rainy street"


@pytest.mark.parametrize("text", ["<1> hiking", "hiking", "<faceid:123:1> hiking"])
def test_a_checkpoint_folder_leaves_the_text_alone(text):
    """A checkpoint is where the prompt is sent to: `<1>` is Astria's to read, and nothing is put in front."""
    assert told(text, subject=MODEL) == text


def test_needs_name_each_folder_once():
    """`needs` has the folders mentioned and those needed otherwise, each once, in order."""
    result = resolve(
        "<brown-dress> <jane> <./jane> <faceid:999:1>", subject=None, index=INDEX, extra_needs=(MODEL, JANE)
    )
    assert result.needs == (2, 1, 6)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "training"}, "<bob>: its tune is training"),
        ({"state": "failed"}, "<bob>: its tune failed, see tune.error.txt in people/bob"),
        ({"state": "settling", "tune_id": None}, "<bob>: its pictures have not settled yet"),
        ({"state": "{odd}"}, "<bob>: its tune is not ready yet"),
        ({"state": "ready", "ready": True, "tune_id": None}, "<bob>: its tune is not ready yet"),
    ],
)
def test_waiting_for_a_tune(changes, reason):
    """A mention of a tune that is not ready says why, once, and there is no text to send."""
    bob = folder(20, "people/bob", **({"ready": False} | changes))
    result = resolve("<bob> and <people/bob>", subject=None, index=Index([bob]))
    assert result == Resolution(text=None, needs=(20,), waits=("bob",), reasons=(reason,), problems=())


@pytest.mark.parametrize("text", ["<1> hiking", "hiking"])
def test_waiting_for_the_own_tune(text):
    """A prompt waits for its own folder's tune also where it does not name it."""
    jane = folder(1, "jane", ready=False, state="training")
    result = resolve(text, subject=jane, index=Index([jane]))
    assert (result.waits, result.reasons) == (("jane",), ("<jane>: its tune is training",))


@pytest.mark.parametrize("text", ["<bob>", "<faceid:bob:1>", "<pti:bob:1> x <bob>"])
def test_waiting_for_a_folder(text):
    """A name without a folder is waited for, so that prompts may come before their pictures."""
    result = resolve(text, subject=None, index=INDEX)
    reasons = ("<bob>: no image folder of that name yet",)
    assert result == Resolution(text=None, needs=(), waits=("bob",), reasons=reasons, problems=())


def test_waiting_for_where_it_is_sent():
    """A folder needed without a mention is waited for too."""
    model = folder(6, "my-model", model_type="", ready=False, state="training")
    result = resolve("a hat", subject=None, index=Index([model]), extra_needs=[model])
    assert (result.text, result.reasons) == (None, ("my-model: its tune is training",))


def test_an_ambiguous_name_lists_the_folders():
    """A bare name that fits two folders is an error with their paths and with names that do work."""
    result = resolve("<red> hat, <red>", subject=None, index=INDEX)
    assert result.text is None
    assert result.problems == (
        "<red>: 2 image folders fit, dresses/red, shoes/red; say which with <dresses/red> or <shoes/red>",
    )


@pytest.mark.parametrize(
    "twins",
    [
        [folder(1, "jane"), folder(2, "people/jane"), folder(3, "old/people/jane")],
        [folder(1, "jane"), folder(2, "jane", root="/srv/other")],
        [folder(1, "x/jane"), folder(2, "x/jane", root="/srv/other"), folder(3, ".", root="/x/jane")],
        [folder(1, "a/Jane"), folder(2, "a/jane"), folder(3, "b/a/jane")],
        [folder(n, f"{n}/jane") for n in range(1, 30)],
    ],
)
def test_the_advice_for_an_ambiguous_name_works(twins):
    """Each spelling that an error offers means exactly the folder it is offered for."""
    index = Index(twins)
    for twin in twins:
        assert index.find(index.spelling(twin)) == (twin,)
    assert len(resolve("<JANE>", subject=None, index=index).problems) == 1


@pytest.mark.parametrize(
    ("subject", "advice"),
    [(None, "say `model: my-model`"), (MODEL, "say <1>"), (JANE, "say `model: my-model`")],
)
def test_a_checkpoint_cannot_be_mentioned(subject, advice):
    """Naming a checkpoint in the text is an error that says what to write instead."""
    result = resolve("<jane> <my-model>", subject=subject, index=INDEX)
    assert result.text is None
    (problem,) = result.problems
    assert problem.startswith("<my-model>: ")
    assert problem.endswith(advice)


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("a", ["a", "x/a"]),
        ("A", ["A"]),
        ("x/a", ["x/a"]),
        ("X/A", ["x/a"]),
        ("B", ["q/b", "x/b"]),
        ("q/b", ["q/b"]),
        ("z/q/b", []),
        ("/b", ["q/b", "x/b"]),
        ("./b", []),
        ("", []),
        ("/", []),
        ("./.", []),
        ("..", []),
        ("inbox", ["."]),
    ],
)
def test_find(name, paths):
    """Exact names come before other cases, whole paths before their ends, and all that fit equally are returned."""
    subjects = [folder(n, path) for n, path in enumerate(["a", "x/a", "A", "q/b", "x/b", "."])]
    assert [subject.path for subject in find(name, subjects)] == paths


MARKUP = st.sampled_from(
    [
        "<",
        ">",
        "{{",
        "}}",
        "\\",
        "/",
        ".",
        ":",
        "1",
        "faceid",
        "lora",
        "0.5",
        "jane",
        "red",
        "<jane>",
        "\n",
        " ",
    ]
)
ANY_TEXT = st.one_of(
    st.text(st.characters(codec=None, exclude_categories=())), st.lists(MARKUP, max_size=20).map("".join)
)


@given(ANY_TEXT, st.sampled_from([None, *ALL]))
def test_resolving_is_total(text, subject):
    """Any text is resolved, waits with a reason for each name, or has a problem; nothing raises."""
    result = resolve(text, subject=subject, index=INDEX)
    assert (result.text is None) == bool(result.waits or result.problems)
    assert len(result.waits) == len(result.reasons)


@given(st.text(st.characters(codec=None, exclude_categories=(), exclude_characters="<")))
def test_a_text_without_mentions_is_untouched(text):
    """Without a `<` and a subject, a prompt is sent exactly as it was written."""
    assert told(text) == text


@given(ANY_TEXT)
def test_a_text_with_every_bracket_escaped_mentions_nothing(text):
    """Escaping every `<` outside of templates is a sure way to send a text as it is."""
    text = text.replace("{{", "")
    while "{{" in text:
        text = text.replace("{{", "")
    assert told(text.replace("<", "\\<")) == text


@given(ANY_TEXT)
def test_finding_is_total(name):
    """Any name finds something or nothing."""
    assert set(INDEX.find(name)) <= set(ALL)


@pytest.mark.parametrize("unit", ["{{", "<", "<jane", "\\<", "}}{{", "<jane>", "<1> "])
def test_long_texts_are_quick(unit):
    """A pasted megabyte of markup takes no more than a moment."""
    started = time.perf_counter()
    resolve(unit * (300_000 // len(unit)), subject=JANE, index=INDEX)
    assert time.perf_counter() - started < 5


def test_many_folders_of_one_name_are_quick():
    """A path is found at once also where every person's folder is called the same."""
    index = Index([folder(n, f"person-{n}/photos") for n in range(5_000)])
    started = time.perf_counter()
    found = [index.find(f"person-{n}/photos")[0].key for n in range(5_000)]
    assert found == list(range(5_000))
    assert time.perf_counter() - started < 5
