"""Astria's list of models on disk, and what names mean with it."""

import json
import os
import queue
import stat
import threading

import pytest

from astria_sync import config, modelnames
from astria_sync.core import work
from astria_sync.core.retry import Answer, NoAnswer
from astria_sync.settings import BUILTIN_MODELS
from astria_sync.workers import Pools

BASE = "https://api.astria.ai"
BODY = {
    "default": "new",
    "models": {"new": {"tune_id": 77, "resolutions": ["1K"]}, "gemini": {"tune_id": 78}},
}


@pytest.fixture
def state(tmp_path):
    return tmp_path / "a" / "state.db"


def asked(state, body, status=200):
    return modelnames.ask(lambda path, anonymous: Answer(status=status, body=body), state, BASE, wall=1000.0)


def test_what_astria_says_is_kept_for_its_owner_alone(state):
    """The answer lies beside the state, 0600 in a folder of one's own, and is read back as it was."""
    told = asked(state, BODY)
    file = modelnames.place(state)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert modelnames.load(state, BASE) == told
    assert (told.answer, told.at) == (BODY, 1000.0)
    assert os.listdir(file.parent) == [file.name]


def test_another_astria_has_other_models(state):
    """What a stand-in said counts for it alone."""
    asked(state, BODY)
    assert modelnames.load(state, "http://127.0.0.1:9") is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 100000,
        b'{"version": 2}',
        b"\xff\xfe",
        b"x" * (1 << 21),
        json.dumps({"version": 1, "base_url": BASE, "asked_at": "x", "answer": BODY}).encode(),
        json.dumps({"version": 1, "base_url": BASE, "asked_at": 1, "answer": {"models": 5}}).encode(),
    ],
)
def test_a_damaged_file_is_as_good_as_none(state, data):
    """Whatever lies there, nobody stumbles over it, and the next answer takes its place."""
    state.parent.mkdir()
    modelnames.place(state).write_bytes(data)
    assert modelnames.load(state, BASE) is None
    asked(state, BODY)
    assert modelnames.load(state, BASE)


def test_what_is_no_file_is_not_read(state):
    """A pipe would keep every command waiting; a link or a folder is not ours."""
    state.parent.mkdir()
    file = modelnames.place(state)
    os.mkfifo(file)
    assert modelnames.load(state, BASE) is None
    file.unlink()
    file.symlink_to("/dev/zero")
    assert modelnames.load(state, BASE) is None
    file.unlink()
    file.mkdir()
    assert modelnames.load(state, BASE) is None
    assert isinstance(asked(state, BODY), modelnames.Known)
    assert os.listdir(state.parent) == [file.name]


@pytest.mark.parametrize(
    ("answer", "odd"),
    [
        (NoAnswer(sent=False, why="no connection"), False),
        (Answer(status=500, body={"error": "x"}), False),
        (Answer(status=200, body={"models": []}), True),
        (Answer(status=200, body=[]), True),
        (Answer(status=200, body=BODY | {"x": "y" * (1 << 20)}), True),
    ],
)
def test_what_says_nothing_leaves_what_was_known(state, answer, odd):
    """No network, trouble, or an answer that makes no sense: the file stays."""
    asked(state, BODY)
    before = modelnames.place(state).read_bytes()
    found = modelnames.ask(lambda path, anonymous: answer, state, BASE, wall=2.0)
    assert isinstance(found, modelnames.Unknown)
    assert found.odd is odd
    assert modelnames.place(state).read_bytes() == before


def test_nothing_waits_for_the_names(state):
    """A server that never says which models it has keeps no other request waiting."""
    said, outcomes = threading.Event(), queue.SimpleQueue()

    def perform(piece):
        if isinstance(piece, work.AskModels):
            said.wait(10)
        return piece

    pools = Pools(perform, outcomes.put, threads=1, downloads=1)
    pools.submit(work.AskModels(state=state, base_url=BASE))
    pools.submit(work.Probe())
    assert isinstance(outcomes.get(timeout=10).work, work.Probe)
    said.set()
    assert isinstance(outcomes.get(timeout=10).work, work.AskModels)
    pools.close(wait=True)


def settings(home, text="", any_model=False, **environ):
    (home / "c.toml").write_text(f'state = "a/state.db"\n{text}')
    return config.load(home / "c.toml", profile=None, environ=environ, home=home, any_model=any_model)


def test_who_comes_before_whom(state, tmp_path):
    """The environment, the configuration, Astria, what is built in."""
    asked(state, BODY)
    models = settings(tmp_path).models
    assert models.ids == {**BUILTIN_MODELS, "new": 77, "gemini": 78}
    assert models.default == "gemini"
    models = settings(tmp_path, "[models]\ngemini = 5\nnew = 6", GEMINI_TUNE_ID="9").models
    assert (models.ids["gemini"], models.ids["new"]) == (9, 6)
    assert [models.only_astrias(name) for name in ("new", "gemini", "flux", "none")] == [False] * 4
    assert settings(tmp_path).models.only_astrias("new")


def test_a_default_may_be_one_of_astrias(state, tmp_path):
    """A name that is not known is refused with the nearest, and with how to learn more; until Astria has told it."""
    with pytest.raises(config.ConfigError, match="astria-sync models"):
        settings(tmp_path, '[models]\ndefault = "new"')
    assert settings(tmp_path, '[models]\ndefault = "new"', any_model=True).models.default == "new"
    asked(state, BODY)
    assert settings(tmp_path, '[models]\ndefault = "new"').models.default == "new"
    with pytest.raises(config.ConfigError, match='and "nwe" is neither; did you mean "new"'):
        settings(tmp_path, '[models]\ndefault = "nwe"')
