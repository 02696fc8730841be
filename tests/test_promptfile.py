import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_sync import promptfile
from astria_sync.errors import FileProblem

NAME = "hiking.prompt"


def parse(text):
    return promptfile.parse(text.encode(), name=NAME)


def one(text):
    (request,) = parse(text).requests
    return request


def problems(text):
    with pytest.raises(FileProblem) as error:
        promptfile.parse(text if isinstance(text, bytes) else text.encode(), name=NAME)
    return error.value.problems


def block(front, text="x"):
    return f"---\n{front}\n---\n{text}"


def test_the_contracts_example_reads_as_it_says():
    """The documented file gives the documented request."""
    file = parse(
        "---\n"
        'aspect_ratio: 3:4          # reaches Astria as "3:4", never as a number\n'
        "num_images: 4\nresolution: 2K\nseed: 42\ninput_image: ./pose.jpg    # a file beside the prompt, or a URL\n"
        "---\n<jane> wearing <brown-dress>, look book, plain white background #fff\n"
    )
    (request,) = file.requests
    assert file.front_lines == 7
    assert request.text == "<jane> wearing <brown-dress>, look book, plain white background #fff"
    assert request.params == {"aspect_ratio": "3:4", "num_images": 4, "resolution": "2K", "seed": 42}
    assert request.files == {"input_image": ("./pose.jpg",)}
    assert (request.model, request.extra, request.variant) == (None, {}, {})


@pytest.mark.parametrize(
    "text", ["a cat", "a cat\r\n", "\ufeffa cat", "--\na cat", " ---\na: b\n---\n", "a\n---\nb\n---\n"]
)
def test_without_a_block_everything_is_the_prompt(text):
    """A block begins on the first line or not at all."""
    request = one(text)
    assert request.text == text.removeprefix("\ufeff").replace("\r\n", "\n").strip()
    assert request.params == {}


def test_a_text_may_hold_rules_braces_and_escapes():
    """Only the block on top is taken apart; what Astria or another step reads is left as written."""
    request = one("--- \nseed: 1\n---\t\na \\<b {{x}} {y}\n---\nc")
    assert request.text == "a \\<b {{x}} {y}\n---\nc"


@pytest.mark.parametrize("value", ["3:4", "1:1", "16:9"])
def test_ratios_are_text(value):
    """YAML 1.1 would read base-60 numbers here."""
    assert one(block(f"aspect_ratio: {value}")).params == {"aspect_ratio": value}


@pytest.mark.parametrize(
    "value",
    [
        "yes",
        "no",
        "on",
        "off",
        "2024-01-01",
        "2001-12-14t21:59:43.10-05:00",
        "1_000",
        "12:30:45",
        "=",
        "90",
        "1.50",
        "0x1F",
    ],
)
def test_text_stays_as_it_is_written(value):
    """Where text is wanted, nothing becomes a switch, a date or another number."""
    assert one(block(f"style: {value}")).params == {"style": value}
    assert one(block(f"style: '{value}'")).params == {"style": value}


@pytest.mark.parametrize("value", ["yes", "no", "on", "off", "2024-01-01", "1_000", "12:30:45"])
def test_words_are_no_values_of_another_type(value):
    """In `extra`, where no type is known, YAML 1.2's core decides and nothing else."""
    assert one(block(f"extra: {{a: {value}, b: [true, 1, 2.5]}}")).extra == {"a": value, "b": [True, 1, 2.5]}


