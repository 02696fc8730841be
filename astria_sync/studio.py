"""What `init` and `demo` put into folders: a configuration, sample prompts, sample photos."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from astria_sync.errors import ConfigError

_EXAMPLE: Final = "config.example.toml"
SAMPLE_PROMPT: Final = """---
aspect_ratio: 3:4          # any parameter of Astria's; leave them all out if you like
num_images: 2
---
a lighthouse on a cliff in the evening sun, wide angle, film grain
"""
README: Final = """Drop things here; astria-sync takes them up once they stand still.

  jane/front.jpg …       a folder of pictures becomes a tune called "jane"
  jane/tune.toml         optional, for example:  name = "woman"
  jane/hiking.prompt     a prompt with jane as its subject
  lookbook.prompt        a prompt that mentions folders:  <jane> wearing <red-dress>

A .prompt file is plain text; the pictures of it come to {output}.
What could not be done is said in a file beside it, and by: astria-sync status
"""


def example() -> str:
    """The commented configuration that comes with the program."""
    here = Path(__file__).resolve().parent
    for place in (here / _EXAMPLE, here.parent / _EXAMPLE):  # installed, or in a checkout
        if place.is_file():
            return place.read_text("utf-8")
    raise ConfigError(f"{_EXAMPLE}, which belongs to astria-sync, is missing; install astria-sync again.")


def configuration(values: Mapping[str, Any]) -> str:
    """The example with a person's values in their places; every key must have one there, be it behind a #."""
    text = example()
    for key, value in values.items():
        line = re.compile(rf"^(# )?{re.escape(key)} = (\"[^\"]*\"|\S+)( *)", re.MULTILINE)
        written = f"{key} = {json.dumps(value, ensure_ascii=False)}"

        def put(match: re.Match[str], written: str = written) -> str:
            return written.ljust(len(match[0]) - 1) + " " if match[3] else written

        text, done = line.subn(put, text, count=1)
        if not done:
            raise KeyError(key)
    return text


def write_private(path: Path, text: str) -> None:
    """A file that its owner alone can read, from its first byte on; whole, or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


# The demo's studio: two subjects, photos that a person can tell apart, prompts that show what one can say

PROMPTS: Final = {
    "jane/hiking.prompt": "hiking in the mountains, golden hour, backpack, wide angle\n",
    "jane/portrait.prompt": "---\naspect_ratio: 3:4\nseed: 42\n---\nstudio portrait, soft light, linen backdrop\n",
    "lookbook.prompt": "<jane> wearing <red-dress>, look book, plain white background #fff\n",
    "lighthouse.prompt": "---\nnum_images: 2\n---\na lighthouse on a cliff in the evening sun, film grain\n",
}
TUNES: Final = {
    "jane/tune.toml": 'name = "woman"\n',
    "dresses/tune.toml": '# a default for every folder below\nname = "dress"\n',
}
PHOTOS: Final = {
    "jane": ("front", "left", "right"),
    "dresses/red-dress": ("front", "back"),
}
_SKIN, _RED = (224, 178, 150), (178, 24, 44)


def demo_studio(folder: Path, *, settle: float) -> Path:
    """Folders, photos and prompts as a person would have them; returns the configuration's path."""
    inbox = folder / "inbox"
    for path, text in {**TUNES, **PROMPTS}.items():
        (inbox / path).parent.mkdir(parents=True, exist_ok=True)
        (inbox / path).write_text(text, "utf-8")
    for subject, views in PHOTOS.items():
        for view in views:
            photo = inbox / subject / f"{view}.jpg"
            photo.parent.mkdir(parents=True, exist_ok=True)
            draw_photo(photo, subject.rsplit("/", maxsplit=1)[-1], view)
    config = folder / "config.toml"
    config.write_text(
        f'state = "state/state.db"\n\n[timing]\nsettle_seconds = {settle}\npoll_seconds = 0.5\n\n'
        '[[watch]]\npath = "inbox"\noutput = "generated"\n',
        "utf-8",
    )
    return config


def draw_photo(path: Path, subject: str, view: str) -> None:
    """A small picture of a subject, as far as circles and triangles can say it."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (512, 512), (236, 232, 224))
    pen = ImageDraw.Draw(picture)
    shift = {"left": -40, "right": 40}.get(view, 0)
    if "dress" in subject:
        pen.polygon([(216, 110), (296, 110), (330, 250), (400, 440), (112, 440), (182, 250)], fill=_RED)
    else:
        pen.ellipse((136 + shift, 96, 376 + shift, 380), fill=(84, 52, 40))
        pen.ellipse((176 + shift, 140, 336 + shift, 350), fill=_SKIN)
        for x in (222, 290):
            pen.ellipse((x - 9 + shift * 1.5, 224, x + 9 + shift * 1.5, 242), fill=(40, 40, 60))
        pen.arc((220 + shift * 1.4, 260, 292 + shift * 1.4, 312), 20, 160, fill=(150, 50, 60), width=6)
    pen.text((20, 470), f"{subject}, {view}", fill=(90, 90, 90), font=ImageFont.load_default(24))
    picture.save(path, quality=85)


def contact_sheet(pictures: Iterable[tuple[Path, str]], sheet: Path) -> None:
    """All pictures small on one, each with where it came from below it."""
    from PIL import Image, ImageDraw, ImageFont

    shown = list(pictures)
    cell, label, across = 256, 24, min(3, len(shown))
    down = -(-len(shown) // across)
    paper = Image.new("RGB", (across * cell, down * (cell + label)), "white")
    pen = ImageDraw.Draw(paper)
    for number, (path, words) in enumerate(shown):
        left, top = number % across * cell, number // across * (cell + label)
        with Image.open(path) as picture:
            picture.thumbnail((cell - 8, cell - 8))
            paper.paste(picture.convert("RGB"), (left + 4, top + 4))
        pen.text((left + 6, top + cell), words, fill="black", font=ImageFont.load_default(14))
    paper.save(sheet, quality=90)
