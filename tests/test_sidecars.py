"""Records beside pictures, read from a folder that anybody may write into."""

import json
import os
import tracemalloc

import pytest

from astria_sync import sidecars
from astria_sync.core import work

TEXT = "words"
GOOD = {
    "version": 1,
    "id": 5,
    "page": "https://www.astria.ai/prompts/5",
    "source": {
        "root": "/in",
        "path": "jane/p.prompt",
        "sha256": "3b3a61a1ff7b1ba79e2cdf3e4c4ae9dc1b5ec6b9b0d8ef6e2fe9dd2bb1c2d3aa",
        "text": TEXT,
        "variant": {},
        "run": 1,
        "fingerprint": "f" * 64,
    },
    "text": "words",
    "tune_id": 3618064,
    "seed": 7,
    "parameters": {"seed": 7, "num_images": 1},
    "files": [],
    "tunes": [{"id": 9, "folder": "jane", "content": "c"}],
    "cost_mc": 100,
    "sent_at": "2026-08-01T10:00:00.000+00:00",
    "answer": {"id": 5},
    "images": [
        {"n": 1, "file": "p-5-1.jpg", "size": 3, "sha256": "a" * 64, "url": "https://cdn.example/1.jpg"}
    ],
}


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    (folder / "jane" / "p").mkdir(parents=True)
    return folder


def put(out, data, name="p-5.json", folder="jane/p"):
    """A record as bytes, as text, or as the good one with changes; `images.file` stands for that key of the first picture."""
    if isinstance(data, dict):
        found = json.loads(json.dumps(GOOD))
        for key, value in data.items():
            *above, last = key.split(".")
            place = found
            for part in above:
                place = place[part][0] if isinstance(place[part], list) else place[part]
            place[last] = value
        data = json.dumps(found)
    place = out / folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data if isinstance(data, bytes) else data.encode())
    return place


def find(out, **how):
    return sidecars.find(work.FindSidecars(output=str(out), **how))


def test_a_record_and_its_pictures(out):
    """What is found says whose it is and where it lies; read whole, it says which of its pictures are there."""
    put(out, {})
    put(out, {"id": 6, "images.file": "p-6-1.jpg"}, "p-6.json")
    (out / "jane/p/p-5-1.jpg").write_bytes(b"abc")
    (out / "jane/p/p-6-1.jpg").write_bytes(b"of another size")
    found = find(out)
    assert found.problem == ""
    assert [(one.id, one.path, one.subject, one.folder, one.name) for one in found.records] == [
        (5, "jane/p.prompt", "c", "jane/p", "p-5.json"),
        (6, "jane/p.prompt", "c", "jane/p", "p-6.json"),
    ]
    assert [(one.id, one.root, one.folder, one.content) for one in found.tunes] == [(9, "/in", "jane", "c")]
    (five, here), (_, gone) = sidecars.read(work.ReadSidecars(output=str(out), records=found.records)).found
    assert (five.id, five.seed, five.cost_mc, five.answer) == (5, 7, 100, {"id": 5})
    assert (here, gone) == (1, 0)