@pytest.mark.parametrize(
    ("front", "words"),
    [
        ("num_image: 2", f'{NAME}: there is no key "num_image"; did you mean "num_images"?'),
        ("matrx: {a: [1]}", 'did you mean "matrix"?'),
        ("num_images: 9", "num_images must be a whole number from 1 to 8, not 9."),
        ("num_images: 1_0", "num_images"),
        ('num_images: "2"', "num_images"),
        ("seed: 4294967297", "seed"),
        ("seed: true", "seed"),
        ("style: true", "style"),
        ("style: #fff", "text with a # in it needs quotes"),
        ("face_swap: yes", "face_swap must be true or false"),
        ("seed: 1\nseed: 2", f'{NAME}, line 3: the key "seed" stands there twice'),
        ("seed: 1\nextra: {a: 1, a: 2}", f'{NAME}, line 3: the key "a" stands there twice'),
        ("seed: 1\n\tw: 8", f"{NAME}, line 3: the block on top is not YAML"),
        ("seed: [1", f"{NAME}, line 2: the block on top is not YAML"),
        ("- a", f"{NAME}, line 2: the block between"),
        ("seed 4", f"{NAME}, line 2: the block between"),
        ("style: !!python/object/apply:os.system [x]", "is not known here"),
        ("style: !mine x", "is not known here"),
        ("%YAML 1.1", "is not YAML"),
        ("? [a]\n: b", "cannot be a key"),
        ('style: "\\UFFFFFFFF"', "is not YAML"),
        ('style: "\\ud83d"', "no text can hold"),
        ('style: "\\0"', "no text can hold"),
        ("style: " + "[" * 3000, "nested too deeply"),
        ("extra: &a {b: *a}", "more values"),
        ("extra: [1]", "extra must be a table"),
        ("model: [1]", "model must be a model's name"),
        ("model: true", "model must be"),
        ("image_references: [a.jpg, https://x/y.jpg]", "mixes files and URLs"),
        ("input_image: a\ninput_image_url: https://x/y", "are both given"),
        ("text: y", "there is a text below the block and one in it"),
        ("extra: {seed: 4}", "seed under extra"),
        ("extra: {a: null}", "a under extra is, or holds, something that no form can say"),
        ("extra: {a: [1, null]}", "a under extra"),
        ("extra: {a: []}", "a under extra"),
        ("extra: {a: {}}", "a under extra"),
        ("extra: {a: {b: ~}}", "a under extra"),
        ("extra: {a: [[1]]}", "a under extra"),
        ("extra: {num_images: 8}", "num_images under extra"),
        ("w: 8\nextra: {w: 16}", "w under extra"),
        ("matrix: [1]", "matrix must be a table"),
        ("matrix: {seed: []}", "seed must be a list with at least one value"),
        ("matrix: {seed: 4}", "seed must be a list"),
        ("matrix: {seed: [1, -1]}", "matrix: seed must be a whole number"),
        ("matrix: {dress: [a]}", "dress is no parameter, and {dress} stands nowhere in the text"),
        ("seed: 4\nmatrix: {seed: [1]}", "seed is given both alone and under matrix"),
        ("input_image: a\nmatrix: {input_image_url: ['https://x/y']}", "are both given"),
        ("matrix: {extra: [1]}", "extra"),
    ],
)
def test_what_is_wrong_in_a_block_is_told(front, words):
    """One sentence, with the file, and the line where there is one."""
    (problem,) = problems(block(front))
    assert words in problem
    assert problem.startswith(NAME)


def test_all_problems_are_told():
    """A person mends a file once."""
    assert len(problems(block("num_images: 9\nsed: 1\nw: 5\nmatrix: {dress: [a], seed: [x]}"))) == 5


@pytest.mark.parametrize("data", [b"\xff\xfea\0", b"a\0b", b"\x89PNG\r\n\x1a\n", b"caf\xe9"])
def test_other_kinds_of_files_are_refused(data):
    """A picture renamed to .prompt is not sent as a text."""
    (problem,) = problems(data)
    assert "is not a text file" in problem


def test_a_block_must_be_closed():
    """A forgotten line would turn the prompt into settings."""
    assert problems("---\nseed: 1\na cat\n")[0].startswith(
        f"{NAME}, line 1: the block that begins here is never closed"
    )


def test_a_file_that_is_no_prompt_by_its_size_is_refused():
    """A film named .prompt is not read into memory piece by piece."""
    assert "larger than 1 MiB" in problems(b"a" * (promptfile.MAX_BYTES + 1))[0]


def test_aliases_cannot_grow_without_bound():
    """A small file cannot mean a huge one."""
    lines = ["extra:", "  a: &a [1,1,1,1,1,1,1,1,1]"]
    lines += [f"  {chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]" for i in range(9)]
    assert "more values" in problems(block("\n".join(lines)))[0]


