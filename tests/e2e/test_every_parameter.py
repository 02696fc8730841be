"""Whatever Astria's create-prompt and create-tune calls take can be said with a file, and reaches Astria as it was said."""

import json

import pytest

from astria_sync import parameters, tunefile

URL = "https://pictures.example/a.jpg"
# As they are written in a prompt file, where a line of text or a number alone would not do.
WRITTEN = {
    "text": "only the block",
    "num_images": "3",
    "seed": "42",
    "aspect_ratio": "9:16",
    "resolution": "2K",
    "cfg_scale": "7.5",
    "steps": "30",
    "w": "640",
    "h": "1024",
    "denoising_strength": "0.8",
    "controlnet_conditioning_scale": "0.5",
    "lora_scale": "0.7",
    "workspace_id": "679",
    "pack_id": "12",
    "base_pack_id": "13",
    "video_duration": "5",
    "video_prompt": "she walks",
    "callback": "https://my.example/hook",
    "image_reference_urls": f"[{URL}, https://pictures.example/b.jpg]",
}
BOOLEANS = {
    "super_resolution",
    "inpaint_faces",
    "hires_fix",
    "face_correct",
    "face_swap",
    "use_lpw",
    "film_grain",
    "controlnet_txt2img",
}


def written(name):
    if name in WRITTEN:
        return WRITTEN[name]
    if name.endswith("_url"):
        return URL
    return "true" if name in BOOLEANS else "some words"


def front(name):
    lines = [f"{name}: {written(name)}"]
    if name == "video_model":
        lines.append("video_prompt: she walks")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def names():
    return [name for name in parameters.TYPES if name not in parameters.MEDIA]


def test_every_parameter_reaches_astria(studio, names):
    """Each under its own name and with the value that was written, URLs of media too."""
    for name in names:
        studio.prompt(f"{name}.prompt", "" if name == "text" else f"words about {name}", front(name))
    studio.run_once(timeout=30)
    sent = {post.field("prompt[text]"): post for post in studio.posts("/prompts$")}
    for name in names:
        post = sent["only the block" if name == "text" else f"words about {name}"]
        if name == "image_reference_urls":
            values = [value for key, value in post.fields if key == "prompt[image_reference_urls][]"]
            assert values == [URL, "https://pictures.example/b.jpg"]
        else:
            assert post.field(f"prompt[{name}]") == written(name), name


@pytest.mark.parametrize("name", parameters.MEDIA)
def test_every_file_reaches_astria(studio, name):
    """A file beside the prompt goes as a part of the request, under the name of its parameter; several in their order."""
    files = ["a.jpg", "b.jpg"] if name == "image_references" else ["a.jpg"]
    for file in files:
        studio.picture(file)
    value = f"[{', '.join(files)}]" if len(files) > 1 else files[0]
    studio.prompt("p.prompt", "words", f"{name}: {value}")
    studio.run_once()
    (post,) = studio.posts("/prompts$")
    field = "prompt[image_references][]" if name == "image_references" else f"prompt[{name}]"
    assert [(one.field, one.filename) for one in post.files] == [(field, file) for file in files]


TUNE = {
    "title": "'Jane at the sea'",
    "name": "'woman'",
    "model_type": "'lora'",
    "base_tune": "1504944",
    "characteristics": "{short_description = 'satin', sizes = {waist = 60}}",
    "auto_extend": "true",
    "branch": "'flux1'",
    "preset": "'flux-lora-portrait'",
    "steps": "300",
    "token": "'ohwx'",
    "face_crop": "true",
    "training_face_correct": "true",
    "image_urls": f"['{URL}']",
}


def test_every_key_of_a_tune_reaches_astria(studio):
    """Under the name that the create-tune call has for it; tables nested as they were written."""
    assert {*TUNE, "id", "pack", "prompt"} == set(tunefile.KEYS)
    for name, value in TUNE.items():
        studio.folder(f"of-{name}", toml=f"{name} = {value}")
    studio.run_once(timeout=30)
    sent = {post.field("tune[title]"): post for post in studio.posts("/tunes$")}
    for name, value in TUNE.items():
        post = sent["Jane at the sea" if name == "title" else f"of-{name}"]
        if name == "characteristics":
            said = {"short_description": "satin", "sizes": {"waist": 60}}
            assert json.loads(post.field("tune[characteristics]")) == said
        elif name == "image_urls":
            assert ("tune[image_urls][]", URL) in post.fields
        else:
            field = {"base_tune": "base_tune_id"}.get(name, name)
            assert post.field(f"tune[{field}]") == value.strip("'"), name


def test_a_checkpoint_says_an_empty_model_type(studio):
    """And gets its prompts sent to itself."""
    studio.folder("jane", toml="model_type = ''\nname = 'woman'")
    studio.prompt("jane/p.prompt", "<1> in the rain")
    studio.run_once()
    assert studio.posts("/tunes$")[0].field("tune[model_type]") == ""
    assert studio.only("jane/p.prompt").target == studio.tune("jane").remote_id


def test_captions_and_urls_go_with_the_pictures(studio):
    """A text of the same stem, and the addresses of urls.txt."""
    studio.folder("jane", toml="model_type = 'lora'\nname = 'woman'")
    studio.write("jane/1.txt", "a woman by a lake")
    studio.write("jane/urls.txt", f"# from the web\n{URL}\n")
    studio.run_once()
    (post,) = studio.posts("/tunes$")
    assert [one.filename for one in post.files] == ["1.jpg", "1.txt"]
    assert ("tune[image_urls][]", URL) in post.fields
