"""The documents' examples do what they say."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from astria_sync import promptfile
from astria_sync.cli import cli

TOP = Path(__file__).parents[2]
GUIDE = (TOP / "docs" / "guide.md").read_text()
DOCUMENTS = ["README.md", "docs/guide.md", "docs/scale.md"]
_RUN = re.compile(r"<!-- run -->\n```sh\n(.*?)```", re.DOTALL)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(document, *languages):
    """The examples of a document, by what stands behind the three backticks."""
    return [text for language, text in _BLOCK.findall((TOP / document).read_text()) if language in languages]


@pytest.fixture
def shell(desk, stand_in, account):
    """A person's shell in a home with photos and a configuration that does not wait long."""
    for name in ("jane", "red-dress"):
        desk.picture(f"../Pictures/{name}/1.jpg")
    inbox, output = desk.home / "Astria/inbox", desk.home / "Astria/generated"
    inbox.mkdir(parents=True)
    config = desk.home / ".config/astria-sync/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(
        "[timing]\nsettle_seconds = 0.1\npoll_seconds = 0.1\nreconcile_after_seconds = 0.1\n"
        f'[[watch]]\npath = "{inbox}"\noutput = "{output}"\n'
    )
    program = desk.home / "bin/astria-sync"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m astria_sync "$@"\n')
    program.chmod(0o755)
    environ = desk.environ(**account, PYTHONPATH=str(TOP))
    environ["PATH"] = f"{program.parent}:{environ['PATH']}"

    def call(script):
        run = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=desk.home,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    return call


def test_the_guides_examples_work(shell, stand_in):
    """Typed one after the other they make pictures, bring them back, and outlive a lost state; each order is paid once."""
    first, references, repair, lost = (shell(script) for script in _RUN.findall(GUIDE))
    assert "hiking" in first
    assert re.search(r"hiking-\d+-1\.(jpg|png)", first)
    assert len(re.findall(r"lookbook-\d+-\d\.(?:jpg|png)", references)) == 2
    assert "hiking-" in repair.splitlines()[-1]
    assert "lookbook" not in lost
    assert (len(stand_in.ledger.created_tunes()), len(stand_in.ledger.created_prompts())) == (2, 2)


@pytest.mark.parametrize("document", [one for one in DOCUMENTS if (TOP / one).exists()])
def test_every_call_in_the_documents_is_one(document):
    """Commands and options stand there as the program takes them."""
    lines = [line.strip() for text in blocks(document, "", "sh") for line in text.splitlines()]
    for line in lines:
        if line.startswith("astria-sync ") and "…" not in line:
            words = re.split(r"\s{2,}|\s[|>#]|\s\|\|", line)[0]
            takes(shlex.split(words)[1:])


def takes(arguments):
    """Parse a call as the program does, without doing it."""
    above = cli.make_context("astria-sync", list(arguments))
    command: click.Command = cli
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(above, [*above._protected_args, *above.args])
        assert found is not None
        command, above = found, found.make_context(name, rest, parent=above)


@pytest.mark.parametrize("document", [one for one in DOCUMENTS if (TOP / one).exists()])
def test_what_is_to_be_written_can_be_read(document):
    """TOML in the documents is TOML, and a block on top of a prompt is one."""
    for text in blocks(document, "toml"):
        assert tomllib.loads(text)
    for text in blocks(document, ""):
        if text.startswith("---\n"):
            assert promptfile.parse(text.encode(), name="example.prompt")
