"""Pictures that a person can tell apart: the prompt's words on a ground of their own colour."""

import hashlib
from functools import lru_cache
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from astria_sync.simulator.video import movie

FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "mp4": "JPEG"}


def size(ratio: str, px: int) -> tuple[int, int]:
    """Fit an aspect ratio into a square of that edge."""
    across, _, down = ratio.partition(":")
    width, height = int(across), int(down)
    longest = max(width, height)
    return max(1, round(px * width / longest)), max(1, round(px * height / longest))


@lru_cache(maxsize=128)
def draw(words: str, label: str, edges: tuple[int, int], extension: str) -> bytes:
    """Draw once; the bytes depend on nothing but the arguments."""
    picture = _paint(words, label, edges)
    out = BytesIO()
    picture.save(out, FORMATS[extension], quality=85)
    return movie(out.getvalue(), edges) if extension == "mp4" else out.getvalue()


def _paint(words: str, label: str, edges: tuple[int, int]) -> Image.Image:
    dye = hashlib.sha256(f"{words} {label}".encode()).digest()
    dark, light = (40 + dye[0] // 3, 40 + dye[1] // 3, 40 + dye[2] // 3), (255, 252, 240)
    picture = Image.new("RGB", edges, dark)
    pen = ImageDraw.Draw(picture)
    width, height = edges
    # Stripes keep two pictures apart at a glance, even as thumbnails.
    for stripe in range(0, width + height, max(8, (width + height) // 16)):
        pen.line([(stripe, 0), (stripe - height, height)], fill=(dye[3], dye[4], dye[5]), width=2)
    edge = min(edges)
    font = ImageFont.load_default(size=max(9, edge // 14))
    small = ImageFont.load_default(size=max(8, edge // 26))
    margin = edge // 16
    pen.multiline_text(
        (margin, margin),
        _wrapped(pen, words, font, width - 2 * margin),
        font=font,
        fill=light,
        stroke_width=1,
        stroke_fill=dark,
    )
    pen.text(
        (margin, height - margin),
        label,
        font=small,
        fill=light,
        anchor="ls",
        stroke_width=1,
        stroke_fill=dark,
    )
    return picture


def _wrapped(
    pen: ImageDraw.ImageDraw, words: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int
) -> str:
    lines = [""]
    for word in words[:600].split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and pen.textlength(longer, font=font) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)
