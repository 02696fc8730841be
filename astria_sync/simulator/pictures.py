"""Pictures that a person can tell apart: the prompt's words on a ground of their own colour."""

import hashlib
from functools import lru_cache
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont, ImageOps

from astria_sync.simulator.video import movie

STAMP = 128
_READABLE = 48  # pixels; on less no word can be read
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning)
FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "mp4": "JPEG"}


def size(ratio: str, px: int) -> tuple[int, int]:
    """Fit an aspect ratio into a square of that edge."""
    across, _, down = ratio.partition(":")
    width, height = int(across), int(down)
    longest = max(width, height)
    return max(1, round(px * width / longest)), max(1, round(px * height / longest))


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The one that comes with Pillow; unpacking it takes longer than to draw with it."""
    return ImageFont.load_default(size=size)


@lru_cache(maxsize=128)
def draw(
    words: str, label: str, edges: tuple[int, int], extension: str, stamps: tuple[bytes, ...] = ()
) -> bytes:
    """Draw once; the bytes depend on nothing but the arguments."""
    picture = _paint(words, label, edges)
    _stick(picture, stamps)
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
    if edge < _READABLE:
        return picture
    font, small = _font(max(9, edge // 14)), _font(max(8, edge // 26))
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


def _stick(picture: Image.Image, stamps: tuple[bytes, ...]) -> None:
    """Put the stamps in a row above the label."""
    edge = min(picture.size)
    side, margin = edge // 6, edge // 16
    for index, raw in enumerate(stamps):
        small = Image.frombytes("RGB", (STAMP, STAMP), raw).resize((side, side))
        picture.paste(small, (margin + index * (side + margin // 2), picture.height - 2 * margin - side))


def stamp(data: bytes | memoryview) -> bytes:
    """Shrink a picture to a few raw pixels; nothing if it cannot be read."""
    try:
        with Image.open(BytesIO(data)) as picture:
            picture.draft("RGB", (STAMP, STAMP))
            return ImageOps.fit(picture.convert("RGB"), (STAMP, STAMP)).tobytes()
    except UNREADABLE:
        return b""


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
