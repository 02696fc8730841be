"""`verify` tells what is not as it was saved, and `--repair` fetches it again."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from astria_sync.cli import cli


@pytest.fixture
def verify(studio):
    """Three pictures on disk, and a way to call the command."""
    studio.folder("jane")
    studio.prompt("jane/p.prompt", "words", front="num_images: 2")
    studio.prompt("q.prompt", "other words")
    studio.run_once()
    settings = studio.home / "verify.toml"
    settings.write_text(f"state = {json.dumps(str(studio.state))}\n")

    def call(*arguments):
        return CliRunner().invoke(cli, ["--config", str(settings), "verify", *arguments])

    return call


def pictures(studio) -> list[Path]:
    return sorted(path for path in studio.output.rglob("*") if path.is_file() and path.suffix != ".json")


def test_all_is_well(verify):
    """Nothing changed: exit 0."""
    result = verify()
    assert (result.exit_code, result.stdout) == (0, "3 pictures checked, 3 as they were saved.\n")


def test_what_is_wrong_is_told_and_repaired(studio, verify):
    """A picture that is gone and one that was changed are named, fetched again, and the changed one is kept aside."""
    gone, changed, _ = pictures(studio)
    before = {gone: gone.read_bytes(), changed: changed.read_bytes()}
    gone.unlink()
    changed.write_bytes(b"x" * changed.stat().st_size)
    result = verify("--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["checked"], told["ok"]) == (1, 3, 1)
    assert {(item["file"], item["state"]) for item in told["items"]} == {
        (str(gone), "missing"),
        (str(changed), "damaged"),
    }
    posts = studio.made()
    assert verify("--repair").exit_code == 0
    studio.run_once()
    assert {path: path.read_bytes() for path in before} == before
    assert changed.with_name(changed.name + ".damaged").exists()
    assert studio.made() == posts
    assert {row.state for row in studio.prompts()} == {"done"}
    assert verify().exit_code == 0


def test_without_being_asked_nothing_is_fetched_again(studio, verify):
    """A picture that the user deleted stays deleted."""
    pictures(studio)[0].unlink()
    assert verify().exit_code == 1
    studio.run_once()
    assert len(pictures(studio)) == 2
