import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_sync import tunefile
from astria_sync.errors import FileProblem
from astria_sync.tunefile import TuneFile, merge, parse, parse_urls

NAME = "dresses/tune.toml"
NOTHING = {}


def read(text):
    return parse(text.encode(), name=NAME)


def problems(text, function=parse, name=NAME):
    with pytest.raises(FileProblem) as error:
        function(text if isinstance(text, bytes) else text.encode(), name=name)
    return error.value.problems


def test_every_documented_key_reads():
    """What the contract lists is what a file may say."""
    found = merge(
        [
            read(
                'title = "Jane"\nname = "woman"\nmodel_type = "lora"\nbase_tune = "flux"\nauto_extend = true\n'
                'branch = "flux1"\npreset = "flux-lora-portrait"\nsteps = 300\ntoken = "ohwx"\nface_crop = false\n'
                'training_face_correct = true\nimage_urls = ["https://x/1.jpg"]\n'
                'characteristics = {short_description = "satin"}\n[prompt]\nnum_images = 4\nmodel = "seedream"\n'
            )
        ],
        defaults=NOTHING,
    )
    assert found == tunefile.TuneSettings(
        title="Jane", name="woman", model_type="lora", base_tune="flux", auto_extend=True, branch="flux1",
        preset="flux-lora-portrait", steps=300, token="ohwx", face_crop=False, training_face_correct=True,
        image_urls=("https://x/1.jpg",), characteristics={"short_description": "satin"},
        prompt={"num_images": 4}, prompt_model="seedream",
    )  # fmt: skip


def test_nothing_said_is_a_reference_of_faces():
    """An empty chain gives the documented default."""
    assert merge([], defaults=NOTHING) == merge([None, None], defaults=NOTHING) == tunefile.TuneSettings()
    assert merge([], defaults=NOTHING).model_type == "faceid"


def test_an_empty_model_type_is_a_checkpoint():
    """The empty text is a value of its own, and displaces an inherited one."""
    chain = [read('model_type = ""'), read('model_type = "lora"')]
    assert merge(chain, defaults=NOTHING).model_type == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('nme = "x"', 'there is no key "nme"; did you mean "name"?'),
        ('model_type = "face"', "model_type must be one of"),
        ('branch = "sd14"', "branch must be one of"),
        ('preset = "x"', "preset must be one of"),
        ("steps = 0", "steps"),
        ("steps = true", "steps"),
        ('title = ""', "title must be one line of text"),
        ("id = 0", "id must be a whole number greater than 0"),
        ('id = "12"', "id must be a whole number"),
        ('auto_extend = "yes"', "auto_extend must be true or false"),
        ("base_tune = true", "base_tune must be a model's name or a tune id"),
        ('image_urls = ["a.jpg"]', "image_urls must be a list of http(s) URLs"),
        ('image_urls = "https://x"', "image_urls"),
        ('pack = "../tunes"', "pack must be a pack's slug or id"),
        ('pack = ""', "pack must be"),
        ('id = 5\nimage_urls = ["https://x/y"]', "keep one of them"),
        ("characteristics = {since = 2024-01-01}", "characteristics.since"),
        ("characteristics = {size = nan}", "characteristics.size"),
        (
            "[prompt]\nnum_image = 2",
            f'{NAME}, [prompt]: there is no key "num_image"; did you mean "num_images"?',
        ),
        ("[prompt]\nnum_images = 9", "num_images"),
        ('[prompt]\ntext = "x"', "text cannot be a default"),
        ("[prompt]\nmatrix = {}", "matrix"),
        ("prompt = 1", "prompt must be a table"),
        ("steps = 1\nname =", f"{NAME}, line 2: this is not TOML"),
        (b"\xff", "is not a text file"),
    ],
)
def test_what_is_wrong_is_told(text, words):
    """One sentence that names the file and the key."""
    (problem,) = problems(text)
    assert words in problem
    assert problem.startswith(NAME)


def test_all_problems_are_told():
    """A person mends a file once."""
    assert len(problems('steps = 0\nnme = 1\npack = "x/y"\n[prompt]\nseed = -1\nw = 3')) == 5