def test_anchors_are_yaml_and_may_be_used_again():
    """An alias is its value; the nearest anchor above counts, and no warning is printed."""
    assert one(block("extra: {a: &x 1, b: *x, c: &x 2, d: *x}")).extra == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_urls_and_paths_are_told_apart():
    """URLs go under Astria's name for them, paths stay as written."""
    request = one(
        block("input_image: https://x/y.jpg\nimage_references: [b.jpg, ../a.jpg]\naudio_reference: a.mp3")
    )
    assert request.params == {"input_image_url": "https://x/y.jpg"}
    assert request.files == {"image_references": ("b.jpg", "../a.jpg"), "audio_reference": ("a.mp3",)}
    assert one(block("image_references: https://x/y.jpg")).params == {
        "image_reference_urls": ("https://x/y.jpg",)
    }


@pytest.mark.parametrize(
    ("written", "model"), [("gemini", "gemini"), ("3618064", "3618064"), ("'7'", "7"), ("a/b", "a/b")]
)
def test_a_model_is_a_name_or_a_number(written, model):
    """Both come out as text."""
    assert one(block(f"model: {written}")).model == model


def test_the_text_may_stand_in_the_block():
    """`text` is a parameter like the others when nothing stands below."""
    assert one(block("text: a cat", "")).text == "a cat"
    assert [request.text for request in parse(block("matrix: {text: [a, b]}", "")).requests] == ["a", "b"]


def test_a_matrix_is_every_combination_in_order():
    """The first name varies slowest, and each request is one of its own."""
    requests = parse(
        block("matrix: {dress: [brown, red], aspect_ratio: [3:4, 1:1]}", "a <{dress}> {{dress}} {x}")
    ).requests
    assert [(request.text, request.params) for request in requests] == [
        ("a <brown> {{dress}} {x}", {"aspect_ratio": "3:4"}),
        ("a <brown> {{dress}} {x}", {"aspect_ratio": "1:1"}),
        ("a <red> {{dress}} {x}", {"aspect_ratio": "3:4"}),
        ("a <red> {{dress}} {x}", {"aspect_ratio": "1:1"}),
    ]
    assert requests[1].variant == {"dress": "brown", "aspect_ratio": "1:1"}


def test_a_matrix_fills_blanks_as_written_and_only_once():
    """A value is text, whatever it looks like, and is not searched for blanks again."""
    texts = [
        request.text for request in parse(block("matrix: {a: ['{b}', 1.0, yes], b: [x]}", "{a}{b}")).requests
    ]
    assert texts == ["{b}x", "1.0x", "yesx"]


def test_a_matrix_may_set_model_and_files():
    """Each model and each file is a request."""
    requests = parse(block("matrix: {model: [gemini, 7], input_image: [a.jpg, https://x/y]}")).requests
    assert [(request.model, request.files, request.params) for request in requests] == [
        ("gemini", {"input_image": ("a.jpg",)}, {}),
        ("gemini", {}, {"input_image_url": "https://x/y"}),
        ("7", {"input_image": ("a.jpg",)}, {}),
        ("7", {}, {"input_image_url": "https://x/y"}),
    ]


def test_a_value_repeated_is_one_request():
    """Nothing is paid for twice, also where two ways of filling in give the same words."""
    assert len(parse(block("matrix: {seed: [1, 2, 1, 0x1]}")).requests) == 2
    assert len(parse(block("matrix: {a: [x, xy], b: [yz, z]}", "{a}{b}")).requests) == 3


def test_a_matrix_has_a_bound():
    """Ten thousand requests are the most; one more is an error before anything is made."""
    numbers = ",".join(map(str, range(100)))
    assert len(parse(block(f"matrix: {{seed: [{numbers}], a: [{numbers}]}}", "{a}")).requests) == 10_000
    assert "10,100 requests" in problems(block(f"matrix: {{seed: [{numbers}], a: [{numbers},x]}}", "{a}"))[0]
    assert (
        "too long" in problems(block(f"matrix: {{seed: [{numbers}], a: [{numbers}]}}", "{a}" + "x" * 9000))[0]
    )


def test_a_value_added_to_a_matrix_leaves_the_others_alone():
    """Only the new combinations are asked for."""
    before = parse(block("matrix: {dress: [brown], seed: [1, 2]}", "{dress}")).requests
    after = parse(block("matrix: {dress: [red, brown], seed: [1, 2, 3]}", "{dress}")).requests
    assert {request.fingerprint for request in before} < {request.fingerprint for request in after}
    assert len({request.fingerprint for request in after}) == 6


