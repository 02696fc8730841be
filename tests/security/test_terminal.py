"""Nothing from a server, or from a file's name, reaches a terminal or a path as anything but the text that it is."""

import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astria_sync.core import plain
from astria_sync.core.naming import FILE_NAME_BYTES
from tests.security.hostile import Says

NASTY = (
    "\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x07link\x1b]8;;\x07 \x1b]0;title\x07 \x9b2J \x00 \x07 \x08\x08 \x7f "
    "\u202eright to left\u202c \u2066iso\u2069 \ufeff \U000e0041 [red]markup[/red] [link=https://evil.example]x[/link] "
    "../../../etc/passwd \r2026-01-01T00:00:00+0000 ERROR   made up\n2026-01-01T00:00:00+0000 INFO    made up too\u2028end"
)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
CLEARED = "\r\x1b[2K"  # how the line below a log is taken away


def is_plain(text: str, *, terminal: bool = False) -> bool:
    """Whether there is nothing in it but what can be seen, and ends of lines; a terminal has colours of ours."""
    if terminal:
        text = COLOURS.sub("", text).replace("\r\n", "\n")
    return all(one.isprintable() or one == "\n" or unicodedata.category(one) == "Zs" for one in text)


@given(st.text(st.characters(codec=None)))
def test_any_text_is_made_visible(text):
    """On one line, without anything that steers; and JSON gives every character back."""
    assert is_plain(plain.visible(text))
    assert "\n" not in plain.visible(text)
    assert is_plain(plain.visible_lines(text))
    assert is_plain(plain.visible_json({"x": text, text: [text]}))
    assert json.loads(plain.visible_json({"x": text}))["x"] == text


def test_what_can_be_seen_stays():
    """Letters of all scripts and the spaces between them are no controls."""
    for text in ("jäne · 日本語　です", "café : 5 €", "אבג", "🙂", r"back\slash"):
        assert plain.visible(text) == text
    assert plain.visible_lines("one\r\ntwo\nthree") == "one\ntwo\nthree"


def refusing(asked):
    if asked.method == "POST" and "refused" in asked.fields.get("prompt[text]", ""):
        return Says(status=422, body={"error": NASTY, NASTY: [NASTY]})
    return None


def poisoned(asked, shown):
    shown |= {"title": NASTY, "url": NASTY, "email": NASTY, "name": NASTY, "theme": NASTY}
    if "made up" in shown.get("text", ""):
        shown |= {"user_error": NASTY, "images": []}
    elif "images" in shown:
        shown["images"] = [
            f"{shown['images'][0]}/..%2f..%2f../etc/x.sh%00%1b[2J%e2%80%ae.exe?{quote(NASTY)}#con"
        ]
    return shown


PROMPTS = {  # names and texts
    "good\x1b[31m\u202e": "words",
    "refused\nnot": "refused",
    "made [red]up\x9b": "made up",
    "NUL": "words",
    "con.x": "[link=https://evil.example]words[/link]",
    "a" * 200: "words",
    "-rf $(touch x)": "words",
}


@pytest.fixture
def studio(home, astria):
    """A studio in which everything has a nasty name, and a server that says nasty things."""
    astria.poison, astria.instead = poisoned, refusing
    for name, text in PROMPTS.items():
        (home.inbox / f"{name}.prompt").write_text(text)
    (home.inbox / "lost\x1b[2J.prompt").write_text("<nobody\x9b31m>")
    (home.inbox / "broken\u202e.prompt").write_bytes(b"---\n\x1b]0;x\x07: 1\n---\n")
    return home


def on_a_terminal(home, url: str, *words: str) -> str:
    """What a command writes to a terminal, on both of its outputs."""
    ours, its = pty.openpty()
    environ = home.environ(url, TERM="xterm-256color", LC_ALL="C.UTF-8")
    line = [sys.executable, "-m", "astria_sync", "--config", str(home.config), *words]
    process = subprocess.Popen(line, env=environ, stdin=its, stdout=its, stderr=its, close_fds=True)
    os.close(its)
    said = b""
    try:
        while more := os.read(ours, 65536):
            said += more
    except OSError:  # how a terminal's end is told
        pass
    os.close(ours)
    process.wait(timeout=30)
    return said.decode()