def test_the_nearest_file_comes_first():
    """A folder inherits key by key, from the nearest, under all of which the configuration lies."""
    chain = [
        read('name = "dress"\ncharacteristics = {colour = "red"}\n[prompt]\nseed = 1'),
        None,
        read(
            'name = "cloth"\nsteps = 5\ncharacteristics = {colour = "blue", size = 3}\n[prompt]\nseed = 2\nnum_images = 3'
        ),
    ]
    found = merge(
        chain,
        defaults={
            "steps": 9,
            "token": "t",
            "characteristics": {"a": 1},
            "prompt": {"num_images": 1, "style": "x"},
        },
    )
    assert (found.name, found.steps, found.token) == ("dress", 5, "t")
    assert found.characteristics == {"colour": "red", "size": 3, "a": 1}
    assert found.prompt == {"seed": 1, "num_images": 3, "style": "x"}


def test_what_is_a_folders_own_is_not_inherited():
    """A title, an id and image URLs make one tune, not one for every folder below."""
    above = read('title = "x"\nimage_urls = ["https://x/1"]\nname = "dress"')
    found = merge([None, above, read("id = 5")], defaults=NOTHING)
    assert (found.title, found.image_urls, found.id, found.name) == (None, (), None, "dress")
    assert merge([read("id = 5"), above], defaults=NOTHING).id == 5


def test_a_file_displaces_an_inherited_url():
    """Of a picture given twice on the way down, the nearest is meant."""
    chain = [read('[prompt]\ninput_image = "pose.jpg"'), read('[prompt]\ninput_image_url = "https://x/y"')]
    assert merge(chain, defaults=NOTHING).prompt == {"input_image": "pose.jpg"}


def test_merging_changes_nothing_it_was_given():
    """Files are read once and merged for many folders."""
    above = read('title = "x"\n[prompt]\nmodel = "gemini"')
    defaults = {"prompt": {"model": "flux"}}
    first = merge([None, above], defaults=defaults)
    assert merge([None, above], defaults=defaults) == first
    assert above.values == {"title": "x", "prompt": {"model": "gemini"}}
    assert defaults == {"prompt": {"model": "flux"}}


def test_urls_are_read_line_by_line():
    """Blank lines and comments are no URLs; a # inside a URL is part of it."""
    data = b"\xef\xbb\xbf# front\r\nhttps://x/1.jpg\r\n\r\n  HTTP://y/2.jpg#top  # the back\n#https://no\n"
    assert parse_urls(data, name="urls.txt") == ("https://x/1.jpg", "HTTP://y/2.jpg#top")
    assert parse_urls(b"", name="urls.txt") == ()


def test_lines_that_are_no_urls_are_told_by_number():
    """Every wrong line is told, where it stands."""
    wrong = problems(
        "https://x/1\nx.jpg\n\nftp://x/1\nhttps://x/1 https://x/2\nhttp://", parse_urls, "urls.txt"
    )
    assert [problem.partition(":")[0] for problem in wrong] == [f"urls.txt, line {n}" for n in (2, 4, 5, 6)]
    assert "not a text file" in problems(b"\x89PNG\0", parse_urls, "urls.txt")[0]


@settings(deadline=None)
@given(st.binary() | st.text("ab =[]{}\"'\n#1.,_-\r\t\\u0", max_size=60).map(str.encode))
def test_no_bytes_break_the_readers(data):
    """A file is read or refused with words, whatever is in it."""
    for function, kind in ((parse, TuneFile), (parse_urls, tuple)):
        try:
            assert isinstance(function(data, name=NAME), kind)
        except FileProblem as error:
            told = error.problems
            assert told


@pytest.mark.parametrize("wrong", ["http:/nope", "https:nope", "http://", "nope.jpg"])
def test_a_url_that_is_none(wrong):
    """urls.txt says the line, tune.toml the key."""
    with pytest.raises(FileProblem, match=r"line 2: this is no http\(s\) URL"):
        tunefile.parse_urls(f"https://example.com/a.jpg\n{wrong}".encode(), name="urls.txt")
    with pytest.raises(FileProblem, match=r"image_urls.* http\(s\) URL"):
        tunefile.parse(f'image_urls = ["{wrong}"]'.encode(), name="tune.toml")