@pytest.mark.parametrize(
    "other",
    [
        "---\nseed: 1\nstyle: 90\n---\na cat",
        "---\nstyle: '90'\nseed: 0x1\n---\na cat\n\n",
        "---\n# a comment\n\n'seed': 1 # another\nstyle: 90\n--- \n\n  a cat  ",
        "\ufeff---\r\nseed: 1\r\nstyle: 90\r\n---\r\na cat\r\n",
        "---\n{style: 90, seed: +1}\n---\na cat",
        "---\nmatrix: {seed: [1]}\nstyle: 90\n---\na cat",
        "---\nseed: 1\nstyle: 90\ntext: a cat\n---\n",
    ],
)
def test_the_same_wish_has_the_same_fingerprint(other):
    """Comments, order, line ends and quotes are not what is paid for."""
    assert one(other).fingerprint == one("---\nseed: 1\nstyle: 90\n---\na cat").fingerprint


@pytest.mark.parametrize(
    "other",
    [
        "a dog",
        block("seed: 1", "a cat"),
        block("model: gemini", "a cat"),
        block("extra: {a: 1}", "a cat"),
        block("input_image: a", "a cat"),
    ],
)
def test_another_wish_has_another_fingerprint(other):
    """Whatever the file asks for counts."""
    assert one(other).fingerprint != one("a cat").fingerprint


PLAIN = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=40
).filter(str.strip)
FRONT = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 2**32),
        "num_images": st.integers(1, 8),
        "aspect_ratio": st.sampled_from(["1:1", "3:4", "16:9"]),
        "negative_prompt": PLAIN,
        "face_swap": st.booleans(),
        "cfg_scale": st.floats(0, 15),
        "model": st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True),
        "extra": st.dictionaries(
            PLAIN, st.booleans() | st.integers(-(10**15), 10**15) | PLAIN, min_size=1, max_size=3
        ).filter(
            lambda extra: not {key for key in extra if key.isascii() and key.replace("_", "").isalnum()}
        ),
    },
)


@settings(deadline=None)
@given(FRONT, PLAIN)
def test_what_is_written_is_what_is_asked_for(front, text):
    """JSON is YAML: every value comes back as it went in."""
    request = one(block(json.dumps(front), text))
    assert request.extra == front.pop("extra", {})
    assert request.model == front.pop("model", None)
    assert request.params == front
    assert request.text == text.strip()


@settings(deadline=None)
@given(FRONT, PLAIN, st.randoms())
def test_order_layout_and_comments_change_no_fingerprint(front, text, random):
    """The fingerprint is of the wish, not of the file."""
    keys = list(front)
    random.shuffle(keys)
    layout = "\r\n".join(["# why", *(f"{key}: {json.dumps(front[key], indent=1)}   # so" for key in keys)])
    assert (
        one(f"---\r\n{layout}\r\n---\r\n\r\n{text}\r\n").fingerprint
        == one(block(json.dumps(front), text)).fingerprint
    )


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=5, unique=True), st.integers(51, 99))
def test_a_matrix_grows_without_paying_again(seeds, new):
    """Whatever is added to a list, the requests that were there keep their fingerprints."""
    before = {request.fingerprint for request in parse(block(f"matrix: {{seed: {seeds}}}")).requests}
    after = {request.fingerprint for request in parse(block(f"matrix: {{seed: {[new, *seeds]}}}")).requests}
    assert before < after
    assert len(after) == len(before) + 1


NOISE = st.text(st.sampled_from("---\n\n: {}[]&*!|>'\"%@`#,?a1.:0xe_\\uU\t\r~<=é\u2028\x85"), max_size=60)


@settings(max_examples=300, deadline=None)
@given(st.binary() | NOISE.map(str.encode))
def test_no_bytes_break_the_reader(data):
    """A file is read or refused with words, whatever is in it."""
    for content in (data, b"---\n" + data + b"\n---\nx", b"---\nmatrix: {a: [" + data + b"]}\n---\n{a}"):
        try:
            told = promptfile.parse(content, name=NAME).requests
        except FileProblem as error:
            told = error.problems
            assert "\n" not in "".join(told)
        assert told