def test_a_whole_run(studio, astria):
    """The log on a terminal, the summary, error files, sidecars, `status`, `plan`, `doctor`: text and colours, no more."""
    said = on_a_terminal(studio, astria.url, "--verbose", "run", "--once", "--timeout", "20")
    assert "Traceback" not in said
    assert COLOURS.search(said)
    assert is_plain(said.replace(CLEARED, "\n"), terminal=True), said
    left = re.sub(rf"[^\n]*{re.escape(CLEARED)}", "", said)
    log = COLOURS.sub("", left).replace("\r\n", "\n").partition("\n\n")[0]
    assert "\\x1b" in log
    assert all(re.match(r"\d\d:\d\d:\d\d |    ", line) for line in log.splitlines()), log
    for words in (
        ["status", "--all"],
        ["status", "--all", "--json"],
        ["doctor"],
        ["doctor", "--json"],
        ["plan"],
    ):
        result = studio.call(astria.url, *words)
        assert is_plain(result.output), words
    notes = list(studio.inbox.glob("*.error.txt"))
    assert len(notes) == 3
    for note in notes:
        assert is_plain(note.read_text()), note
    sidecars = list(studio.output.rglob("*.json"))
    assert len(sidecars) == 5
    for sidecar in sidecars:
        assert is_plain(sidecar.read_text())
        assert json.loads(sidecar.read_text())["answer"]["theme"] == NASTY
    check_names(studio.output)


def test_the_account_on_a_terminal(home, astria):
    """Lists, one object, the names of models: text and colours, no more."""
    thing = {
        "id": 5,
        "tune_id": 7,
        "num_images": NASTY,
        "images": [NASTY],
        "orig_images": [NASTY],
        NASTY: {NASTY: NASTY},
    }
    thing |= dict.fromkeys(
        ("title", "text", "name", "slug", "model_type", "created_at", "url", "email"), NASTY
    )
    lists = {"/tunes", "/prompts", "/packs", "/gallery/tunes", "/workspaces.json"}
    models = {
        "models": {NASTY: {"tune_id": 5}, "good": {"tune_id": 6, "resolutions": [NASTY]}},
        "default": NASTY,
    }

    def says(asked):
        if asked.path == "/cli/models":
            return Says(body=models | {"video_models": [NASTY]})
        return Says(body=[thing, NASTY] if asked.path in lists else thing)

    astria.instead = says
    for words in (
        ["tunes", "list"],
        ["prompts", "get", "5"],
        ["packs", "list", "--json"],
        ["models"],
    ):
        said = on_a_terminal(home, astria.url, *words)
        assert "Traceback" not in said
        assert is_plain(said, terminal=True), words
        assert "\\x1b" in said or "\\u001b" in said or words == ["models"], words


def check_names(output: Path) -> None:
    """Every name is one that Linux, macOS and Windows take, and nothing lies elsewhere."""
    made = [path for path in output.rglob("*") if path.is_file()]
    assert len(made) == 10
    for path in made:
        assert path.suffix in {".jpg", ".json"}
        for part in path.relative_to(output).parts:
            assert is_plain(part)
            assert not set('<>:"/\\|?*') & set(part)
            assert len(part.encode()) <= FILE_NAME_BYTES
            assert not re.match(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)", part)
            assert not part.startswith(".")
            assert not part.endswith((".", " "))


def test_a_command_to_paste(home, astria):
    """What an error file says to type is one argument for a shell, whatever the file is called."""
    name = "a'; touch pwned; '$(touch pwned)`touch pwned`.prompt"
    (home.inbox / name).write_text("---\nno_key: 1\n---\nx")
    home.call(astria.url, "run", "--once", "--timeout", "20")
    note = (home.inbox / f"{name}.error.txt").read_text()
    typed = note.rpartition(" retry ")[2].strip()
    assert note.endswith(f"astria-sync --config {home.config} retry {typed}\n")
    printed = subprocess.run(
        ["sh", "-c", f"printf %s {typed}"], capture_output=True, text=True, cwd=home.folder, check=True
    )
    assert printed.stdout == str(home.inbox / name)
    assert not (home.folder / "pwned").exists()


def test_words_without_end(home, astria):
    """A refusal of megabytes is cut for people, and leaves state and error files small."""
    astria.instead = lambda asked: (
        Says(status=422, body={"error": "x" * 3_000_000}) if asked.method == "POST" else None
    )
    (home.inbox / "p.prompt").write_text("words")
    home.call(astria.url, "run", "--once", "--timeout", "20")
    assert 1000 < len((home.inbox / "p.prompt.error.txt").read_text()) < 6000
    assert home.state.stat().st_size < 500_000