HOSTILE = {
    "empty": "",
    "no JSON": "hello",
    "not UTF-8": b'{"id": 5, "text": "\xff\xfe"}',
    "half of it": json.dumps(GOOD)[:-40],
    "a list": "[1, 2, 3]",
    "deep": '{"answer": ' + '{"a": ' * 50_000 + "1" + "}" * 50_000 + "}",
    "deep where nobody looks": '{"x": ' + "[" * 500_000 + "]" * 500_000 + "}",
    "an endless number": '{"id": 5, "seed": ' + "9" * 5000 + "}",
    "a lone surrogate": json.dumps(GOOD).replace('"words"', '"\\ud800"'),
    "an id as text": {"id": "5"},
    "an id as a fraction": {"id": 5.5},
    "a negative id": {"id": -5},
    "another id than its name": {"id": 6},
    "an absurd id": {"id": 2**60},
    "no source": {"source": None},
    "a source that is text": {"source": "jane/p.prompt"},
    "a path that leads out": {"source.path": "../../etc/p.prompt"},
    "an absolute path": {"source.path": "/etc/p.prompt"},
    "an empty path": {"source.path": ""},
    "a path with a NUL": {"source.path": "jane/p\0.prompt"},
    "a relative root": {"source.root": "in"},
    "no fingerprint": {"source.fingerprint": ""},
    "a variant that is a list": {"source.variant": ["a"]},
    "a run that is none": {"source.run": 0},
    "no pictures": {"images": []},
    "pictures as text": {"images": "p-5-1.jpg"},
    "a picture elsewhere": {"images.file": "../../x"},
    "a picture elsewhere on Windows": {"images.file": "..\\..\\x.jpg"},
    "a picture that is hidden": {"images.file": ".p.jpg"},
    "a picture that is a folder": {"images.file": ".."},
    "a picture without a kind": {"images.file": "p-5-1"},
    "a picture with a NUL": {"images.file": "p\0.jpg"},
    "a picture of a long name": {"images.file": "p" * 300 + ".jpg"},
    "a picture of no size": {"images.size": None},
    "a hash that is none": {"images.sha256": "../x"},
    "two of one number": {"images": [GOOD["images"][0], GOOD["images"][0]]},
    "parameters that are text": {"parameters": "x"},
    "a tune elsewhere": {"tunes.folder": "../.."},
    "a tune of no number": {"tunes.id": "9"},
    "a workspace with a line break": {"workspace_id": "6\r\nX-Evil: 1"},
    "a price below nothing": {"cost_mc": -1},
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_record_is_left_alone(out, data):
    """Nothing of it is believed, and the good one beside it is found."""
    put(out, data)
    put(out, {"id": 77, "images.file": "q-77-1.jpg"}, "q-77.json")
    found = find(out)
    assert ([one.id for one in found.records], found.problem) == ([77], "")


@pytest.mark.parametrize(
    "name", ["p.json", "p-0.json", "p-5.JSON.bak", ".p-5.json", "p-5.json.part", "-5.json"]
)
def test_other_names(out, name):
    """What is not called like a record, is hidden or half, is not opened."""
    put(out, {}, name)
    assert find(out).records == ()


@pytest.mark.parametrize("folder", [".trash/p", "lost+found", "#recycle/jane", "$RECYCLE.BIN"])
def test_what_was_thrown_away(out, folder):
    """A record in a bin is none."""
    put(out, {}, folder=folder)
    assert find(out).records == ()


def test_links_and_strange_files(out, tmp_path):
    """Nothing outside the output is read, and nothing waits for a pipe."""
    away = put(tmp_path, {}, folder="away")
    (out / "link").symlink_to(away.parent, target_is_directory=True)
    (out / "p-5.json").symlink_to(away)
    os.mkfifo(out / "q-6.json")
    (out / "r-7.json").mkdir()
    assert find(out) == work.Sidecars(place=sidecars.place_of(str(out)))


def test_the_output_itself_may_be_a_link(out, tmp_path):
    """Pictures on another disk."""
    put(out, {})
    (tmp_path / "pictures").symlink_to(out)
    assert [one.folder for one in find(tmp_path / "pictures").records] == ["jane/p"]


def test_an_output_inside_another(out):
    """Its records are its own."""
    put(out, {}, folder="b/jane/p")
    assert find(out, others=(str(out / "b"), str(out))).records == ()
    assert [one.folder for one in find(out / "b").records] == ["jane/p"]


def test_what_is_known_is_not_opened(out, monkeypatch):
    """A state that knows all its prompts asks for names alone."""
    put(out, {})
    monkeypatch.setattr(sidecars, "_read", lambda path: pytest.fail(path))
    assert find(out, known=frozenset({5})).records == ()


def test_a_huge_one_is_not_read(out, monkeypatch):
    """The rest is found, and memory stays flat."""
    with open(out / "huge-8.json", "wb") as file:
        file.truncate(300 << 20)
    put(out, {})
    tracemalloc.start()
    found = find(out)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [one.id for one in found.records] == [5]
    assert most < 10 << 20


def test_an_output_that_is_not_there_is_empty(tmp_path):
    """Nothing was ever saved."""
    assert find(tmp_path / "none") == work.Sidecars()


@pytest.mark.parametrize("place", ["", "jane", "jane/p", "jane/p/p-5.json"])
def test_what_cannot_be_read_is_told(out, monkeypatch, place):
    """A record may lie there: that is not the same as none."""
    put(out, {})

    def refusing(real):
        def call(path, *more, **how):
            if os.fspath(path) == str(out / place).rstrip("/"):
                raise PermissionError(13, "Permission denied", path)
            return real(path, *more, **how)

        return call

    monkeypatch.setattr(sidecars.os, "scandir", refusing(os.scandir))
    monkeypatch.setattr(sidecars.os, "open", refusing(os.open))
    found = find(out)
    assert found.records == ()
    assert str(out / place) in found.problem
    assert "Permission denied" in found.problem


def test_what_changed_since_it_was_found(out):
    """It is not read as what it was."""
    place = put(out, {})
    records = find(out).records
    put(out, {"seed": 8})
    assert sidecars.read(work.ReadSidecars(output=str(out), records=records)).found == (None,)
    place.unlink()
    assert sidecars.read(work.ReadSidecars(output=str(out), records=records)).found == (None,)


def test_pictures_are_not_looked_for_through_links(out, tmp_path):
    """A link of a picture's name is no picture that was saved."""
    put(out, {})
    (tmp_path / "x").write_bytes(b"abc")
    (out / "jane/p/p-5-1.jpg").symlink_to(tmp_path / "x")
    ((_, there),) = sidecars.read(work.ReadSidecars(output=str(out), records=find(out).records)).found
    assert there == 0


def test_an_older_record(out):
    """One that says nothing of tunes is a record, whose subject is not told."""
    data = {key: value for key, value in GOOD.items() if key != "tunes"}
    put(out, json.dumps(data))
    (record,) = find(out).records
    assert record.subject == ""
    put(out, json.dumps({**data, "tunes": []}))
    (record,) = find(out).records
    assert record.subject is None
