import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_sync.parameters import MEDIA, PARAMETERS, TYPES, check_params, limits, overlay, split_files


def test_every_file_parameter_has_a_url_twin():
    """What can be uploaded can be linked, under the name that Astria gave it."""
    assert {name: one.url_key for name, one in MEDIA.items()} == {
        "input_image": "input_image_url",
        "mask_image": "mask_image_url",
        "image_references": "image_reference_urls",
        "video_first_frame": "video_first_frame_url",
        "video_last_frame": "video_last_frame_url",
        "input_video": "input_video_url",
        "audio_reference": "audio_reference_url",
    }
    assert set(TYPES) == set(PARAMETERS) | {one.url_key for one in MEDIA.values()}


def test_ints_become_floats_and_lone_media_become_lists():
    """Two spellings of one value come out the same."""
    good, problems = check_params({"cfg_scale": 7, "image_references": "a.jpg"}, where="p")
    assert (repr(good["cfg_scale"]), good["image_references"], problems) == ("7.0", ("a.jpg",), [])


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"num_images": 9}, "num_images must be a whole number from 1 to 8"),
        ({"num_images": 0}, "num_images"),
        ({"num_image": 1}, 'did you mean "num_images"?'),
        ({"seed": -1}, "seed must be a whole number from 0 to 4294967296"),
        ({"seed": 2**32 + 1}, "seed"),
        ({"aspect_ratio": "7:1"}, "one of 1:1, 16:9, 9:16"),
        ({"w": 513}, "w must be a whole number greater than 0 and a multiple of 8"),
        ({"h": 0}, "h must be"),
        ({"cfg_scale": 15.5}, "cfg_scale must be a number from 0 to 15"),
        ({"steps": 51}, "steps"),
        ({"face_swap": "yes"}, "face_swap must be true or false"),
        ({"input_image": ""}, "input_image must be the path of a file or an http(s) URL"),
        ({"input_image": "ftp://x/y.jpg"}, "input_image"),
        ({"input_image": "data:image/png;base64,aa"}, "input_image"),
        ({"input_image": "a.jpg", "input_image_url": "https://x/y"}, "are both given"),
        ({"input_image_url": "./a.jpg"}, "input_image_url must be an http(s) URL"),
        ({"image_references": []}, "image_references"),
        ({"image_references": ["a.jpg", "https://x/y"]}, "mixes files and URLs"),
        ({"callback": "localhost"}, "callback"),
        ({"theme": None}, "theme has no value"),
    ],
)
def test_a_wrong_parameter_is_told(table, words):
    """Each is one sentence that names the key."""
    problems = check_params(table, where="a.prompt")[1]
    assert len(problems) == 1
    assert words in problems[0]


@pytest.mark.parametrize(
    "table",
    [
        {"seed": 2**32},
        {"seed": 0},
        {"input_image": "C:\\pictures\\a.jpg"},
        {"input_image": "my pose.jpg"},
        {"input_image": "HTTPS://x/y.jpg"},
        {"image_references": ["https://x/1", "https://x/2"]},
        {"video_duration": 5},
        {"video_duration": "5s"},
        {"backend_version": 1},
        {"workspace_id": 679},
    ],
)
def test_a_right_parameter_passes(table):
    """Nothing that Astria takes is refused."""
    assert check_params(table, where="p")[1] == []


def test_urls_go_to_their_twin_and_files_stand_apart():
    """What is sent as a field and what is uploaded are told apart once, in one place."""
    good, _ = check_params(
        {"seed": 1, "input_image": "https://x/y", "mask_image": "m.png", "image_references": ["b", "a"]},
        where="p",
    )
    assert split_files(good) == (
        {"seed": 1, "input_image_url": "https://x/y"},
        {"mask_image": ("m.png",), "image_references": ("b", "a")},
    )


def test_what_comes_first_displaces_its_twin():
    """A file in the prompt and a URL among the defaults are not both sent."""
    assert overlay({"input_image_url": "https://x", "seed": 1}, {"input_image": "a"}) == {
        "seed": 1,
        "input_image": "a",
    }
    assert overlay({"input_image": "a"}, {"input_image_url": "https://x"}) == {"input_image_url": "https://x"}


@pytest.mark.parametrize(
    ("params", "text", "model", "words"),
    [
        ({}, "  ", None, "There is no text"),
        ({"input_image": ("a",)}, "", None, "There is no text"),
        ({"num_images": 5}, "x", "seedream", "1 to 4 images"),
        ({}, "<1> on a beach", "seedream", "does not know <1>"),
        ({"num_images": 9}, "x", None, "num_images"),
        ({"aspect_ratio": "7:1"}, "x", None, "16:9"),
        ({"w": 5}, "x", None, "multiple of 8"),
        ({"image_references": ("a",), "image_reference_urls": ("https://x",)}, "x", None, "are both given"),
        ({"video_model": "v"}, "x", None, "video_prompt"),
    ],
)
def test_limits_known_beforehand_are_told(params, text, model, words):
    """Nothing is sent that is known to be refused."""
    problems = limits(params, text, model_name=model)
    assert len(problems) == 1
    assert words in problems[0]


@pytest.mark.parametrize(
    ("params", "text", "model"),
    [
        ({"num_images": 8}, "<1>", "gemini"),
        ({"num_images": 4}, "x", "seedream"),
        ({}, r"\<1>", "seedream"),
        ({"input_image": ("a.jpg",), "image_references": ("a", "b")}, "x", None),
        ({"video_first_frame": ("a.jpg",), "video_model": "v", "video_prompt": "p"}, "", None),
        ({"source_image_url": "https://x/y"}, "", None),
        ({"brand_new": 1}, "x", None),
    ],
)
def test_what_is_within_the_limits_passes(params, text, model):
    """A video may start from a picture instead of a text, and what came through `extra:` is not judged."""
    assert limits(params, text, model_name=model) == []


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from([*TYPES]), st.text() | st.integers() | st.lists(st.text(), max_size=3))
)
def test_checked_parameters_pass_again(table):
    """Checking is stable: what came out of it goes through unchanged."""
    good, _ = check_params(table, where="p")
    again, problems = check_params(good, where="p")
    assert again == good
    assert not [problem for problem in problems if "must be" in problem]


def test_the_module_does_not_read_yaml():
    """The configuration uses this table too, and must not pay for a YAML parser at every start."""
    source = Path(check_params.__code__.co_filename).read_text(encoding="utf-8")
    assert not re.search(r"^(import|from) (ruamel|astria_sync.*frontmatter)", source, re.MULTILINE)


@pytest.mark.parametrize(
    "wrong", ["http:/nope", "https:nope", "HTTP:/nope/x.jpg", "http://", "https:///x.jpg", "ftp:/x.jpg"]
)
@pytest.mark.parametrize("name", sorted(MEDIA))
def test_a_url_that_is_none_is_no_path(name, wrong):
    """What begins like a URL and is none is told as that, not as a file that is missing; in lists too."""
    for value in [wrong] if MEDIA[name].kind == "file" else [wrong, ["https://example.com/a.jpg", wrong]]:
        _, problems = check_params({name: value}, where="p.prompt")
        (problem,) = problems
        assert "http(s) URL" in problem
        assert name in problem
    _, problems = check_params({MEDIA[name].url_key: wrong}, where="p.prompt")
    assert "http(s) URL" in problems[0]
