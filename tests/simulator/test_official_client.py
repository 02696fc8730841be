"""Astria's own command-line client against the stand-in, where a copy of it lies."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from astria_sync.simulator import Options, Simulator

CLIENT = os.environ.get("ASTRIA_CLIENT", "")
pytestmark = [
    pytest.mark.skipif(not CLIENT, reason="ASTRIA_CLIENT does not name a copy of Astria's client"),
    pytest.mark.skipif(not shutil.which("curl"), reason="the client sends by curl, which is not here"),
]


@pytest.fixture
def astria(tmp_path):
    """Give a function that runs one command of the client, logged in, and returns what it printed."""
    with Simulator(Options(generate_seconds=0.2, train_seconds=0.2)) as sim:
        keep = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT") if key in os.environ}
        env = keep | {
            "HOME": str(tmp_path),
            "ASTRIA_CONFIG_DIR": str(tmp_path / "config"),
            "ASTRIA_CACHE_DIR": str(tmp_path / "cache"),
            "ASTRIA_NO_AUTO_UPGRADE": "1",
        }

        def run(*words, code=0):
            line = [sys.executable, CLIENT, *map(str, words)]
            done = subprocess.run(line, env=env, capture_output=True, text=True, cwd=tmp_path, timeout=60)
            assert done.returncode == code, done.stderr
            return json.loads(done.stdout) if done.stdout.startswith(("[", "{")) else done.stdout

        run.sim, run.folder = sim, tmp_path
        run("login", "--api-key", sim.token, "--base-url", sim.base_url)
        Image.new("RGB", (600, 800), "red").save(tmp_path / "jane.jpg")
        yield run


def test_account_and_models(astria):
    """whoami, models and workspaces."""
    assert astria("whoami")["usd_balance_mc"] == 10_000_000
    assert astria("models", "--refresh")["models"]["gemini"]["tune_id"] == 3618064
    assert astria("workspaces", "list")[0]["id"] == 679
    assert astria("workspaces", "create", "--title", "New")["slug"] == "new"


def test_tunes(astria):
    """create, list, get, update, the gallery, and a raw DELETE."""
    made = astria("tunes", "create", "--title", "jane", "--name", "woman", "--image", "jane.jpg")
    assert [tune["id"] for tune in astria("tunes", "list", "--limit", 5)] == [made["id"]]
    assert astria("tunes", "update", made["id"], "--title", "new")["title"] == "new"
    assert astria("tunes", "get", made["id"])["trained_at"]
    assert len(astria("tunes", "list", "--gallery", "--branch", "partner-1")) == 3
    astria("api", "DELETE", f"/tunes/{made['id']}")
    astria("tunes", "get", made["id"], code=1)


def test_generate_and_download(astria):
    """generate --wait with a reference made on the way, then download: the bytes are the stand-in's."""
    done = astria("generate", "--text", "on a wall", "--reference", "woman=jane.jpg", "--wait")
    assert len(done["images"]) == 2
    assert astria("prompts", "get", done["id"], "--model", "gemini")["text"] == done["text"]
    assert astria("prompts", "list", "--text", "wall")[0]["id"] == done["id"]
    saved = astria("download", done["id"], "--out", "out")["prompts"][0]["saved"]
    bodies = [(astria.folder / name).read_bytes() for name in saved]
    assert bodies == [astria.sim.picture_bytes(url) for url in done["images"]]
    assert not any(entry.authorization for entry in astria.sim.ledger.pictures_served())


def test_video(astria):
    """video --wait gives an .mp4."""
    words = (
        "--video-model",
        "kling30_standard",
        "--video-prompt",
        "it jumps",
        "--image-reference",
        "jane.jpg",
    )
    assert astria("video", *words, "--num-images", 1, "--wait")["images"][0].endswith(".mp4")


def test_packs(astria):
    """list, get, create, and run both ways."""
    assert len(astria("packs", "list")) == 2
    assert astria("packs", "get", "corporate-headshots")["template_prompts"]
    assert astria("packs", "create", "--title", "Mine")["slug"] == "mine"
    face = astria("tunes", "create", "--title", "jane", "--name", "woman", "--image", "jane.jpg")
    run = astria("packs", "run", "corporate-headshots", "--tune-id", face["id"], "--brief", "golden hour")
    assert len(run["prompt_ids"]) == 2
    words = ("--title", "Jo", "--name", "man", "--image", "jane.jpg")
    assert astria("packs", "run", "corporate-headshots", *words)["title"] == "Jo"


def test_cache(astria):
    """cache refresh, stats, find and uses read what the lists gave."""
    face = astria("tunes", "create", "--title", "jane", "--name", "woman", "--image", "jane.jpg")
    made = astria("generate", "--text", f"<faceid:{face['id']}:1> woman on a wall")
    astria("cache", "refresh")
    assert astria("cache", "stats")["counts"]["prompts"] == 1
    assert astria("cache", "find", "prompts", "--text", "wall")[0]["id"] == made["id"]
    assert astria("cache", "uses", face["id"])[0]["id"] == made["id"]
